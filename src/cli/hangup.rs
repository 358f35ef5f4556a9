//! `ifbus hangup`: one call at once, all of them after a question.

use ifbus::serve::http::body::ListBody;
use ifbus_call::{LegId, ServerName};
use ifbus_fleet::view::{CallView, ForeignView};
use serde_json::{Value, json};

use super::act::{self, Act};
use super::blast::{Blast, Consent};
use super::calls;
use super::errors::{Exit, Failure};
use super::grammar::HangupArgs;
use super::render::{clean, count, id};
use super::session::Session;
use super::words::Words;

/// What is to end.
#[derive(Debug)]
pub enum Hangup {
    /// One call.
    One {
        /// Which.
        act: Act,
        /// Whether to ask.
        consent: Consent,
    },
    /// Every call of ours, on one server or on all.
    All {
        /// The server.
        server: Option<ServerName>,
        /// Whether to ask.
        consent: Consent,
    },
}

impl Hangup {
    /// Sorts the words.
    pub fn plan(args: &HangupArgs) -> Result<Self, Failure> {
        let words = Words::sort("hangup", &args.words, &["call_id"])?;
        if !args.all {
            let act = Act::new("hangup", &words, None)?;
            return Ok(Self::One { act, consent: args.consent.into() });
        }
        if words.get::<String>("call_id")?.is_some() {
            return Err(Failure::usage("either call_id= or --all, not both"));
        }
        Ok(Self::All { server: words.server, consent: args.consent.into() })
    }

    /// Ends it.
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::One { act, consent } if act.call.0.parse::<LegId>().is_ok() => {
                foreign(session, &act.call.0, consent).await
            }
            Self::One { act, consent: Consent { dry_run: false, .. } } => act.run(session).await,
            Self::One { act, consent } => {
                let call = act::find(session, &act.call, act.server.as_ref()).await?;
                let short = id(call.id, session.screen.is_terminal());
                let stands = act::how_it_stands(&call);
                let text = format!("hang up {short}, {} -> {}, {stands}", call.from, call.to);
                let blast = Blast { text, is_wide: false, calls: vec![call.id.to_string()] };
                blast.go_on(&session.screen, consent).map(drop)
            }
            Self::All { server, consent } => all(session, server.as_ref(), consent).await,
        }
    }
}

/// A leg that is not ours, by its id in `ifbus calls --foreign`.
async fn foreign(session: &Session, leg: &str, consent: Consent) -> Result<(), Failure> {
    let text = format!("hang up the leg {leg}, which is not ours");
    if !(Blast { text, is_wide: false, calls: vec![leg.to_owned()] }).go_on(&session.screen, consent)? {
        return Ok(());
    }
    let answer = session.client.post(&format!("/v1/foreign/{leg}/hangup"), &json!({}), None).await?;
    let ended: ForeignView = answer.parse()?;
    if session.screen.json {
        return session.screen.line(answer.text.trim_end());
    }
    let (native, party) = (clean(&ended.native), clean(&ended.party));
    session.screen.line(&format!("ended {native} ({party}) on {}, which was not ours", ended.server))
}

async fn all(session: &Session, server: Option<&ServerName>, consent: Consent) -> Result<(), Failure> {
    let screen = &session.screen;
    let calls = calls::living(session, server).await?;
    let place = server.map(|name| format!(" on {name}")).unwrap_or_default();
    let text = format!("hang up {} of ours{place}", count(calls.len(), "call"));
    let ids = calls.iter().map(|call| call.id.to_string()).collect();
    let is_wide = !calls.is_empty();
    if !(Blast { text, is_wide, calls: ids }).go_on(screen, consent)? {
        return Ok(());
    }
    if calls.is_empty() && !screen.json {
        return screen.line(&format!("no call of ours is up{place}"));
    }
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    for call in &calls {
        match hang_up(session, call).await {
            Ok(order) => taken.extend(order),
            Err(failure) if failure.exit == Exit::Forbidden => return Err(failure), // as with every other one
            Err(failure) => {
                refused.push(format!("{}: {}", id(call.id, screen.is_terminal()), failure.problem.detail));
            }
        }
    }
    let told = calls.len() - refused.len();
    if screen.json {
        let body = serde_json::to_string(&ListBody::new(taken, None)).expect("orders can be written as JSON");
        screen.line(&body)?;
        return if refused.is_empty() { Ok(()) } else { Err(Failure::said(Exit::Failed)) };
    } else {
        screen.line(&format!("told {} to end; what is left: ifbus calls", count(told, "call")))?;
    }
    if refused.is_empty() {
        return Ok(());
    }
    let failure = Failure::not_done(format!("{} could not be ended", count(refused.len(), "call")));
    Err(refused.into_iter().take(10).fold(failure, Failure::with))
}

/// The order, as it was taken. A call that ended by itself meanwhile is no failure.
async fn hang_up(session: &Session, call: &CallView) -> Result<Option<Value>, Failure> {
    use ifbus_fleet::problem::Code;
    let path = format!("/v1/calls/{}/hangup", call.id);
    match session.client.post(&path, &json!({}), None).await {
        Err(failure) if failure.is(Code::WrongState) || failure.is(Code::UnknownCall) => Ok(None),
        answered => answered?.parse().map(Some),
    }
}
