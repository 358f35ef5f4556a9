//! `ifbus drain` and `ifbus undrain`: a server takes no new calls, or takes them again.
//!
//! The last server of a kind is asked about: without it nothing of that kind takes calls. What the answer says of the
//! server's own telephones is passed on, done or not.

use std::time::Duration;

use ifbus::serve::http::body::ListBody;
use ifbus_call::{Inbound, ServerName};
use ifbus_fleet::problem::Code;
use ifbus_fleet::view::{ServerState, ServerView};
use serde_json::json;

use super::blast::{Blast, Consent};
use super::client::Answer;
use super::errors::{Exit, Failure};
use super::grammar::DrainArgs;
use super::render::count;
use super::screen::Colour;
use super::session::{Session, unless_interrupted};
use super::{calls, show, words};

/// How often a draining server is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Which server, and which way.
#[derive(Debug)]
pub enum Drain {
    /// No new calls.
    On {
        /// Which.
        name: ServerName,
        /// Until the last call is gone.
        wait: bool,
        /// Whether to ask.
        consent: Consent,
    },
    /// Calls again.
    Off(ServerName),
}

impl Drain {
    /// Checks the name.
    pub fn plan(args: &DrainArgs) -> Result<Self, Failure> {
        Ok(Self::On { name: words::server(&args.name)?, wait: args.wait, consent: args.consent.into() })
    }

    /// The same for `undrain`.
    pub fn undo(name: &str) -> Result<Self, Failure> {
        Ok(Self::Off(words::server(name)?))
    }

    /// Does it.
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::On { name, wait, consent } => drain(session, &name, wait, consent).await,
            Self::Off(name) => undrain(session, &name).await,
        }
    }
}

async fn drain(session: &Session, name: &ServerName, wait: bool, consent: Consent) -> Result<(), Failure> {
    let screen = &session.screen;
    let list: ListBody<ServerView> = session.client.get("/v1/servers").await?.parse()?;
    let Some(server) = list.data.iter().find(|server| server.name == *name) else {
        let failure = Failure::unknown_server(format!("no server is called `{name}`"));
        return Err(show::unknown_server(session, failure, name, "nothing was changed").await);
    };
    let others = list.data.iter().filter(|other| other.name != *name && other.kind == server.kind);
    let is_last = server.drain.is_none() && !others.map(|other| other.state).any(ServerState::takes_calls);
    let calls = if consent.dry_run && screen.json { ids(session, name).await? } else { Vec::new() };
    if !(Blast { text: text(server, is_last), is_wide: is_last, calls }).go_on(screen, consent)? {
        return Ok(());
    }
    let answer = post(session, name, "drain").await?;
    let server: ServerView = answer.parse()?;
    if !screen.json {
        told(session, &server)?;
    }
    let answer = if wait && server.state != ServerState::Drained {
        let last_words = || format!("it drains on; how it stands: ifbus show server {name}");
        unless_interrupted(drained(session, name), last_words).await?
    } else {
        answer
    };
    if screen.json {
        return screen.line(answer.text.trim_end());
    }
    if wait { screen.line(&format!("{name} is drained: no call of ours is left on it")) } else { Ok(()) }
}

async fn ids(session: &Session, name: &ServerName) -> Result<Vec<String>, Failure> {
    let living = calls::living(session, Some(name)).await?;
    Ok(living.iter().map(|call| call.id.to_string()).collect())
}

fn text(server: &ServerView, is_last: bool) -> String {
    let calls = match server.calls {
        0 => "it carries no call of ours".to_owned(),
        1 => "1 call of ours goes on".to_owned(),
        n => format!("{} of ours go on", count(n as usize, "call")),
    };
    let last = format!("; no other {} takes calls", server.kind);
    format!("drain {} ({}): {calls}{}", server.name, server.kind, if is_last { &last } else { "" })
}

async fn post(session: &Session, name: &ServerName, verb: &str) -> Result<Answer, Failure> {
    match session.client.post(&format!("/v1/servers/{name}/{verb}"), &json!({}), None).await {
        Err(failure) if failure.is(Code::UnknownServer) => {
            Err(show::unknown_server(session, failure, name, "nothing was changed").await)
        }
        answered => answered,
    }
}

/// What the answer says: our own side is closed; the server's telephones may not be.
fn told(session: &Session, server: &ServerView) -> Result<(), Failure> {
    let inbound = server.drain.as_ref().and_then(|drain| drain.inbound.as_ref());
    let screen = &session.screen;
    let says = match inbound {
        Some(Inbound::Closed) => "inbound closed",
        Some(Inbound::Open { .. }) => "inbound open",
        None => "inbound not known yet",
    };
    let left = match server.calls {
        0 => "no call of ours is left".to_owned(),
        n => format!("{} of ours left", count(n as usize, "call")),
    };
    screen.line(&format!(
        "{} {}: no new calls of ours, {says}; {left}",
        server.name,
        server.state.as_str()
    ))?;
    match inbound {
        Some(Inbound::Open { need: Some(need) }) => {
            let text = format!("its telephones and trunks can still call; to close it needs {need}");
            screen.note_as(Colour::Yellow, "warn", &text);
        }
        Some(Inbound::Open { need: None }) => {
            screen.note_as(Colour::Yellow, "warn", "its telephones and trunks can still call");
        }
        None => {
            let text = format!(
                "the server has not confirmed it; it is told as soon as it is up: ifbus show server {}",
                server.name
            );
            screen.note_as(Colour::Yellow, "warn", &text);
        }
        Some(Inbound::Closed) => {}
    }
    screen.note(&format!("take it back: ifbus undrain sip {}", server.name));
    Ok(())
}

/// Looks until no call of ours is left on it.
async fn drained(session: &Session, name: &ServerName) -> Result<Answer, Failure> {
    let looking = async {
        loop {
            let answer = session.client.get(&format!("/v1/servers/{name}")).await?;
            let server: ServerView = answer.parse()?;
            match server.state {
                ServerState::Drained => return Ok(answer),
                _ if server.drain.is_none() => {
                    return Err(Failure::not_done(format!("{name} was undrained meanwhile")));
                }
                _ => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    };
    session.screen.wait("waiting for its last call", looking).await
}

async fn undrain(session: &Session, name: &ServerName) -> Result<(), Failure> {
    let answer = post(session, name, "undrain").await?;
    if session.screen.json {
        return session.screen.line(answer.text.trim_end());
    }
    let server: ServerView = answer.parse()?;
    if server.drain.is_some() {
        session.screen.line(&format!("{name} still drains"))?;
        return Err(Failure::said(Exit::Failed));
    }
    session.screen.line(&format!("{name} {}: it gets calls again", server.state.as_str()))?;
    if !server.state.takes_calls() {
        session.screen.note_as(Colour::Yellow, "warn", "it is not up: it gets calls when it is");
    }
    Ok(())
}
