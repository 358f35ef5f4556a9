//! `ifbus show`: everything about one call or one server.

use ifbus::serve::http::body::ListBody;
use ifbus_call::ServerName;
use ifbus_fleet::problem::Code;
use ifbus_fleet::view::{CallView, EndView, RecordingView, ServerView};
use jiff::Timestamp;

use super::errors::Failure;
use super::grammar::Shown;
use super::list::{self, asr, colour, pdd, sign};
use super::record;
use super::render::{NOTHING, clean, clock_ms, count, ending, seconds_between, server, span, talk};
use super::screen::{Colour, Screen};
use super::session::Session;
use super::words::{self, CallWord};

/// What is shown.
#[derive(Debug)]
pub enum Show {
    /// A call.
    Call(CallWord),
    /// A server.
    Server(ServerName),
}

impl Show {
    /// Checks the word.
    pub fn plan(what: Shown, id: &str) -> Result<Self, Failure> {
        match what {
            Shown::Call => {
                let word: CallWord =
                    id.parse().map_err(|why| Failure::usage(format!("`{}`: {why}", clean(id))))?;
                Ok(Self::Call(word))
            }
            Shown::Server => Ok(Self::Server(words::server(id)?)),
        }
    }

    /// Shows it.
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Call(word) => {
                let answer = session.client.get(&format!("/v1/calls/{}", word.0)).await?;
                if session.screen.json {
                    return session.screen.line(answer.text.trim_end());
                }
                let shown: CallView = answer.parse()?;
                let recordings = recordings(session, &shown).await;
                session.screen.lines(call(&shown, &recordings, Timestamp::now()))
            }
            Self::Server(name) => {
                let answer = match session.client.get(&format!("/v1/servers/{name}")).await {
                    Err(failure) if failure.is(Code::UnknownServer) => {
                        return Err(unknown_server(session, failure, &name, "").await);
                    }
                    answered => answered?,
                };
                if session.screen.json {
                    return session.screen.line(answer.text.trim_end());
                }
                session.screen.lines(one_server(&session.screen, &answer.parse()?, Timestamp::now()))
            }
        }
    }
}

/// A field and its value, in two columns.
fn field(name: &str, value: impl AsRef<str>) -> String {
    format!("{name:<9} {}", clean(value.as_ref()))
}

/// The recordings of a call, newest first; none if the orchestrator does not tell.
async fn recordings(session: &Session, call: &CallView) -> Vec<RecordingView> {
    let listed = session.client.get("/v1/recordings").await;
    let listed = listed.and_then(|answer| answer.parse::<ListBody<RecordingView>>());
    let mut recordings = listed.map(|list| list.data).unwrap_or_default();
    recordings.retain(|recording| recording.call == call.id);
    recordings
}

/// The lines of a call.
pub fn call(call: &CallView, recordings: &[RecordingView], now: Timestamp) -> Vec<String> {
    let held = if call.held { ", on hold" } else { "" };
    let stands =
        call.cause.as_ref().map_or_else(|| call.status.as_str().to_owned(), |end| ending(call.status, end));
    let mut lines = vec![
        call.id.to_string(),
        field("status", format!("{stands}{held}")),
        field("parties", format!("{} -> {}", call.from, call.to)),
        field("server", server(call.server.as_ref())),
    ];
    if let Some(verb) = &call.verb {
        lines.push(field("under way", verb.replace('_', " ")));
    }
    lines.extend(call.conference.as_ref().map(|conference| {
        let inside = call.legs.iter().filter(|leg| leg.in_conference).count();
        field(
            "in",
            format!("conference {conference}, {} of {} inside", inside, count(call.legs.len(), "leg")),
        )
    }));
    lines.extend(recordings.iter().map(|recording| field("recording", record::line(recording))));
    for leg in &call.legs {
        let muted: Vec<&str> = leg.muted.iter().map(|way| direction(*way)).collect();
        let muted = if muted.is_empty() { String::new() } else { format!(", muted {}", muted.join(" and ")) };
        lines.push(field("leg", format!("{} {} {}{muted}", leg.role.letter(), leg.party, leg.stage)));
    }
    let moments = [
        ("created", Some(call.created_at)),
        ("ringing", call.ringing_at),
        ("answered", call.answered_at),
        ("ended", call.ended_at),
    ];
    for (name, time) in moments {
        if let Some(time) = time {
            let after = seconds_between(call.created_at, time);
            lines.push(field(name, format!("{}  +{after:.2} s", clock_ms(time))));
        }
    }
    if let Some(answered) = call.answered_at {
        let length = call.duration_s.filter(|_| call.ended_at.is_some());
        lines.push(field("talk", talk(length.unwrap_or_else(|| seconds_between(answered, now)))));
    }
    for attempt in &call.attempts {
        let ended = attempt.ended.as_ref().map(|end| format!(", {}", why(end))).unwrap_or_default();
        lines.push(field(
            "attempt",
            format!("{}  {} chosen: {}{ended}", clock_ms(attempt.at), attempt.server, attempt.chosen),
        ));
    }
    if let Some(end) = &call.cause {
        lines.push(field("cause", why(end)));
    }
    lines
}

