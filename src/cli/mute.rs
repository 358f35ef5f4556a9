//! `ifbus mute` and `ifbus unmute`.

use super::act::Act;
use super::errors::Failure;
use super::words::{Party, Way, Words};

/// A party is silenced.
pub fn mute(words: &[String]) -> Result<Act, Failure> {
    either("mute", words, "muted")
}

/// A party is heard again.
pub fn unmute(words: &[String]) -> Result<Act, Failure> {
    either("unmute", words, "not muted")
}

fn either(verb: &'static str, words: &[String], says: &str) -> Result<Act, Failure> {
    let words = Words::sort(verb, words, &["call_id", "leg", "direction"])?;
    let leg: Option<Party> = words.get("leg")?;
    let direction: Option<Way> = words.get("direction")?;
    let act = Act::new(verb, &words, Some(says.to_owned()))?;
    Ok(act.field("leg", leg.map(|leg| leg.0)).field("direction", direction.map(|way| way.0)))
}
