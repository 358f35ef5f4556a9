//! `ifbus hold` and `ifbus resume`.

use super::act::Act;
use super::errors::Failure;
use super::words::{Party, Words};

/// One party hears music.
pub fn hold(words: &[String]) -> Result<Act, Failure> {
    let words = Words::sort("hold", words, &["call_id", "leg"])?;
    let leg: Option<Party> = words.get("leg")?;
    let mut act = Act::new("hold", &words, Some("on hold".to_owned()))?.field("leg", leg.map(|leg| leg.0));
    act.next = Some(("ifbus resume sip", ""));
    Ok(act)
}

/// The two talk again.
pub fn resume(words: &[String]) -> Result<Act, Failure> {
    let words = Words::sort("resume", words, &["call_id"])?;
    Act::new("resume", &words, Some("talking again".to_owned()))
}
