//! `ifbus calls`: the calls of ours, or the legs that are not ours.

use ifbus::serve::http::body::ListBody;
use ifbus_call::ServerName;
use ifbus_fleet::view::{AttemptView, CallView, ForeignView, Status};
use jiff::Timestamp;

use super::client::{Answer, query};
use super::errors::Failure;
use super::grammar::CallsArgs;
use super::render::{count, id, seconds_between, server, talk};
use super::screen::{Colour, Screen};
use super::session::Session;
use super::table::{Cell, Column, Table};
use super::words;

/// Every status, for the check of `--status`.
const STATUSES: [Status; 8] = [
    Status::Queued,
    Status::Ringing,
    Status::InProgress,
    Status::Completed,
    Status::Busy,
    Status::Failed,
    Status::NoAnswer,
    Status::Canceled,
];
/// Pages read at most: more calls than any fleet of ours carries.
const PAGES_MAX: usize = 200;

/// Which calls.
#[derive(Debug)]
pub struct Calls {
    status: Option<Status>,
    server: Option<ServerName>,
    limit: u32,
    foreign: bool,
}

impl Calls {
    /// Checks the words.
    pub fn plan(args: CallsArgs) -> Result<Self, Failure> {
        let status = args.status.map(|word| status(&word)).transpose()?;
        let server = args.server.map(|name| words::server(&name)).transpose()?;
        Ok(Self { status, server, limit: args.limit, foreign: args.foreign })
    }

    /// Lists them.
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        let path = query(&[
            ("status", self.status.map(|status| status.as_str().to_owned())),
            ("server", self.server.as_ref().map(ToString::to_string)),
            ("foreign", self.foreign.then(|| "true".to_owned())),
            ("limit", Some(self.limit.to_string())),
        ]);
        let answer = session.client.get(&format!("/v1/calls{path}")).await?;
        match (session.screen.json, self.foreign) {
            (true, _) => session.screen.line(answer.text.trim_end()),
            (false, true) => foreign(&session.screen, &answer),
            (false, false) => ours(&session.screen, &answer),
        }
    }
}

fn status(word: &str) -> Result<Status, Failure> {
    STATUSES.into_iter().find(|status| status.as_str() == word).ok_or_else(|| {
        let names = STATUSES.map(Status::as_str);
        let failure = Failure::usage(format!("there is no status `{word}`"));
        let near = ifbus_config::nearest(word, names);
        let near = near.map(|near| format!("did you mean {near}?   ")).unwrap_or_default();
        failure.with(format!("{near}known: {}", names.join(", ")))
    })
}

fn ours(screen: &Screen, answer: &Answer) -> Result<(), Failure> {
    let list: ListBody<CallView> = answer.parse()?;
    let now = list.as_of;
    screen.lines(table(&list.data, now, screen.is_terminal()).lines(screen))?;
    if screen.is_terminal() {
        let more = if list.next_cursor.is_some() { ", there are more: --limit N" } else { "" };
        screen.line(&format!(
            "{} shown{more}. not ours: ifbus calls --foreign",
            count(list.data.len(), "call")
        ))?;
    }
    Ok(())
}

/// The table of calls; `now` is the moment of the data.
pub fn table(calls: &[CallView], now: Timestamp, is_terminal: bool) -> Table {
    let mut table = Table::new(&[
        Column::text("ID").kept(),
        Column::text("STATUS").kept(),
        Column::text("FROM"),
        Column::text("TO"),
        Column::text("SERVER"),
        Column::number("FOR"),
        Column::text("NOTE"),
    ]);
    for call in calls {
        let (word, colour) = standing(call);
        table.row([
            Cell::from(id(call.id, is_terminal)),
            Cell::coloured(word, colour),
            Cell::from(call.from.as_str()),
            Cell::from(call.to.as_str()),
            Cell::from(server(call.server.as_ref())),
            Cell::from(talk(length(call, now))),
            Cell::from(note(call)),
        ]);
    }
    table
}

