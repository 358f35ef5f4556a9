//! Which verb works on which kind of server, and how: the one table behind `ifbus matrix`, `GET /v1/matrix` and
//! `docs/matrix.md`.
//!
//! Closed: a kind without an adapter in this build is no column. What was proven, and when, is not said here but read
//! from what the conformance run wrote (`tests/conformance/prove.rs`).

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write;

use ifbus_call::Kind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the conformance run wrote.
const PROVEN: &str = include_str!("../../tests/conformance/proven.json");
/// What an Asterisk needs for every verb on a call.
const PLACES: &str = "the dialplan context `ifbus`";
/// What a Flexisip needs to tell of calls that nobody of ours ordered.
const PUSHED: &str = "calls of others that begin while ifbus listens for its pushes: `events`";

/// What a proxy needs for calls of ours.
const LET_IN: &str = "the proxy lets calls of our address, or of `sip_user`, through";

/// How a verb works on a kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// By the server's own interface.
    Native,
    /// By the server's own interface, once the named prerequisite is there.
    Setup,
    /// By our own SIP agent, through the server.
    Agent,
    /// A proxy has no media: another server of the fleet lends its own.
    Anchor,
    /// Not in this build.
    NotYet,
}

impl How {
    /// The word on every surface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Setup => "setup",
            Self::Agent => "agent",
            Self::Anchor => "anchor",
            Self::NotYet => "not yet",
        }
    }

    const fn meaning(self) -> &'static str {
        match self {
            Self::Native => "the server's own interface, with what `ifbus setup KIND` prints",
            Self::Setup => "native, and needs the prerequisite that is named beside it",
            Self::Agent => "our own SIP agent, through the server",
            Self::Anchor => "by a server of the fleet that lends its media: `--set anchor=NAME`",
            Self::NotYet => "not in this build",
        }
    }
}

/// One cell.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct CellBody {
    /// How.
    pub how: How,
    /// What the operator has to have done; absent if a login is enough.
    pub needs: Option<String>,
}

/// One verb.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct VerbBody {
    /// Its word.
    pub verb: String,
    /// By kind.
    pub cells: BTreeMap<String, CellBody>,
}

/// A server on which a whole conformance run passed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProvenBody {
    /// Its kind.
    pub kind: String,
    /// `real` or `simulated`.
    pub server: String,
    /// In its own words.
    pub version: String,
    /// How it was spoken to.
    pub way: String,
    /// The day of the run.
    pub on: String,
    /// What passed.
    pub cells: Vec<String>,
}

/// Verbs and kinds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct MatrixBody {
    /// Always `matrix`.
    pub object: String,
    /// The kinds this build has adapters for.
    pub kinds: Vec<String>,
    /// All verbs, in the order of a call's life.
    pub verbs: Vec<VerbBody>,
    /// What the words of the cells mean.
    pub legend: BTreeMap<String, String>,
    /// What passed, on which versions, and when.
    pub proven: Vec<ProvenBody>,
}

