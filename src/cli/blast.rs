//! Before something that cannot be taken back: what would be done, whether to ask, and the answer.
//!
//! By blast radius: what touches one call is just done; what touches several, or takes something away that carries
//! calls, is asked about, and the default is no. `--dry-run` says the same sentence and does nothing, `--yes` does not
//! ask. Not here: how a terminal is asked (`screen`), what is done.

use serde_json::json;

use super::errors::{Exit, Failure};
use super::screen::Screen;

/// How an operator wants to be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Consent {
    /// Do not ask.
    pub yes: bool,
    /// Say what would be done, do nothing.
    pub dry_run: bool,
}

/// Something that is about to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Blast {
    /// What, in a sentence that begins with the verb and says how many: `hang up 3 calls of ours on pbx1`.
    pub text: String,
    /// Whether it is worth a question.
    pub is_wide: bool,
    /// The calls it touches, whole ids.
    pub calls: Vec<String>,
}

impl Blast {
    /// Whether to go on.
    ///
    /// # Errors
    /// No: silently, everything was said; or it has to be asked and nobody can be (exit 2).
    pub fn go_on(&self, screen: &Screen, consent: Consent) -> Result<bool, Failure> {
        if consent.dry_run {
            if screen.json {
                let plan = json!({ "object": "plan", "would": self.text, "calls": self.calls });
                screen.line(&plan.to_string())?;
            } else {
                screen.line(&format!("{} (dry run: nothing was changed)", self.text))?;
            }
            return Ok(false);
        }
        if self.is_wide && !screen.confirm(&self.text, consent.yes)? {
            screen.note("nothing was changed");
            return Err(Failure::said(Exit::Failed));
        }
        Ok(true)
    }
}