/// A call on hold is in progress; people want to see that nobody talks.
fn standing(call: &CallView) -> (&'static str, Option<Colour>) {
    match call.status {
        Status::InProgress if call.held => ("held", Some(Colour::Yellow)),
        Status::InProgress => (call.status.as_str(), Some(Colour::Green)),
        Status::Failed => (call.status.as_str(), Some(Colour::Red)),
        _ => (call.status.as_str(), None),
    }
}

/// The length of the talk, or the time since the call was born.
fn length(call: &CallView, now: Timestamp) -> f64 {
    match (call.answered_at, call.ended_at) {
        (Some(answered), None) => seconds_between(answered, now),
        (Some(_), Some(_)) => call.duration_s.unwrap_or(0.0),
        (None, ended) => seconds_between(call.created_at, ended.unwrap_or(now)),
    }
}

fn note(call: &CallView) -> String {
    let mut notes = Vec::new();
    if let Some(verb) = &call.verb {
        notes.push(format!("{} under way", verb.replace('_', " ")));
    }
    notes.extend(call.conference.as_ref().map(|conference| format!("conference {conference}")));
    if call.recording.is_some() {
        notes.push("recording".to_owned());
    }
    if call.legs.iter().any(|leg| leg.party != call.from && leg.party != call.to) {
        let parties: Vec<String> = call.legs.iter().map(|leg| leg.party.to_string()).collect();
        notes.push(format!("now {}", parties.join(", ")));
    }
    let muted = call.legs.iter().filter(|leg| !leg.muted.is_empty());
    notes.extend(muted.map(|leg| format!("{} muted", leg.party)));
    if let Some(end) = call.cause.as_ref().filter(|_| call.status != Status::Completed) {
        let said = end.server_said.to_string();
        notes.push(if said.is_empty() { end.class.to_string() } else { format!("{}: {said}", end.class) });
    }
    if call.attempts.len() > 1 {
        notes.push(format!("{} attempts ({})", call.attempts.len(), before(&call.attempts)));
    }
    notes.join(", ")
}

/// Where it was tried before.
fn before(attempts: &[AttemptView]) -> String {
    let ended = attempts
        .iter()
        .filter_map(|attempt| attempt.ended.as_ref().map(|end| format!("{}: {}", attempt.server, end.class)));
    ended.collect::<Vec<_>>().join(", ")
}

fn foreign(screen: &Screen, answer: &Answer) -> Result<(), Failure> {
    let list: ListBody<ForeignView> = answer.parse()?;
    screen.lines(foreign_table(&list.data).lines(screen))?;
    if screen.is_terminal() {
        screen.line(&format!("{} that are not ours: listed, left alone", count(list.data.len(), "leg")))?;
    }
    Ok(())
}

/// The table of legs that are not ours.
pub fn foreign_table(legs: &[ForeignView]) -> Table {
    let mut table = Table::new(&[
        Column::text("SERVER").kept(),
        Column::text("STAGE").kept(),
        Column::text("PARTY"),
        Column::text("NATIVE"),
        Column::text("ID"),
    ]);
    for leg in legs {
        let cells = [leg.server.as_str(), &leg.stage, &leg.party, &leg.native, &leg.id];
        table.row(cells.map(Cell::from));
    }
    table
}

/// Every living call of ours, on one server or on all.
///
/// # Errors
/// Every way to say no.
pub async fn living(session: &Session, on: Option<&ServerName>) -> Result<Vec<CallView>, Failure> {
    let statuses: Vec<&str> =
        STATUSES.into_iter().filter(|status| !status.is_terminal()).map(Status::as_str).collect();
    let (mut living, mut cursor) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let path = query(&[
            ("status", Some(statuses.join(","))),
            ("server", on.map(ToString::to_string)),
            ("limit", Some("500".to_owned())),
            ("cursor", cursor),
        ]);
        let page: ListBody<CallView> = session.client.get(&format!("/v1/calls{path}")).await?.parse()?;
        living.extend(page.data);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    Ok(living)
}
