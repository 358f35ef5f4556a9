//! `ifbus setup KIND`: exactly what an operator has to put on a server, with nothing to guess.
//!
//! The texts live beside this file, one folder per kind, and are used by tests against real servers and by the
//! documentation as they are. Names and secrets are never defaults.

mod diff;
mod known;
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
const FLEXISIP: [Part; 1] = [Part {
    word: "proxy",
    file: "flexisip.conf",
    text: include_str!("flexisip/flexisip.conf"),
    reload: "systemctl restart flexisip-proxy",
}];
const KAMAILIO: [Part; 2] = [
    Part {
        word: "modules",
        file: "ifbus-modules.cfg",
        text: include_str!("kamailio/ifbus-modules.cfg"),
        reload: "kamailio -c, then restart",
    },
    Part {
        word: "routes",
        file: "ifbus-routes.cfg",
        text: include_str!("kamailio/ifbus-routes.cfg"),
        reload: "kamailio -c, then restart",
    },
];

const ELASTIX: [Part; 4] = [
    Part {
        word: "manager",
        file: "manager_custom.conf",
        text: include_str!("elastix/manager_custom.conf"),
        reload: "manager reload",
    },
    Part {
        word: "dialplan",
        file: "extensions_custom.conf",
        // the waiting places are those of every Asterisk
        text: concat!(include_str!("asterisk/extensions.conf"), include_str!("elastix/contexts.conf")),
        reload: "dialplan reload",
    },
    Part {
        word: "recordings",
        file: "ifbus-recordings.conf",
        text: include_str!("elastix/ifbus-recordings.conf"),
        reload: "systemctl reload httpd",
    },
    Part {
        word: "pbxapi",
        file: "issabel.conf",
        text: include_str!("elastix/issabel.conf"),
        reload: "systemctl restart httpd php-fpm",
    },
];

const YATE: [Part; 3] = [
    Part { word: "modules", file: "yate.conf", text: include_str!("yate/yate.conf"), reload: "restart yate" },
    Part {
        word: "listener",
        file: "extmodule.conf",
        text: include_str!("yate/extmodule.conf"),
        reload: "restart yate",
    },
    Part { word: "sounds", file: "sounds.sh", text: include_str!("yate/sounds.sh"), reload: "sh sounds.sh" },
];

const FREESWITCH: [Part; 1] = [Part {
    word: "socket",
    file: "event_socket.conf.xml",
    text: include_str!("freeswitch/event_socket.conf.xml"),
    reload: "reload mod_event_socket",
}];

const OPENSIPS: [Part; 2] = [
    Part {
        word: "modules",
        file: "ifbus-modules.cfg",
        text: include_str!("opensips/ifbus-modules.cfg"),
        reload: "opensips -c, then restart",
    },
    Part {
        word: "routes",
        file: "ifbus-routes.cfg",
        text: include_str!("opensips/ifbus-routes.cfg"),
        reload: "opensips -c, then restart",
    },
];
/// What stands for the server's name in the texts.
const NAME: &str = "NAME";
/// Why a test is content without a line that tells of calls.
const BY_A_CALL: &str = "only a call shows it";
/// Lines that `ifbus test` cannot see, with the reason: they have to be taken as they are printed. Every other line is
/// seen: without it a test fails or warns, or the server refuses its configuration (a test removes each in turn). The
/// head of a block stands for all of it.
const UNSEEN: &[(&str, &str, &str)] = &[
    ("manager", "bindaddr", "the default, every address, works too, and is less safe"),
    ("manager", "port", "it is the default"),
    ("manager", "disabledevents", "saves the server work, and changes nothing for ifbus"),
    ("manager", "timestampevents", "is for people who read a trace"),
    ("manager", "deny", "without it others are let in, not ifbus kept out"),
    ("manager", "writetimeout", "matters only while ifbus is slow to read"),
    ("http", "bindaddr", "another address works too, if ifbus reaches it"),
    ("http", "bindport", "it is the default"),
    ("ari", "enabled", "it is the default"),
    ("ari", "[general]", "it is the default"),
    ("ari", "read_only", "it is the default"),
    ("dialplan", "[ifbus-inbound]", "22.10 and later refuse calls by a command"),
    ("dialplan", "exten => s,1,GotoIf", "22.10 and later refuse calls by a command"),
    ("dialplan", "same => n,Return()", "22.10 and later refuse calls by a command"),
    ("dialplan", "same => n(full)", "22.10 and later refuse calls by a command"),
    ("socket", "listen-ip", "the default, this machine alone, works too, if ifbus runs there"),
    ("socket", "listen-port", "it is the default"),
    ("socket", "stop-on-bind-error", "matters only where another program has the port"),
    ("modules", "tcp_accept_no_cl", "ifbus gives a length to each request; other programs may not"),
    ("modules", "modparam(\"jsonrpcs\", \"pretty_format\"", "only makes answers shorter"),
    ("modules", "modparam(\"rr\", \"append_fromtag\"", BY_A_CALL),
    ("modules", "modparam(\"dialog\", \"enable_stats\"", "it is the default"),
    ("modules", "modparam(\"dialog\", \"track_cseq_updates\"", BY_A_CALL),
    ("modules", "modparam(\"evapi\", \"workers\"", "it is the default"),
    ("routes", "route[IFBUS_CALL]", BY_A_CALL),
    ("routes", "route[IFBUS_IN_CALL]", BY_A_CALL),
    ("routes", "failure_route[IFBUS_FAILURE]", BY_A_CALL),
    ("routes", "event_route[dialog:start]", BY_A_CALL),
    ("routes", "event_route[dialog:end]", BY_A_CALL),
    ("routes", "event_route[dialog:failed]", BY_A_CALL),
    ("routes", "route[IFBUS_TELL]", BY_A_CALL),
    ("routes", "exit;", "without it others are let in, not ifbus kept out"),
    ("routes", "xhttp_reply(\"401\"", "without it others are let in, not ifbus kept out"),
    ("routes", "xhttp_reply(\"404\"", "ifbus asks for no other path"),
    ("proxy", "trusted-hosts", "only a call shows it, and a digest account works, too"),
    ("proxy", "white-list", "matters only under many calls at once"),
    ("proxy", "[module::", "sections are the server's own"),
];

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
                unseen(part).map(|(line, why)| json!({ "line": line, "why": why })).collect();
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
        .flat_map(|part| unseen(part).map(|(line, _)| format!("{} {line}", part.word)))
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

const fn parts(kind: Kind) -> &'static [Part] {
    match kind {
        Kind::Asterisk => &ASTERISK,
        Kind::Flexisip => &FLEXISIP,
        Kind::Kamailio => &KAMAILIO,
        Kind::Elastix => &ELASTIX,
        Kind::Yate => &YATE,
        Kind::FreeSwitch => &FREESWITCH,
        Kind::OpenSips => &OPENSIPS,
    }
}

fn unseen(part: &Part) -> impl Iterator<Item = (&'static str, &'static str)> {
    let word = part.word;
    let text = part.text;
    UNSEEN
        .iter()
        .filter(move |(of, line, _)| *of == word && text.contains(line))
        .map(|(_, line, why)| (*line, *why))
}

fn filled(part: &Part, known: &Known) -> String {
    known.fill(part.text).replace(NAME, known.name.as_deref().unwrap_or(NAME))
}
