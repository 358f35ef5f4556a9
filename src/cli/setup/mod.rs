//! `ifbus setup KIND`: exactly what an operator has to put on a server, with nothing to guess.
//!
//! The texts live beside this file, one folder per kind, and are used by tests against real servers and by the
//! documentation as they are. Names and secrets are never defaults.

use ifbus_call::Kind;
use serde_json::json;

use super::errors::Failure;
use super::grammar::SetupArgs;
use super::screen::Screen;
use super::words;

/// A file on a server.
struct Part {
    /// Its word for `--only`.
    word: &'static str,
    /// Its name on the server.
    file: &'static str,
    text: &'static str,
    /// What makes the server read it.
    reload: &'static str,
}

const ASTERISK: [Part; 4] = [
    Part {
        word: "manager",
        file: "manager.conf",
        text: include_str!("asterisk/manager.conf"),
        reload: "manager reload",
    },
    Part {
        word: "http",
        file: "http.conf",
        text: include_str!("asterisk/http.conf"),
        reload: "module reload http",
    },
    Part {
        word: "ari",
        file: "ari.conf",
        text: include_str!("asterisk/ari.conf"),
        reload: "module reload res_ari.so",
    },
    Part {
        word: "dialplan",
        file: "extensions.conf",
        text: include_str!("asterisk/extensions.conf"),
        reload: "dialplan reload",
    },
];
/// What stands for the server's name in the texts.
const NAME: &str = "NAME";

/// Prints it.
pub fn run(screen: &Screen, args: &SetupArgs) -> Result<(), Failure> {
    let kind: Kind = args
        .kind
        .parse()
        .map_err(|error: ifbus_call::kind::UnknownKind| Failure::usage(error.to_string()))?;
    let name = args.name.as_deref().map(words::server).transpose()?;
    let name = name.as_ref().map_or(NAME, |name| name.as_str());
    let parts: Vec<&Part> =
        parts(kind).iter().filter(|part| args.only.as_deref().is_none_or(|only| only == part.word)).collect();
    if parts.is_empty() {
        let known: Vec<&str> = parts_words(kind);
        let only = args.only.as_deref().unwrap_or_default();
        return Err(Failure::usage(format!("{kind} has no part `{only}`"))
            .with(format!("known: {}", known.join(", "))));
    }
    if screen.json {
        let files: Vec<_> = parts
            .iter()
            .map(|part| json!({ "file": part.file, "text": filled(part, name), "reload": part.reload }))
            .collect();
        return screen.line(&json!({ "kind": kind, "files": files }).to_string());
    }
    for part in &parts {
        screen.line(&format!("; ===== {} =====", part.file))?;
        screen.line(filled(part, name).trim_end())?;
        screen.line("")?;
    }
    let reloads: Vec<&str> = parts.iter().map(|part| part.reload).collect();
    screen.note(&format!("nothing was changed on {name}. apply there: {}", reloads.join(", ")));
    screen.note(&format!("then here: ifbus add sip {name} {kind} --host HOST --auth user=ifbus,secret=prompt     check: ifbus test sip {name}"));
    Ok(())
}

const fn parts(kind: Kind) -> &'static [Part] {
    match kind {
        Kind::Asterisk => &ASTERISK,
    }
}

fn parts_words(kind: Kind) -> Vec<&'static str> {
    parts(kind).iter().map(|part| part.word).collect()
}

fn filled(part: &Part, name: &str) -> String {
    part.text.replace(NAME, name)
}
