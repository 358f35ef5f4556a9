//! The text of a configuration file as it may be shown: with every value hidden that could be a secret.
//!
//! Column and line of everything stay as they are. Where the file cannot be parsed, more is hidden than is needed.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Keys whose values are never secrets, wherever they stand below the top.
const HARMLESS: [&str; 10] =
    ["listen", "hosts", "store", "kind", "host", "port", "capacity", "cps", "tags", "scopes"];
/// Parts of a key that make its value a secret even among settings.
const TELLTALE: [&str; 5] = ["secret", "pass", "token", "auth", "key"];

/// `text` with its possible secrets replaced by `*`.
pub fn masked(text: &str) -> String {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut hidden = Vec::new();
    if errors.is_empty() {
        in_table(document.get_ref(), &[], &mut hidden);
    } else {
        in_lines(text, &mut hidden);
    }
    let mut shown = text.as_bytes().to_vec();
    for range in hidden {
        for byte in &mut shown[range] {
            if *byte != b'\n' {
                *byte = b'*';
            }
        }
    }
    String::from_utf8(shown).expect("whole values were replaced by ASCII")
}

fn in_table(table: &DeTable<'_>, path: &[&str], hidden: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        let key: &str = key.get_ref().as_ref();
        if !(HARMLESS.contains(&key) || is_user(key)) {
            in_value(value, &[path, &[key]].concat(), hidden);
        }
    }
}

fn in_value(value: &Spanned<DeValue<'_>>, path: &[&str], hidden: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::Table(table) => in_table(table, path, hidden),
        DeValue::Array(array) => array.iter().for_each(|item| in_value(item, path, hidden)),
        DeValue::String(text) if is_reference(text) => {}
        _ if is_setting(path) => {}
        _ => hidden.push(value.span()),
    }
}

/// `servers.NAME.set.KEY` with a key that tells of nothing secret; `limits.KEY`.
fn is_setting(path: &[&str]) -> bool {
    match path {
        ["servers", _, "set", key] => !TELLTALE.iter().any(|part| key.to_ascii_lowercase().contains(part)),
        ["limits", ..] => true,
        _ => false,
    }
}

/// Whether the value of this `auth` key names somebody and hides nothing.
pub fn is_user(key: &str) -> bool {
    key == "user" || key.ends_with("_user")
}

fn is_reference(text: &str) -> bool {
    text.starts_with("env:") || text.starts_with("file:")
}

/// Without a parse: whatever follows a `=` on a line that is, or may be, about secrets.
fn in_lines(text: &str, hidden: &mut Vec<Range<usize>>) {
    let (mut section, mut open, mut start) = (false, false, 0);
    for line in text.split_inclusive('\n') {
        let lower = line.to_ascii_lowercase();
        let tells = TELLTALE.iter().any(|part| lower.contains(part));
        if lower.trim_start().starts_with('[') {
            section = tells;
            open = false;
        } else if section || open || tells {
            let end = start + line.trim_end().len();
            match line.find('=').map(|at| start + at + 1) {
                Some(after) if after < end => hidden.push(after..end),
                Some(_) => {}
                None => hidden.push(start..end),
            }
        }
        // A table or text that goes on in the next line is of the same sort.
        open = (open || tells)
            && !lower.contains(['}', ']'])
            && (open || lower.contains(['{', '[']) || lower.contains("\"\"\""));
        start += line.len();
    }
}
