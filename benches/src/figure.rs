//! A figure, its limit and its goal: shown as a table, kept as JSON, drawn by `plot.rs`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// One thing that was measured.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What: the row of the table.
    pub what: String,
    /// Of what the numbers are: `events/s`, `us`.
    pub unit: &'static str,
    /// What came of it.
    pub ours: f64,
    /// What nobody can beat, or what others reach, measured in the same run.
    pub beside: Vec<(String, f64)>,
    /// What was promised, and whether more is better.
    pub goal: Option<(f64, Better)>,
}

/// Which way is better.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Better {
    /// A rate.
    More,
    /// A cost.
    Less,
}

impl Figure {
    /// A figure without anything beside it yet.
    pub fn new(what: impl Into<String>, unit: &'static str, ours: f64) -> Self {
        Self { what: what.into(), unit, ours, beside: Vec::new(), goal: None }
    }

    /// Puts another figure of the same run beside it.
    pub fn beside(mut self, name: impl Into<String>, value: f64) -> Self {
        self.beside.push((name.into(), value));
        self
    }

    /// At least this is promised.
    pub fn at_least(mut self, goal: f64) -> Self {
        self.goal = Some((goal, Better::More));
        self
    }

    /// At most this is promised.
    pub fn at_most(mut self, goal: f64) -> Self {
        self.goal = Some((goal, Better::Less));
        self
    }

    /// Whether the goal is reached, if there is one.
    pub fn is_reached(&self) -> Option<bool> {
        self.goal.map(|(goal, better)| match better {
            Better::More => self.ours >= goal,
            Better::Less => self.ours <= goal,
        })
    }

    fn json(&self) -> Value {
        let beside: Vec<Value> =
            self.beside.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        let goal = self.goal.map(|(goal, better)| {
            let way = if better == Better::More { "at least" } else { "at most" };
            json!({ "way": way, "value": goal })
        });
        json!({
            "what": self.what, "unit": self.unit, "ours": self.ours, "beside": beside, "goal": goal,
            "reached": self.is_reached(),
        })
    }
}

/// Prints a table and keeps it as JSON in `folder`. Of a bench that was run for some kinds only, `in_part`, the figures of
/// the others stay as they were.
pub fn keep(folder: &Path, bench: &str, notes: &[String], figures: &[Figure], in_part: bool) {
    say(&format!("\n## {bench}\n"));
    for note in notes {
        say(&format!("- {note}"));
    }
    say("\n| what | unit | ours | goal | reached | beside it |\n|---|---|---|---|---|---|");
    for figure in figures {
        let goal = figure.goal.map_or(String::new(), |(goal, better)| {
            format!("{} {}", if better == Better::More { ">=" } else { "<=" }, short(goal))
        });
        let reached = figure.is_reached().map_or("", |reached| if reached { "yes" } else { "**no**" });
        let beside: Vec<String> =
            figure.beside.iter().map(|(name, value)| format!("{name} {}", short(*value))).collect();
        let cells = [
            figure.what.clone(),
            figure.unit.to_owned(),
            short(figure.ours),
            goal,
            reached.to_owned(),
            beside.join("; "),
        ];
        say(&format!("| {} |", cells.join(" | ")));
    }
    let figures: Vec<Value> = figures.iter().map(Figure::json).collect();
    let mut kept = json!({ "bench": bench, "notes": notes, "figures": figures });
    if in_part {
        let before = fs::read_to_string(path(folder, bench)).unwrap_or_default();
        kept = merged(serde_json::from_str(&before).unwrap_or_default(), kept);
    }
    let written =
        fs::create_dir_all(folder).and_then(|()| fs::write(path(folder, bench), format!("{kept:#}\n")));
    if let Err(error) = written {
        say(&format!("\nnot kept: {error}"));
    }
}

/// What was kept, with what was measured anew in its place.
fn merged(mut before: Value, new: Value) -> Value {
    // A note is known by its words before the first number.
    let words = |note: &str| note.split(|c: char| c.is_ascii_digit()).next().unwrap_or_default().to_owned();
    let same = |one: &Value, other: &Value| match (one, other) {
        (Value::String(one), Value::String(other)) if !words(one).is_empty() => words(one) == words(other),
        (Value::String(one), Value::String(other)) => one == other,
        (one, other) => one["what"] == other["what"],
    };
    let Some(parts) = before.as_object_mut() else { return new };
    for key in ["notes", "figures"] {
        let Some(known) = parts.get_mut(key).and_then(Value::as_array_mut) else { return new };
        for item in new[key].as_array().into_iter().flatten() {
            match known.iter_mut().find(|known| same(known, item)) {
                Some(place) => *place = item.clone(),
                None => known.push(item.clone()),
            }
        }
    }
    before
}

/// Where the figures of a bench are kept.
pub fn path(folder: &Path, bench: &str) -> PathBuf {
    folder.join(format!("{bench}.json"))
}

/// A number as people read it.
pub fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 1e6 => format!("{:.2} M", value / 1e6),
        large if large >= 1e4 => format!("{:.0} k", value / 1e3),
        middle if middle >= 100.0 => format!("{value:.0}"),
        middle if middle >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Prints a line: tables are what this program is for.
#[expect(clippy::print_stdout, reason = "the tables are the output")]
pub fn say(line: &str) {
    println!("{line}");
}
