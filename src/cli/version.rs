//! `ifbus version`: ours, and that of the orchestrator if one runs. Starts none.

use ifbus::serve::http::body::SummaryBody;
use serde_json::json;

use super::errors::Failure;
use super::screen::{Colour, Screen};
use super::session;

/// This program's version.
const OURS: &str = env!("CARGO_PKG_VERSION");

/// Prints them.
pub async fn run(screen: &Screen, on: Option<&str>) -> Result<(), Failure> {
    let theirs = match session::existing(on).await? {
        Some(client) => {
            Some((client.base().clone(), client.get("/v1/summary").await?.parse::<SummaryBody>()?.version))
        }
        None => None,
    };
    if screen.json {
        let version = theirs.as_ref().map(|(_, version)| version);
        return screen.line(&json!({ "ifbus": OURS, "orchestrator": version }).to_string());
    }
    screen.line(&format!("ifbus {OURS}"))?;
    match theirs {
        None => screen.line("orchestrator: none runs here"),
        Some((base, version)) => {
            screen.line(&format!("orchestrator {version} at {base}"))?;
            if version != OURS {
                let text = "the two differ; what one of them does not know is refused by name. same again: ifbus stop, then any command";
                screen.note_as(Colour::Yellow, "warn", text);
            }
            Ok(())
        }
    }
}