type Cell = (How, Option<&'static str>);

/// The 20 verbs (design, section 3).
pub const VERBS: [&str; 20] = [
    "connect",
    "health",
    "events",
    "load",
    "list",
    "originate",
    "cancel",
    "hangup",
    "hold",
    "resume",
    "blind-transfer",
    "attended-transfer",
    "dtmf",
    "mute",
    "conference",
    "conference-control",
    "record",
    "fetch-recording",
    "drain",
    "adopt",
];

/// How a verb works on a kind.
///
/// # Panics
/// The verb is none of [`VERBS`].
fn cell(verb: &str, kind: Kind) -> Cell {
    match kind {
        Kind::Asterisk => asterisk(verb),
        Kind::Flexisip => flexisip(verb),
        Kind::Kamailio => kamailio(verb),
        Kind::Elastix => elastix(verb),
        Kind::Yate => yate(verb),
        Kind::FreeSwitch => freeswitch(verb),
        Kind::OpenSips => opensips(verb),
    }
}

/// Sheet flexisip, sections 0 to 5.
fn flexisip(verb: &str) -> Cell {
    match verb {
        "connect" | "health" => (How::Agent, None),
        "events" => (How::Native, Some(PUSHED)),
        "list" => (How::Agent, Some(PUSHED)),
        "load" => (How::Agent, Some("calls of ours, and of others that were pushed")),
        "originate" | "cancel" | "hold" | "resume" | "blind-transfer" | "attended-transfer" => {
            (How::Agent, Some(LET_IN))
        }
        "hangup" => (How::Agent, Some("calls of ours alone: it cannot end those of others")),
        "dtmf" => (How::Agent, Some("phones that take INFO; tones need `--set anchor=NAME`")),
        "adopt" => (How::Agent, Some("`sip_listen` stays the same")),
        "mute" | "conference" | "conference-control" | "record" | "fetch-recording" => {
            (How::Anchor, Some("a media anchor: `--set anchor=NAME`"))
        }
        "drain" => (How::Agent, Some("our side alone: it has no switch of its own")),
        other => unreachable!("{other} is no verb"),
    }
}

/// Sheet kamailio, sections 2 to 6.
fn kamailio(verb: &str) -> Cell {
    match verb {
        "connect" | "health" | "load" | "list" => (How::Native, None),
        "events" => (
            How::Native,
            Some("evapi and the printed routes; without them the server is asked again and again"),
        ),
        "originate" | "cancel" | "hold" | "resume" | "blind-transfer" | "attended-transfer" => {
            (How::Agent, Some(LET_IN))
        }
        "hangup" => (How::Agent, Some("calls of others natively, by module `dialog`")),
        "dtmf" => (How::Agent, Some("phones that take INFO; tones need `--set anchor=NAME`")),
        "adopt" => (How::Agent, Some("`sip_listen` stays the same")),
        "mute" | "conference" | "conference-control" | "record" | "fetch-recording" => {
            (How::Anchor, Some("a media anchor: `--set anchor=NAME`"))
        }
        "drain" => (How::Native, Some("the htable that the printed routes ask")),
        other => unreachable!("{other} is no verb"),
    }
}

/// Sheet opensips, sections 2, 5 and 8.
fn opensips(verb: &str) -> Cell {
    match verb {
        "connect" | "health" | "load" | "list" => (How::Native, None),
        "events" => (
            How::Native,
            Some("`events` and the printed routes; without them the server is asked again and again"),
        ),
        "drain" => (How::Native, Some("the shared variable that the printed routes ask for")),
        // the same agent, the same anchor
        other => kamailio(other),
    }
}

/// Sheet asterisk, sections 3 to 9.
fn asterisk(verb: &str) -> Cell {
    match verb {
        "connect" | "health" | "load" | "list" | "adopt" | "cancel" | "hangup" => (How::Native, None),
        "events" => (How::Native, Some("ARI; without it by AMI, each event asked for again")),
        "originate" | "hold" | "resume" | "blind-transfer" | "attended-transfer" => {
            (How::Native, Some(PLACES))
        }
        "dtmf" | "mute" => (How::Native, None),
        "conference" | "conference-control" => (How::Native, Some(PLACES)),
        "record" => (How::Native, Some("the AMI right `system`")),
        "fetch-recording" => (How::Native, Some("ARI")),
        "drain" => {
            (How::Native, Some("inbound: 22.10, 20.20 or 23.4, or the dialplan block `ifbus-inbound`"))
        }
        other => unreachable!("{other} is no verb"),
    }
}

/// Sheet elastix, sections 3 to 6.
fn elastix(verb: &str) -> Cell {
    match verb {
        "connect" | "health" | "load" | "list" | "adopt" | "cancel" | "hangup" => (How::Native, None),
        "events" => (How::Native, Some("by AMI, each event asked for again")),
        "originate" => {
            (How::Native, Some("the dialplan context `ifbus`; how a telephone is dialled: pbxapi"))
        }
        "hold" | "resume" | "blind-transfer" | "attended-transfer" => (How::Native, Some(PLACES)),
        "dtmf" | "mute" => (How::Native, None),
        "conference" | "conference-control" => (How::Native, Some(PLACES)),
        "record" => (How::Native, Some("the AMI right `system`")),
        "fetch-recording" => (How::Native, Some("the folder `/ifbus-recordings/` of its web server")),
        "drain" => (How::Native, Some("inbound: the dialplan block `ifbus-inbound`")),
        other => unreachable!("{other} is no verb"),
    }
}

/// Sheet yate, section 14.
fn yate(verb: &str) -> Cell {
    match verb {
        "connect" | "health" | "events" | "load" | "list" | "originate" | "cancel" | "hangup" => {
            (How::Native, None)
        }
        "resume" | "blind-transfer" | "conference" | "conference-control" | "adopt" | "dtmf" => {
            (How::Native, None)
        }
        "hold" | "attended-transfer" | "mute" => {
            (How::Native, Some("music.slin and silence.slin on the server"))
        }
        "record" => (How::Native, Some("a folder that Yate may write to")),
        "fetch-recording" => (How::Setup, Some("a web server that gives out the folder of recordings")),
        "drain" => (How::Native, Some("inbound: as long as ifbus is connected")),
        other => unreachable!("{other} is no verb"),
    }
}

/// Sheet freeswitch, sections 3, 7 and 13.
fn freeswitch(verb: &str) -> Cell {
    match verb {
        "connect" | "health" | "events" | "load" | "list" | "adopt" | "cancel" | "hangup" => {
            (How::Native, None)
        }
        "originate" | "blind-transfer" | "attended-transfer" => (How::Native, None),
        "hold" | "resume" => (How::Native, Some("a music that is there, `--set music=`")),
        "dtmf" | "mute" | "drain" => (How::Native, None),
        "conference" | "conference-control" => (How::Native, Some("mod_conference and a profile")),
        "record" => (How::Native, Some("mod_sndfile and a folder")),
        "fetch-recording" => (How::Native, Some("`--set fetch=socket` or `fetch=http://...`")),
        other => unreachable!("{other} is no verb"),
    }
}

/// The table for these kinds.
///
/// # Panics
/// Never: the committed file is checked by a test.
#[must_use]
pub fn body(kinds: &[Kind]) -> MatrixBody {
    let proven: Vec<ProvenBody> = serde_json::from_str(PROVEN).expect("a test reads the committed file");
    let verb = |verb: &&str| VerbBody {
        verb: (*verb).to_owned(),
        cells: kinds
            .iter()
            .map(|kind| {
                let (how, needs) = cell(verb, *kind);
                (kind.as_str().to_owned(), CellBody { how, needs: needs.map(str::to_owned) })
            })
            .collect(),
    };
    let verbs: Vec<VerbBody> = VERBS.iter().map(verb).collect();
    let used = |how: How| verbs.iter().any(|verb| verb.cells.values().any(|cell| cell.how == how));
    let legend =
        [How::Native, How::Setup, How::Agent, How::Anchor, How::NotYet].into_iter().filter(|how| used(*how));
    let legend = legend.map(|how| (how.as_str().to_owned(), how.meaning().to_owned())).collect();
    MatrixBody {
        object: "matrix".to_owned(),
        kinds: kinds.iter().map(|kind| kind.as_str().to_owned()).collect(),
        proven: proven.into_iter().filter(|run| kinds.iter().any(|kind| kind.as_str() == run.kind)).collect(),
        verbs,
        legend,
    }
}

/// What the operator has to have done for a verb on these kinds: each text once, behind the kinds it is for, which are left
/// away where it is for all of them.
#[must_use]
pub fn needs(verb: &VerbBody, kinds: &[String]) -> Vec<String> {
    let mut told: Vec<(&str, Vec<&str>)> = Vec::new();
    for kind in kinds {
        let Some(text) = verb.cells.get(kind).and_then(|cell| cell.needs.as_deref()) else { continue };
        match told.iter_mut().find(|(known, _)| *known == text) {
            Some((_, of)) => of.push(kind),
            None => told.push((text, vec![kind])),
        }
    }
    let line = |(text, of): (&str, Vec<&str>)| {
        if of.len() == kinds.len() { text.to_owned() } else { format!("{}: {text}", of.join(", ")) }
    };
    told.into_iter().map(line).collect()
}

/// One line on what was proven: versions and days.
#[must_use]
pub fn proven(matrix: &MatrixBody) -> String {
    let mut days: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for run in &matrix.proven {
        // The version as the server tells it may be long; its first word is enough here.
        let version: String = run.version.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        let name = format!("{} {version} ({})", run.kind, run.way);
        days.entry((&run.server, &run.on)).or_default().push(name);
    }
    let told = |server: &str| {
        let runs = days.iter().rev().filter(|((of, _), _)| *of == server);
        runs.map(|((_, on), names)| format!("{} on {on}", names.join(", "))).collect::<Vec<_>>().join("; ")
    };
    match (told("real").as_str(), told("simulated").as_str()) {
        ("", "") => "proven: no whole conformance run is recorded".to_owned(),
        ("", simulated) => format!("proven only against simulated servers: {simulated}"),
        (real, _) => format!("proven: {real}"),
    }
}

/// The page `docs/matrix.md`.
///
/// # Panics
/// Never: a `String` takes every text, and every kind has a cell.
#[must_use]
pub fn markdown() -> String {
    let matrix = body(&Kind::ALL);
    let mut page = "# Verbs and kinds\n\nWhich verb works on which kind of server, as `ifbus matrix` prints it. Made \
                    from the code (`IFBUS_BLESS=1 cargo test -p ifbus matrix`), not\nby hand; kinds without an \
                    adapter in this build are no columns.\n\n"
        .to_owned();
    let mut line = |cells: &[String]| {
        writeln!(page, "| {} |", cells.join(" | ")).expect("a String takes every text");
    };
    let head = |word: &str| [word.to_owned()].into_iter();
    line(&head("verb").chain(matrix.kinds.clone()).chain(head("needs")).collect::<Vec<_>>());
    line(&vec!["---".to_owned(); matrix.kinds.len() + 2]);
    for verb in &matrix.verbs {
        // by kind: the cells themselves are in the order of the alphabet
        let hows = matrix.kinds.iter().map(|kind| verb.cells[kind].how.as_str().to_owned());
        let needs = needs(verb, &matrix.kinds).join("<br>");
        line(&head(&verb.verb).chain(hows).chain([needs]).collect::<Vec<_>>());
    }
    page.push('\n');
    for (word, meaning) in &matrix.legend {
        writeln!(page, "- {word}: {meaning}").expect("a String takes every text");
    }
    writeln!(page, "\n## Proven\n\nBy `tests/conformance`, every cell of it, media measured by tone:\n")
        .expect("a String takes every text");
    for run in &matrix.proven {
        let ProvenBody { kind, server, version, way, on, cells } = run;
        writeln!(page, "- {kind} {version}, {server}, by {way}: {} cells on {on}", cells.len())
            .expect("a String takes every text");
    }
    for kind in Kind::ALL.map(Kind::as_str) {
        if !matrix.proven.iter().any(|run| run.kind == kind && run.server == "real") {
            writeln!(page, "- {kind}: no whole run on a real server is on record; `docs/servers/{kind}.md` says what was tried")
                .expect("a String takes every text");
        }
    }
    page
}
