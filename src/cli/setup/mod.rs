//! `ifbus setup KIND`: exactly what an operator has to put on a server, with nothing to guess.
//!
//! The texts live beside this file, one folder per kind, and are used by tests against real servers and by the
//! documentation as they are. Names and secrets are never defaults.

mod diff;
mod known;
mod parts;
#[cfg(test)]
mod tests;

use std::path::Path;

use ifbus_call::Kind;
use serde_json::json;

use super::errors::{Exit, Failure};
use super::grammar::SetupArgs;
use super::render::clean;
use super::screen::Screen;
use super::words;
use diff::Sections;
use known::Known;
use parts::{Part, parts};

/// What stands for the server's name in the texts.
const NAME: &str = "NAME";
/// Prints it.
pub async fn run(screen: &Screen, on: Option<&str>, args: &SetupArgs) -> Result<(), Failure> {
    let kind: Kind = args
        .kind
        .parse()
        .map_err(|error: ifbus_call::kind::UnknownKind| Failure::usage(error.to_string()))?;
    let name = args.name.as_deref().map(words::server).transpose()?;
    let only = match (&args.only, &args.diff) {
        (None, Some(file)) => Some(of_file(kind, file)?),
        (only, _) => only.clone(),
    };
    let chosen: Vec<&Part> =
        parts(kind).iter().filter(|part| only.as_deref().is_none_or(|only| only == part.word)).collect();
    if chosen.is_empty() {
        let only = only.unwrap_or_default();
        let words: Vec<&str> = parts(kind).iter().map(|part| part.word).collect();
        return Err(Failure::usage(format!("{kind} has no part `{}`", clean(&only)))
            .with(format!("known: {}", words.join(", "))));
    }
    let known = Known::find(name.map(|name| name.to_string()), args.host.clone(), on).await;
    if let Some(file) = &args.diff {
        return diff(screen, kind, chosen[0], &known, file);
    }
    print(screen, kind, &chosen, &known)
}

fn print(screen: &Screen, kind: Kind, chosen: &[&Part], known: &Known) -> Result<(), Failure> {
    let name = known.name.as_deref().unwrap_or(NAME);
    if screen.json {
        let file = |part: &&Part| {
            let unseen: Vec<_> =
                part.unseen.iter().map(|(line, why)| json!({ "line": line, "why": why })).collect();
            json!({ "part": part.word, "file": part.file, "text": filled(part, known), "reload": part.reload,
                    "not_seen_by_test": unseen })
        };
        let files: Vec<_> = chosen.iter().map(file).collect();
        return screen.line(&json!({ "object": "setup", "kind": kind, "files": files }).to_string());
    }
    for part in chosen {
        screen.line(&format!("{} ===== {} =====", comment(kind), part.file))?;
        screen.line(filled(part, known).trim_end())?;
        screen.line("")?;
    }
    let mut reloads: Vec<&str> = chosen.iter().map(|part| part.reload).collect();
    reloads.dedup();
    let more = parts(kind).len() - chosen.len();
    if more > 0 {
        screen.note(&format!("{} of {} files, all: --all", chosen.len(), parts(kind).len()));
    }
    let lines: Vec<String> = chosen
        .iter()
        .flat_map(|part| part.unseen.iter().map(|(line, _)| format!("{} {line}", part.word)))
        .collect();
    if !lines.is_empty() {
        screen.note(&format!("not seen by a test, so take them as they are: {}", lines.join(", ")));
    }
    screen.note(&format!("nothing was changed on {name}. apply there: {}", reloads.join(", ")));
    let host = known.host.as_deref().unwrap_or("HOST");
    screen.note(&format!(
        "then here: ifbus add sip {name} {kind} --host {}{}     check: ifbus test sip {name}",
        clean(host),
        auth(kind)
    ));
    Ok(())
}

/// What a file of the operator lacks.
fn diff(screen: &Screen, kind: Kind, part: &Part, known: &Known, file: &Path) -> Result<(), Failure> {
    let theirs = std::fs::read_to_string(file)
        .map_err(|error| Failure::here(format!("{}: {error}", file.display())))?;
    let ours = filled(part, known);
    let lines = match kind {
        Kind::Asterisk | Kind::Elastix | Kind::Flexisip | Kind::FreeSwitch | Kind::Yate => {
            Sections::parse(&ours).missing_in(&Sections::parse(&theirs), part.word == "dialplan")
        }
        Kind::Kamailio | Kind::OpenSips => diff::lines_missing_in(&ours, &theirs),
    };
    if screen.json {
        let body = json!({ "object": "diff", "file": file, "part": part.word, "lines": lines, "reload": part.reload });
        screen.line(&body.to_string())?;
    } else if lines.is_empty() {
        screen.line(&format!("{} has everything of {}", file.display(), part.file))?;
    } else {
        screen.lines(lines.iter().map(|line| clean(line)))?;
        screen.note(&format!("nothing was changed. after the change, on the server: {}", part.reload));
    }
    if lines.is_empty() { Ok(()) } else { Err(Failure::said(Exit::Failed)) }
}

/// The part that a file is, by its name.
fn of_file(kind: Kind, file: &Path) -> Result<String, Failure> {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match parts(kind).iter().find(|part| name.ends_with(part.file)) {
        Some(part) => Ok(part.word.to_owned()),
        None => {
            let failure = Failure::usage(format!("which part is {}? its name does not tell", clean(name)));
            let words: Vec<&str> = parts(kind).iter().map(|part| part.word).collect();
            Err(failure.with(format!("add --only with one of: {}", words.join(", "))))
        }
    }
}

/// How a line is begun that the server does not read.
const fn comment(kind: Kind) -> &'static str {
    match kind {
        Kind::Asterisk | Kind::Elastix | Kind::Yate => ";",
        Kind::Flexisip | Kind::FreeSwitch | Kind::Kamailio | Kind::OpenSips => "#",
    }
}

/// What is shown at login, as it is given to `add`.
const fn auth(kind: Kind) -> &'static str {
    match kind {
        Kind::Asterisk | Kind::Elastix | Kind::OpenSips => " --auth user=ifbus,secret=prompt",
        Kind::FreeSwitch | Kind::Kamailio => " --auth secret=prompt",
        Kind::Yate => "",
        Kind::Flexisip => " --auth events_secret=prompt",
    }
}

fn filled(part: &Part, known: &Known) -> String {
    known.fill(part.text).replace(NAME, known.name.as_deref().unwrap_or(NAME))
}