fn why(end: &EndView) -> String {
    let by = match end.by {
        ifbus_call::By::Party => " by the party",
        ifbus_call::By::Us => " by us",
        ifbus_call::By::Server => " by the server",
        ifbus_call::By::Unknown => "",
    };
    let role = end.role.map(|role| format!(" {}", role.letter())).unwrap_or_default();
    let said = end.server_said.to_string();
    let said = if said.is_empty() { said } else { format!(" ({said})") };
    format!("{}{by}{role}{said}", end.class)
}

const fn direction(way: ifbus_call::order::Direction) -> &'static str {
    match way {
        ifbus_call::order::Direction::In => "in",
        ifbus_call::order::Direction::Out => "out",
    }
}

/// The lines of a server.
pub fn one_server(screen: &Screen, server: &ServerView, now: Timestamp) -> Vec<String> {
    let origin = match server.origin {
        ifbus_fleet::view::Origin::Config => "the configuration file",
        ifbus_fleet::view::Origin::Cli => "ifbus add",
    };
    let state = format!("{} {}", sign(server.state), server.state.as_str());
    let up = |since| format!("up for {}", span(seconds_between(since, now)));
    let link = server.link.up_since.map_or_else(|| "not up".to_owned(), up);
    let mut lines = vec![
        server.name.to_string(),
        format!("{:<9} {}", "state", screen.paint(Some(colour(server.state)), &state)),
        field("kind", format!("{} {}", server.kind, server.version.as_deref().unwrap_or(NOTHING))),
        field("address", format!("{}:{}", server.host, server.port)),
        field("from", origin),
        field("link", format!("{link}, epoch {}", server.link.epoch)),
        field(
            "calls",
            format!("{} of at most {}, {} a second", server.calls, server.capacity, server.cps_max),
        ),
        field(
            "lately",
            format!(
                "{:.1} a second, answered {}, post-dial delay p95 {}",
                server.figures.cps,
                asr(&server.figures),
                pdd(&server.figures)
            ),
        ),
        field("load", load(&server.load)),
        field("foreign", format!("{}: ifbus calls --foreign", count(server.foreign as usize, "leg"))),
    ];
    lines.extend(server.drain.as_ref().map(|drain| field("drain", list::drain(drain))));
    lines.extend(server.note.iter().map(|note| field("note", note)));
    for interface in &server.interfaces {
        let answer = match (&interface.why, interface.answered_ms) {
            (Some(why), _) => format!("fails: {why}"),
            (None, Some(ms)) => format!("answers in {ms:.1} ms"),
            (None, None) => if interface.up { "answers" } else { "fails" }.to_owned(),
        };
        lines.push(field("interface", format!("{:<10}  {answer}", interface.interface)));
    }
    for certificate in &server.certificates {
        let expires = certificate.expires_at.map(|at| format!(", expires {}", at.strftime("%Y-%m-%d")));
        let text = format!("{} {}{}", certificate.at, certificate.trusted, expires.unwrap_or_default());
        lines.push(field("tls", text));
        lines.push(field("", format!("sha256 {}", certificate.sha256)));
    }
    let warn = screen.paint(Some(Colour::Yellow), "warn     ");
    lines.extend(server.warnings.iter().map(|warning| format!("{warn} {}", clean(&warning.text))));
    lines
}

/// How busy the server itself says it is.
fn load(load: &ifbus_call::Load) -> String {
    let parts = [
        load.legs.map(|n| format!("{n} legs by its own count")),
        load.legs_max.map(|n| format!("at most {n}")),
        load.legs_ever.map(|n| format!("{n} since its start")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { NOTHING.to_owned() } else { parts.join(", ") }
}

/// A name nobody has: which one was meant, and which there are. `so` says what was not done.
pub async fn unknown_server(session: &Session, failure: Failure, name: &ServerName, so: &str) -> Failure {
    let listed =
        session.client.get("/v1/servers").await.and_then(|answer| answer.parse::<ListBody<ServerView>>());
    let Ok(list) = listed else { return failure };
    let names: Vec<&str> = list.data.iter().map(|server| server.name.as_str()).collect();
    if names.is_empty() {
        return with_detail(failure, name, so).with(
            "no server is configured: ifbus add sip NAME KIND --host HOST --auth user=NAME,secret=prompt",
        );
    }
    let near = ifbus_config::nearest(name.as_str(), names.iter().copied());
    let near = near.map(|near| format!("did you mean {near}?   ")).unwrap_or_default();
    with_detail(failure, name, so).with(format!("{near}configured: {}", names.join(", ")))
}

fn with_detail(mut failure: Failure, name: &ServerName, so: &str) -> Failure {
    let so = if so.is_empty() { String::new() } else { format!("; {so}") };
    failure.headline = Some(format!("no server is called `{name}`{so}"));
    failure.next.clear();
    failure
}
