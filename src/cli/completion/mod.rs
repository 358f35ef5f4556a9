//! `ifbus completion`: the script of a shell; and what the script asks at each press of the key.
//!
//! Names of servers and endings of calls are live: asked of the orchestrator that runs, within [`LIVE_WITHIN`] or not
//! at all. Nothing is started, nothing is said on stderr, and every failure is an empty list: a shell that is typed in
//! is no place for an error. Not here: the grammar, from which commands and flags are taken.

use std::time::Duration;

use clap::{Command, CommandFactory};
use ifbus::serve::http::body::ListBody;
use ifbus_call::{ConferenceId, Kind};
use ifbus_fleet::view::{CallView, ConferenceView, ServerView};
use serde::de::DeserializeOwned;

use super::client::Client;
use super::conference;
use super::errors::Failure;
use super::grammar::{Cli, Shell};
use super::screen::Screen;
use super::{block_on, session};

/// Whoever presses the key waits for it.
const LIVE_WITHIN: Duration = Duration::from_millis(120);
/// The most endings of calls that are offered: more is no help.
const CALLS_MAX: usize = 100;

/// Prints the script.
pub fn script(screen: &Screen, shell: Shell) -> Result<(), Failure> {
    screen.document("completion", text(shell))
}

const fn text(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => include_str!("ifbus.bash"),
        Shell::Zsh => include_str!("ifbus.zsh"),
        Shell::Fish => include_str!("ifbus.fish"),
    }
}

/// Prints what may come next at the end of `line`.
pub fn offer(screen: &Screen, on: Option<&str>, line: &str) -> Result<(), Failure> {
    let offered = wanted(line).offers.into_iter().flat_map(|offer| match offer {
        Offer::Word(word) => vec![word],
        Offer::Servers(before) => with(&before, live(on, servers)),
        Offer::Calls(before) => with(&before, live(on, calls)),
        Offer::Conferences => live(on, conferences),
        Offer::Members { before, conference } => {
            with(&before, live(on, async |client| members(client, &conference).await))
        }
    });
    let last = last(line).to_owned();
    let mut offered: Vec<String> = offered.filter(|word| word.starts_with(&last)).collect();
    offered.sort();
    offered.dedup();
    screen.lines(offered)
}

fn with(before: &str, words: Vec<String>) -> Vec<String> {
    words.into_iter().map(|word| format!("{before}{word}")).collect()
}

/// The word that is being typed; empty behind a blank.
fn last(line: &str) -> &str {
    line.rsplit(char::is_whitespace).next().unwrap_or_default()
}

/// Something to offer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Offer {
    /// A word of the grammar.
    Word(String),
    /// The servers, behind this beginning.
    Servers(String),
    /// Living calls, behind this beginning.
    Calls(String),
    /// The conferences.
    Conferences,
    /// The members of a conference, behind this beginning.
    Members {
        /// What stands before each.
        before: String,
        /// Which conference.
        conference: String,
    },
}

/// What is wanted at the end of a line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Wanted {
    /// Everything that could stand there.
    pub offers: Vec<Offer>,
}

/// What is wanted at the end of `line`: by the command, by how many words it has, by the flag in front.
pub fn wanted(line: &str) -> Wanted {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    let typed = last(line);
    if !typed.is_empty() {
        words.pop();
    }
    let mut words = words.into_iter().skip(1).filter(|word| *word != "bus").peekable();
    let mut command = Cli::command();
    command.build();
    let Some(mut at) = descend(&command, &mut words) else {
        return Wanted { offers: subcommands(&command) };
    };
    let name = at.get_name().to_owned();
    while let Some(inner) = words.peek().and_then(|word| at.find_subcommand(word)) {
        (at, _) = (inner, words.next());
    }
    let given: Vec<&str> = words.collect();
    let offers = match given.last().copied().and_then(value_of_flag) {
        Some(offers) => offers,
        None if typed.starts_with('-') => flags(at),
        None => positional(&name, at, &given),
    };
    Wanted { offers }
}

fn descend<'a, 'w>(
    command: &'a Command,
    words: &mut std::iter::Peekable<impl Iterator<Item = &'w str>>,
) -> Option<&'a Command> {
    while words.peek().is_some_and(|word| word.starts_with('-')) {
        words.next();
    }
    words.next().and_then(|word| command.find_subcommand(word))
}

fn subcommands(command: &Command) -> Vec<Offer> {
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
    shown.map(|command| word(command.get_name())).collect()
}

fn word(text: &str) -> Offer {
    Offer::Word(text.to_owned())
}

fn flags(command: &Command) -> Vec<Offer> {
    command
        .get_arguments()
        .filter_map(|argument| Some(word(&format!("--{}", argument.get_long()?))))
        .collect()
}

