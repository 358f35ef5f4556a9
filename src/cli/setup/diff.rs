//! What is missing in a file of an operator, against the text that is printed: by sections and keys, not by lines.
//!
//! What the operator has beside it is left alone and not told. Rights are compared as sets, steps of the dialplan in
//! their order; what the operator has to choose may be anything.

use std::collections::{BTreeMap, BTreeSet};

/// A file taken apart: section, then key; for a dialplan the extension, then its steps.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sections(BTreeMap<String, BTreeMap<String, Vec<String>>>);

impl Sections {
    /// Takes a file apart.
    pub fn parse(text: &str) -> Self {
        let mut sections: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
        let (mut section, mut extension) = (String::new(), String::new());
        for line in text.lines().map(uncommented) {
            if let Some(name) =
                line.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(name, _)| name)
            {
                section = name.trim().to_owned();
                sections.entry(section.clone()).or_default();
                extension.clear();
                continue;
            }
            if let Some((tag, name, value)) = tag(line) {
                if let Some(value) = value {
                    sections.entry(section.clone()).or_default().entry(name).or_default().push(value);
                } else if tag == "configuration" {
                    section = name;
                    sections.entry(section.clone()).or_default();
                }
                continue;
            }
            let Some((key, value)) = line.split_once('=') else { continue };
            let (key, value) = (key.trim().to_ascii_lowercase(), value.trim_start_matches('>').trim());
            let keys = sections.entry(section.clone()).or_default();
            match key.as_str() {
                "exten" => {
                    let mut parts = value.splitn(3, ',').map(str::trim);
                    extension = parts.next().unwrap_or_default().to_owned();
                    keys.entry(extension.clone()).or_default().extend(parts.nth(1).map(str::to_owned));
                }
                "same" if extension.is_empty() => {}
                "same" => {
                    let step = value.split_once(',').map_or(value, |(_, step)| step.trim());
                    keys.entry(extension.clone()).or_default().push(step.to_owned());
                }
                _ => keys.entry(key).or_default().push(value.to_owned()),
            }
        }
        Self(sections)
    }

    /// What `theirs` needs to hold all of this: lines that begin with `+` and `-`, under their sections.
    pub fn missing_in(&self, theirs: &Self, is_dialplan: bool) -> Vec<String> {
        let mut lines = Vec::new();
        for (section, keys) in &self.0 {
            let known = theirs.0.get(section);
            let mut changes = Vec::new();
            for (key, ours) in keys {
                let has = known.and_then(|keys| keys.get(key));
                if has.is_some_and(|has| is_enough(key, ours, has)) {
                    continue;
                }
                changes.extend(has.into_iter().flat_map(|has| written(key, has, is_dialplan, '-')));
                changes.extend(written(key, ours, is_dialplan, '+'));
            }
            if !changes.is_empty() {
                let sign = if known.is_some() { ' ' } else { '+' };
                lines.push(format!("{sign} [{section}]"));
                lines.extend(changes);
            }
        }
        lines
    }
}

/// The name of an XML element, and what its attributes `name` and `value` say.
fn tag(line: &str) -> Option<(&str, String, Option<String>)> {
    let inside =
        line.strip_prefix('<').filter(|inside| inside.starts_with(|c: char| c.is_ascii_alphabetic()))?;
    let attribute = |key: &str| {
        let (_, rest) = inside.split_once(&format!(" {key}=\""))?;
        Some(rest.split('"').next().unwrap_or_default().to_owned())
    };
    Some((inside.split([' ', '>']).next()?, attribute("name")?, attribute("value")))
}

/// The lines of a script that `theirs` does not have, each with a `+`; what the operator has to choose may be anything.
pub fn lines_missing_in(ours: &str, theirs: &str) -> Vec<String> {
    let plain = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = |line: &String| !line.is_empty() && (!line.starts_with('#') || line.starts_with("#!"));
    let known: BTreeSet<String> = theirs.lines().map(plain).collect();
    let is_there = |line: &String| match line.split_once("(choose one") {
        Some((before, _)) => known.iter().any(|known| known.starts_with(before)),
        None => known.contains(line),
    };
    ours.lines()
        .map(plain)
        .filter(said)
        .filter(|line| !is_there(line))
        .map(|line| format!("+ {line}"))
        .collect()
}

/// The line without its comment; `\;` is no comment.
fn uncommented(line: &str) -> &str {
    let mut escaped = false;
    let end = line.char_indices().find(|(_, c)| {
        let is_comment = *c == ';' && !escaped;
        escaped = *c == '\\';
        is_comment
    });
    line[..end.map_or(line.len(), |(at, _)| at)].trim()
}

fn is_enough(key: &str, ours: &[String], has: &[String]) -> bool {
    let set = |values: &[String]| -> BTreeSet<String> {
        values
            .iter()
            .flat_map(|value| value.split(','))
            .map(|word| word.trim().to_ascii_lowercase())
            .collect()
    };
    match key {
        "read" | "write" | "disabledevents" => set(ours) == set(has),
        _ if ours.iter().any(|value| value.contains("(choose one")) => {
            has.iter().any(|value| !value.is_empty())
        }
        _ => {
            ours.len() == has.len() && ours.iter().zip(has).all(|(ours, has)| ours.eq_ignore_ascii_case(has))
        }
    }
}

fn written(key: &str, values: &[String], is_dialplan: bool, sign: char) -> Vec<String> {
    let step = |(n, step): (usize, &String)| match (is_dialplan, n) {
        (false, _) => format!("{sign} {key} = {step}"),
        (true, 0) => format!("{sign} exten => {key},1,{step}"),
        (true, _) => format!("{sign}  same => n,{step}"),
    };
    values.iter().enumerate().map(step).collect()
}
