//! Bars from the figures that were kept: ours, what stands beside it, the goal. One picture for all benches.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::figure::{path, say, short};

const WIDTH: f64 = 900.0;
const BAR: f64 = 16.0;
const LEFT: f64 = 330.0;
const LONGEST: f64 = 430.0;

/// Draws `figures.svg` into the folder from what is kept there. Each row has its own scale.
pub fn draw(folder: &Path, benches: &[&str]) {
    let mut body = String::new();
    let mut y = 24.0;
    for bench in benches {
        let Ok(text) = fs::read_to_string(path(folder, bench)) else { continue };
        let kept: Value = serde_json::from_str(&text).unwrap_or_default();
        for figure in kept["figures"].as_array().into_iter().flatten() {
            row(&mut body, &mut y, figure);
        }
    }
    let picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" font-family=\"sans-serif\" font-size=\"12\">\
         \n<rect width=\"{WIDTH}\" height=\"{y}\" fill=\"#fff\"/>\n{body}</svg>\n"
    );
    if let Err(error) = fs::write(folder.join("figures.svg"), picture) {
        say(&format!("no picture: {error}"));
    }
}

fn row(body: &mut String, y: &mut f64, figure: &Value) {
    let value = |value: &Value| value.as_f64().unwrap_or(0.0);
    let text = |value: &Value| escaped(value.as_str().unwrap_or_default());
    let color = match figure["reached"].as_bool() {
        Some(true) => "#2a7d4f",
        Some(false) => "#c0392b",
        None => "#555",
    };
    let mut bars = vec![("ifbus".to_owned(), value(&figure["ours"]), color)];
    for beside in figure["beside"].as_array().into_iter().flatten() {
        bars.push((text(&beside["name"]), value(&beside["value"]), "#aab"));
    }
    let goal = figure["goal"]["value"].as_f64();
    let most = bars.iter().map(|(_, value, _)| *value).chain(goal).fold(0.0, f64::max).max(1e-9);
    let what = format!("{}, {}", text(&figure["what"]), text(&figure["unit"]));
    let _ = writeln!(body, "<text x=\"10\" y=\"{y}\" font-weight=\"bold\">{what}</text>");
    let top = *y + 6.0;
    for (name, value, color) in bars {
        let (at, long) = (*y + 8.0, (value / most * LONGEST).max(1.0));
        let _ = writeln!(
            body,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>\
             <rect x=\"{LEFT}\" y=\"{at}\" width=\"{long:.1}\" height=\"{}\" fill=\"{color}\"/>\
             <text x=\"{:.1}\" y=\"{}\">{}</text>",
            LEFT - 8.0,
            at + 11.0,
            BAR - 3.0,
            LEFT + long + 6.0,
            at + 11.0,
            short(value)
        );
        *y += BAR;
    }
    if let (Some(goal), Some(way)) = (goal, figure["goal"]["way"].as_str()) {
        let x = LEFT + goal / most * LONGEST;
        let _ = writeln!(
            body,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{}\" stroke=\"#000\" stroke-dasharray=\"3 2\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\" font-size=\"10\">{way} {}</text>",
            *y + 8.0,
            *y + 18.0,
            short(goal)
        );
        *y += 12.0;
    }
    *y += 30.0;
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
