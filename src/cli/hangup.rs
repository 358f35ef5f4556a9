//! `ifbus hangup`: one call at once, all of them after a question.

use ifbus_call::ServerName;
use ifbus_fleet::view::CallView;
use serde_json::json;

use super::act::{self, Act};
use super::calls;
use super::errors::{Exit, Failure};
use super::grammar::HangupArgs;
use super::render::{count, id};
use super::session::Session;
use super::words::Words;

/// What is to end.
#[derive(Debug)]
pub enum Hangup {
    /// One call.
    One {
        /// Which.
        act: Act,
        /// Only say so.
        dry_run: bool,
    },
    /// Every call of ours, on one server or on all.
    All {
        /// The server.
        server: Option<ServerName>,
        /// Without a question.
        yes: bool,
        /// Only say so.
        dry_run: bool,
    },
}

impl Hangup {
    /// Sorts the words.
    pub fn plan(args: &HangupArgs) -> Result<Self, Failure> {
        let words = Words::sort("hangup", &args.words, &["call_id"])?;
        if !args.all {
            let act = Act::new("hangup", &words, None)?;
            return Ok(Self::One { act, dry_run: args.dry_run });
        }
        if words.get::<String>("call_id")?.is_some() {
            return Err(Failure::usage("either call_id= or --all, not both"));
        }
        Ok(Self::All { server: words.server, yes: args.yes, dry_run: args.dry_run })
    }

    /// Ends it.
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::One { act, dry_run: false } => act.run(session).await,
            Self::One { act, dry_run: true } => {
                let call = act::find(session, &act.call, act.server.as_ref()).await?;
                let short = id(call.id, session.screen.is_terminal());
                let stands = act::how_it_stands(&call);
                let text = format!(
                    "hang up {short}, {} -> {}, {stands} (dry run: nothing was changed)",
                    call.from, call.to
                );
                session.screen.line(&text)
            }
            Self::All { server, yes, dry_run } => all(session, server.as_ref(), yes, dry_run).await,
        }
    }
}

async fn all(
    session: &Session,
    server: Option<&ServerName>,
    yes: bool,
    dry_run: bool,
) -> Result<(), Failure> {
    let calls = calls::living(session, server).await?;
    let place = server.map(|name| format!(" on {name}")).unwrap_or_default();
    let text = format!("hang up {} of ours{place}", count(calls.len(), "call"));
    if dry_run {
        return session.screen.line(&format!("{text} (dry run: nothing was changed)"));
    }
    if calls.is_empty() {
        return session.screen.line(&format!("no call of ours is up{place}"));
    }
    if !session.screen.confirm(&text, yes)? {
        session.screen.note("nothing was changed");
        return Err(Failure::said(Exit::Failed));
    }
    let mut refused = Vec::new();
    for call in &calls {
        if let Err(failure) = hang_up(session, call).await {
            if failure.exit == Exit::Forbidden {
                return Err(failure); // as it will be with every other one
            }
            refused.push(format!(
                "{}: {}",
                id(call.id, session.screen.is_terminal()),
                failure.problem.detail
            ));
        }
    }
    let taken = calls.len() - refused.len();
    session.screen.line(&format!("told {} to end; what is left: ifbus calls", count(taken, "call")))?;
    if refused.is_empty() {
        return Ok(());
    }
    let failure = Failure::not_done(format!("{} could not be ended", count(refused.len(), "call")));
    Err(refused.into_iter().take(10).fold(failure, Failure::with))
}

/// A call that ended by itself meanwhile is no failure.
async fn hang_up(session: &Session, call: &CallView) -> Result<(), Failure> {
    use ifbus_fleet::problem::Code;
    let path = format!("/v1/calls/{}/hangup", call.id);
    match session.client.post(&path, &json!({}), None).await {
        Err(failure) if failure.is(Code::WrongState) || failure.is(Code::UnknownCall) => Ok(()),
        answered => answered.map(drop),
    }
}