/// What stands behind a flag that takes a value.
fn value_of_flag(flag: &str) -> Option<Vec<Offer>> {
    let kinds = || Kind::ALL.into_iter().map(|kind| word(kind.as_str())).collect();
    match flag {
        "--server" | "--for" => Some(vec![Offer::Servers(String::new())]),
        "--call" => Some(vec![Offer::Calls(String::new())]),
        "--kind" => Some(kinds()),
        "--status" => {
            let statuses =
                ["queued", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled"];
            Some(statuses.map(word).to_vec())
        }
        "--only" => Some(["manager", "http", "ari", "dialplan"].map(word).to_vec()),
        "--host" | "--port" | "--auth" | "--set" | "--limit" | "--type" | "--on" | "--config"
        | "--listen" => Some(Vec::new()),
        _ => None,
    }
}

fn positional(name: &str, at: &Command, given: &[&str]) -> Vec<Offer> {
    let given: Vec<&str> = given.iter().copied().filter(|word| !word.starts_with('-')).collect();
    let names = || Offer::Servers(String::new());
    match (name, &given[..]) {
        ("show", []) => vec![word("call"), word("server")],
        ("show", ["call"]) => vec![Offer::Calls(String::new())],
        ("show", ["server"]) => vec![names()],
        ("setup", []) => Kind::ALL.into_iter().map(|kind| word(kind.as_str())).collect(),
        ("completion", []) => vec![word("bash"), word("zsh"), word("fish")],
        ("help", []) => ["examples", "exit-codes", "environment", "json"].map(word).to_vec(),
        (
            "add" | "test" | "call" | "hangup" | "list" | "remove" | "hold" | "resume" | "dtmf" | "mute"
            | "unmute" | "transfer" | "drain" | "undrain",
            [],
        ) => {
            vec![word("sip")]
        }
        ("conference", given) => in_conference(at, given),
        ("record", []) if at.get_name() != "record" => vec![word("sip")],
        ("test" | "remove" | "drain" | "undrain", ["sip"]) => vec![names()],
        ("add", ["sip", _]) => {
            Kind::ALL.into_iter().map(|kind| word(kind.as_str())).chain([word("auto")]).collect()
        }
        ("record", ["sip", rest @ ..]) if at.get_name() != "start" => {
            let keys: &[&str] =
                if at.get_name() == "fetch" { &["call_id", "rec_id", "out"] } else { &["call_id", "rec_id"] };
            pairs(keys, rest)
        }
        (verb, ["sip", rest @ ..]) => {
            let mut offers = pairs(keys(verb), rest);
            if !offers.is_empty() && rest.iter().all(|word| word.contains('=')) {
                offers.push(names());
            }
            offers
        }
        (_, []) => subcommands(at),
        _ => Vec::new(),
    }
}

/// The keys that are not there yet, with the living calls behind the one that takes them.
fn pairs(keys: &[&str], given: &[&str]) -> Vec<Offer> {
    let mut offers: Vec<Offer> = keys
        .iter()
        .filter(|key| !given.iter().any(|word| word.starts_with(&format!("{key}="))))
        .map(|key| word(&format!("{key}=")))
        .collect();
    if offers.contains(&word("call_id=")) {
        offers.push(Offer::Calls("call_id=".to_owned()));
    }
    offers
}

/// Behind `ifbus conference`.
fn in_conference(at: &Command, given: &[&str]) -> Vec<Offer> {
    match (at.get_name(), given) {
        ("conference", _) => subcommands(at),
        (_, []) => vec![word("sip")],
        ("create", ["sip"]) => Vec::new(), // a name of one's own
        (_, ["sip"]) => vec![Offer::Conferences],
        ("create", ["sip", _]) => vec![Offer::Servers("server=".to_owned())],
        ("add", ["sip", _, rest @ ..]) => pairs(&["to", "call_id", "caller_id", "timeout", "record"], rest),
        ("kick" | "mute" | "unmute", ["sip", conference]) => {
            let (before, conference) = ("member=".to_owned(), (*conference).to_owned());
            vec![Offer::Members { before, conference }]
        }
        _ => Vec::new(),
    }
}

/// The keys that a verb takes.
const fn keys(verb: &str) -> &'static [&'static str] {
    match verb.as_bytes() {
        b"call" => &["from", "to", "caller_id", "timeout", "record"],
        b"hangup" | b"resume" | b"record" => &["call_id"],
        b"hold" => &["call_id", "leg"],
        b"dtmf" => &["call_id", "digits", "leg"],
        b"mute" | b"unmute" => &["call_id", "leg", "direction"],
        b"transfer" => &["call_id", "to", "leg"],
        _ => &[],
    }
}

// === what is there now ===

fn live(on: Option<&str>, ask: impl AsyncFnOnce(Client) -> Option<Vec<String>>) -> Vec<String> {
    block_on(async {
        let asked = async { ask(session::existing(on).await.ok()??).await };
        tokio::time::timeout(LIVE_WITHIN, asked).await.ok().flatten().unwrap_or_default()
    })
}

async fn servers(client: Client) -> Option<Vec<String>> {
    let servers: ListBody<ServerView> = get(&client, "/v1/servers").await?;
    Some(servers.data.into_iter().map(|server| server.name.to_string()).collect())
}

async fn calls(client: Client) -> Option<Vec<String>> {
    let path = format!("/v1/calls?status=queued,ringing,in-progress&limit={CALLS_MAX}");
    let calls: ListBody<CallView> = get(&client, &path).await?;
    Some(calls.data.into_iter().map(|call| call.id.ending()).collect())
}

async fn conferences(client: Client) -> Option<Vec<String>> {
    let conferences: ListBody<ConferenceView> = get(&client, "/v1/conferences").await?;
    Some(conferences.data.into_iter().map(|conference| conference.id.to_string()).collect())
}

async fn members(client: Client, conference: &str) -> Option<Vec<String>> {
    let id: ConferenceId = conference.parse().ok()?;
    let view: ConferenceView = get(&client, &format!("/v1/conferences/{id}")).await?;
    Some(view.members.iter().map(|member| conference::name(member, true)).collect())
}

async fn get<T: DeserializeOwned>(client: &Client, path: &str) -> Option<T> {
    client.get(path).await.ok()?.parse().ok()
}
