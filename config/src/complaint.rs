//! What a deserializer complains about, made useful and harmless: the nearest known word added, values taken out.
//!
//! The texts are those of serde's standard errors; a test keeps them in step. Used for the file here and for request
//! bodies elsewhere, so that a wrong key gets the same help everywhere.

/// A word that is not known where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unknown {
    /// The word, cut to a printable length.
    pub word: String,
    /// What would be known there.
    pub known: Vec<String>,
}

/// The longest word repeated in a message.
const WORD_MAX: usize = 40;

impl Unknown {
    /// A sentence: what is unknown, and the nearest word or all of them.
    #[must_use]
    pub fn sentence(&self, what: &str) -> String {
        format!("there is no {what} `{}`; {}", self.word, self.hint())
    }

    /// `did you mean x?`, or every known word.
    #[must_use]
    pub fn hint(&self) -> String {
        match nearest(&self.word, self.known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if self.known.is_empty() => "none is known here".to_owned(),
            None => format!("known: {}", self.known.join(", ")),
        }
    }
}

/// The unknown word and its alternatives, if this is what serde's `message` is about.
#[must_use]
pub fn unknown(message: &str) -> Option<Unknown> {
    let rest = ["unknown field `", "unknown variant `"].iter().find_map(|start| {
        let at = message.find(start)?;
        Some(&message[at + start.len()..])
    })?;
    // The word is hostile and may hold a backtick; what serde adds begins at the last `, ` + one of its three forms.
    let end = ["`, expected ", "`, there are no "].iter().filter_map(|form| rest.rfind(form)).max()?;
    let known = rest[end + 1..].split('`').skip(1).step_by(2).map(str::to_owned).collect();
    Some(Unknown { word: printable(&rest[..end], WORD_MAX), known })
}

/// serde's `message` without the value it quotes: a value may be a secret.
#[must_use]
pub fn without_value(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or(message);
    for form in ["invalid type: ", "invalid value: "] {
        if let Some(at) = message.find(form) {
            return match message.rfind(", expected ") {
                Some(expected) if expected > at => format!("expected {}", &message[expected + 11..]),
                _ => "a value is not of its form".to_owned(),
            };
        }
    }
    printable(message, 300)
}

/// The known word nearest to `word`, if one is near enough to be meant.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    let enough = (word.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(far, candidate)| {
            *far <= enough || (word.len() >= 3 && candidate.to_ascii_lowercase().starts_with(&word))
        })
        .min_by_key(|(far, _)| *far)
        .map(|(_, candidate)| candidate)
}

/// `text` with control characters escaped, cut to `max` characters: safe for a terminal and a log.
#[must_use]
pub fn printable(text: &str, max: usize) -> String {
    let is_hostile = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
            || matches!(c, '\u{061c}' | '\u{feff}')
    };
    let mut shown = String::new();
    for (index, c) in text.chars().enumerate() {
        if index == max {
            shown.push_str("...");
            break;
        }
        if is_hostile(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// Insertions, deletions, replacements and swaps of neighbours between two words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}
