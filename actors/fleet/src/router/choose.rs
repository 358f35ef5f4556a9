//! Which server takes a call: pure, with a reason for the choice and for each server passed over.

use std::collections::BTreeMap;
use std::sync::Arc;

use ifbus_call::ServerName;

use crate::problem::Skipped;
use crate::view::{ServerState, ServerView};

/// A server was chosen.
#[derive(Clone, PartialEq, Debug)]
pub struct Choice {
    /// Which.
    pub server: ServerName,
    /// Why, for people.
    pub why: String,
    /// Who was passed over, and why.
    pub skipped: Vec<Skipped>,
}

/// Chooses among `servers`: of those that take calls and have room the one with the smallest share of its capacity in
/// use, by name where two are equal. When none takes calls, those that are only suspected are used: none at all would
/// be worse.
///
/// `refused` names servers that cannot be used for this call, with the reason (tried before, rate exceeded, not named).
///
/// # Errors
/// Every server, with the reason it was passed over.
pub fn choose(
    servers: &[Arc<ServerView>],
    refused: &BTreeMap<ServerName, Skipped>,
) -> Result<Choice, Vec<Skipped>> {
    let mut skipped = Vec::new();
    let mut good = Vec::new();
    let mut suspect = Vec::new();
    for server in servers {
        if let Some(reason) = refused.get(&server.name) {
            skipped.push(reason.clone());
        } else if server.calls >= server.capacity {
            skipped.push(skip(
                server,
                "at_capacity",
                Some(format!("{} of {} calls", server.calls, server.capacity)),
            ));
        } else if server.state.takes_calls() {
            good.push(server);
        } else if server.state == ServerState::Suspect {
            suspect.push(server);
        } else {
            skipped.push(skip(server, server.state.as_str(), server.note.clone()));
        }
    }
    let failing_open = good.is_empty() && !suspect.is_empty();
    if failing_open {
        good = suspect;
    } else {
        skipped.extend(suspect.into_iter().map(|server| skip(server, "suspect", server.note.clone())));
    }
    let eligible = good.len();
    let best =
        good.into_iter().min_by(|a, b| share(a).total_cmp(&share(b)).then_with(|| a.name.cmp(&b.name)));
    let Some(best) = best else { return Err(skipped) };
    let mut why = match eligible {
        1 => "the only eligible one".to_owned(),
        n => format!("fewest calls of {n} eligible"),
    };
    if failing_open {
        why.push_str(", all are suspected");
    }
    if !skipped.is_empty() {
        let passed: Vec<String> =
            skipped.iter().map(|skip| format!("{} {}", skip.server, skip.reason)).collect();
        why.push_str(&format!(" ({})", passed.join(", ")));
    }
    Ok(Choice { server: best.name.clone(), why, skipped })
}

/// A server that is passed over.
#[must_use]
pub fn skip(server: &ServerView, reason: &str, detail: Option<String>) -> Skipped {
    Skipped { server: server.name.clone(), reason: reason.to_owned(), detail }
}

fn share(server: &ServerView) -> f64 {
    f64::from(server.calls) / f64::from(server.capacity.max(1))
}
