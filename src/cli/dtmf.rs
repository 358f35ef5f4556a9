//! `ifbus dtmf`.

use ifbus_call::Digits;

use super::act::Act;
use super::errors::Failure;
use super::words::{Party, Words};

/// A party hears digits.
pub fn dtmf(words: &[String]) -> Result<Act, Failure> {
    let words = Words::sort("dtmf", words, &["call_id", "digits", "leg"])?;
    let digits: Digits = words.need("dtmf", "digits")?;
    let leg: Option<Party> = words.get("leg")?;
    let act = Act::new("dtmf", &words, Some(format!("digits {} played", digits.as_str())))?;
    Ok(act.field("digits", Some(digits.into())).field("leg", leg.map(|leg| leg.0)))
}
