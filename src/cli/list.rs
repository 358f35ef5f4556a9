//! `ifbus list sip`: the servers and how they stand.

use std::collections::BTreeMap;

use ifbus::serve::http::body::ListBody;
use ifbus_call::Inbound;
use ifbus_fleet::view::{DrainView, FiguresView, ServerState, ServerView};
use jiff::Timestamp;

use super::errors::Failure;
use super::render::{NOTHING, clock, count, seconds_between, span};
use super::screen::{Colour, Screen};
use super::session::Session;
use super::table::{Cell, Column, Table};

/// A terminal of this width has room for everything.
const WIDE: usize = 100;

/// Lists them.
pub async fn run(session: &Session) -> Result<(), Failure> {
    let screen = &session.screen;
    let answer = session.client.get("/v1/servers").await?;
    if screen.json {
        return screen.line(answer.text.trim_end());
    }
    let list: ListBody<ServerView> = answer.parse()?;
    let now = list.as_of;
    screen.lines(table(&list.data, now, screen).lines(screen))?;
    if list.data.is_empty() {
        screen.note("no server yet: ifbus add sip NAME KIND --host HOST --auth user=NAME,secret=prompt");
    } else if screen.is_terminal() {
        screen.line(&summary(&list.data, now))?;
    }
    Ok(())
}

/// The table of servers; `now` is the moment of the data. On a narrow terminal the figures go, so that there is room for
/// why a server is down.
pub fn table(servers: &[ServerView], now: Timestamp, screen: &Screen) -> Table {
    let is_terminal = screen.is_terminal();
    let is_wide = screen.width().is_none_or(|width| width >= WIDE);
    let figures = |columns: [Column; 3]| columns.into_iter().filter(move |_| is_wide);
    let mut columns = vec![
        Column::text("NAME").kept(),
        Column::text("KIND"),
        Column::text("STATE").kept(),
        Column::number("CALLS"),
        Column::number("CAP"),
    ];
    columns.extend(figures([Column::number("CPS"), Column::text("ASR 5m"), Column::text("PDD p95")]));
    columns.extend([Column::text("LINK"), Column::text("NOTE")]);
    let mut table = Table::new(&columns);
    for server in servers {
        let state = if is_terminal {
            format!("{} {}", sign(server.state), server.state.as_str())
        } else {
            server.state.as_str().to_owned()
        };
        let mut row = vec![
            Cell::from(server.name.as_str()),
            Cell::from(server.kind.as_str()),
            Cell::coloured(state, Some(colour(server.state))),
            Cell::from(server.calls.to_string()),
            Cell::from(server.capacity.to_string()),
        ];
        let of = &server.figures;
        let figures = [format!("{:.1}", of.cps), asr(of), pdd(of)];
        row.extend(figures.into_iter().filter(|_| is_wide).map(Cell::from));
        row.extend([link(server, now), note(server)].map(Cell::from));
        table.row(row);
    }
    table
}

/// The sign beside the word of a state, the same on every surface.
pub const fn sign(state: ServerState) -> &'static str {
    match state {
        ServerState::Connecting => "◌",
        ServerState::Up => "●",
        ServerState::Degraded => "◐",
        ServerState::Suspect => "?",
        ServerState::Draining => "▼",
        ServerState::Drained => "■",
        ServerState::Down => "×",
    }
}

/// The colour that repeats the word of a state.
pub const fn colour(state: ServerState) -> Colour {
    match state {
        ServerState::Up => Colour::Green,
        ServerState::Down => Colour::Red,
        ServerState::Connecting
        | ServerState::Degraded
        | ServerState::Suspect
        | ServerState::Draining
        | ServerState::Drained => Colour::Yellow,
    }
}

/// `61 % (412)`: with the sample it stands on, and no number without one.
pub fn asr(figures: &FiguresView) -> String {
    let ratio = figures.asr_5min.map(|ratio| format!("{:.0} % ({})", ratio * 100.0, figures.ended_5min));
    ratio.unwrap_or_else(|| NOTHING.to_owned())
}

/// `0.9 s`
pub fn pdd(figures: &FiguresView) -> String {
    figures.pdd_p95_s.map_or_else(|| NOTHING.to_owned(), |seconds| format!("{seconds:.1} s"))
}

fn link(server: &ServerView, now: Timestamp) -> String {
    server.link.up_since.map_or_else(|| NOTHING.to_owned(), |since| span(seconds_between(since, now)))
}

/// Why it stands so, which interface fails, and what else is to be known.
pub fn note(server: &ServerView) -> String {
    let mut notes: Vec<String> = server.note.iter().cloned().collect();
    notes.extend(server.drain.as_ref().map(drain));
    let failing = server.interfaces.iter().filter(|interface| !interface.up);
    notes.extend(failing.map(|interface| match &interface.why {
        Some(why) => format!("{}: {why}", interface.interface),
        None => format!("{} does not answer", interface.interface),
    }));
    match &server.warnings[..] {
        [] => {}
        [only] => notes.push(only.text.clone()),
        several => notes.push(count(several.len(), "warning")),
    }
    notes.join("; ")
}

/// Since when a server drains, and whether its telephones can still call.
pub fn drain(drain: &DrainView) -> String {
    let since = clock(drain.since);
    match &drain.inbound {
        None => format!("draining since {since}, not confirmed by the server yet"),
        Some(Inbound::Closed) => format!("draining since {since}, inbound closed"),
        Some(Inbound::Open { need: Some(need) }) => {
            format!("draining since {since}, inbound open: needs {need}")
        }
        Some(Inbound::Open { need: None }) => format!("draining since {since}, inbound open"),
    }
}

fn summary(servers: &[ServerView], now: Timestamp) -> String {
    let mut states: BTreeMap<ServerState, usize> = BTreeMap::new();
    for server in servers {
        *states.entry(server.state).or_default() += 1;
    }
    let order = [
        ServerState::Up,
        ServerState::Degraded,
        ServerState::Suspect,
        ServerState::Draining,
        ServerState::Drained,
        ServerState::Connecting,
        ServerState::Down,
    ];
    let words = order.iter().filter_map(|state| states.get(state).map(|n| format!("{n} {}", state.as_str())));
    let calls: u32 = servers.iter().map(|server| server.calls).sum();
    let calls = count(calls as usize, "call");
    let cps: f64 = servers.iter().map(|server| server.figures.cps).sum();
    format!("{}. {calls}, {cps:.1} CPS. as of {}", words.collect::<Vec<_>>().join(", "), clock(now))
}
