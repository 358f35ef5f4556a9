//! `ifbus call`: places a call and watches it until both talk, or until it ends.
//!
//! Ctrl-C stops the watching and never the call. Exit 0 means that both answered and were joined.

use std::time::Duration;

use ifbus_call::Address;
use ifbus_fleet::problem::Code;
use ifbus_fleet::view::{AttemptView, CallView};
use jiff::Timestamp;
use serde_json::json;

use super::background;
use super::client::{Answer, query};
use super::errors::{Exit, Failure};
use super::grammar::CallArgs;
use super::render::{NOTHING, clean, count, ending, id, seconds_between, server};
use super::screen::Colour;
use super::session::{Session, unless_interrupted};
use super::stream::{Events, Heard, What};
use super::words::{Seconds, Words, YesNo};

/// When a lost answer is asked for again.
const AGAIN_AFTER: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_secs(1)];

/// A call to place.
#[derive(Debug)]
pub struct Place {
    from: Address,
    to: Address,
    server: Option<ifbus_call::ServerName>,
    caller_id: Option<Address>,
    timeout: Option<Seconds>,
    record: Option<YesNo>,
    watch: Watch,
}

/// How long it is watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Watch {
    /// Not at all.
    No,
    /// Until both talk.
    UntilJoined,
    /// Until it ends.
    UntilEnd,
}

impl Place {
    /// Sorts the words.
    pub fn plan(args: &CallArgs) -> Result<Self, Failure> {
        let words = Words::sort("call", &args.words, &["from", "to", "caller_id", "timeout", "record"])?;
        Ok(Self {
            from: words.need("call", "from")?,
            to: words.need("call", "to")?,
            caller_id: words.get("caller_id")?,
            timeout: words.get("timeout")?,
            record: words.get("record")?,
            server: words.server,
            watch: match (args.detach, args.follow) {
                (true, _) => Watch::No,
                (_, true) => Watch::UntilEnd,
                _ => Watch::UntilJoined,
            },
        })
    }

    fn body(&self) -> serde_json::Value {
        let mut body = json!({ "from": self.from, "to": self.to });
        let optional = [
            ("server", self.server.as_ref().map(|name| json!(name))),
            ("caller_id", self.caller_id.as_ref().map(|address| json!(address))),
            ("timeout_s", self.timeout.map(|seconds| json!(seconds.0))),
            ("record", self.record.map(|wish| json!(wish.0))),
        ];
        for (key, value) in optional {
            if let Some(value) = value {
                body[key] = value;
            }
        }
        body
    }

    /// Places it and watches.
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        let screen = &session.screen;
        let last_words = || "interrupted before the call had an id; is it up? ifbus calls".to_owned();
        let body = self.body();
        let placing = async {
            // Where the journal stands before the call is born: its stream begins there, so that nothing is missed.
            let before = match self.watch {
                Watch::No => None,
                Watch::UntilJoined | Watch::UntilEnd => Events::newest(&session.client).await?,
            };
            Ok((before, place(session, &body).await?))
        };
        let placing = unless_interrupted(placing, last_words);
        let (before, placed) = match screen.wait("placing the call", placing).await {
            Err(failure) => return Err(refused(session, failure, self.server.as_ref()).await),
            Ok(placed) => placed,
        };
        let call: CallView = placed.parse()?;
        // Under `--json` the answer is one document: the call as it is in the end, unless every step is wanted.
        match (screen.json, self.watch) {
            (true, Watch::UntilJoined) => {}
            (true, Watch::No | Watch::UntilEnd) => screen.line(placed.text.trim_end())?,
            (false, _) => screen.line(&call.id.to_string())?,
        }
        if self.watch == Watch::No {
            return Ok(());
        }
        let short = id(call.id, screen.is_terminal());
        let last_words = || format!("the call goes on; end it: ifbus hangup sip call_id={short}");
        let call = unless_interrupted(watch(session, &call, before, self.watch), last_words).await?;
        conclude(session, &call)
    }
}

/// Asks for the call. An answer that was lost on its way is asked for again under the same key, so that nobody rings
/// twice.
async fn place(session: &Session, body: &serde_json::Value) -> Result<Answer, Failure> {
    let key = background::random()?;
    let mut again_after = AGAIN_AFTER.into_iter();
    loop {
        let asked = session.client.post_once("/v1/calls", body, &key).await;
        match asked {
            Err(failure) if failure.was_lost() || failure.is(Code::IdempotencyInProgress) => {
                let Some(pause) = again_after.next() else { return Err(failure) };
                tokio::time::sleep(pause).await;
            }
            asked => return asked,
        }
    }
}

/// A refusal, with what only the command line can add: which name was meant.
async fn refused(session: &Session, failure: Failure, named: Option<&ifbus_call::ServerName>) -> Failure {
    match named {
        Some(name) if failure.is(Code::UnknownServer) => {
            super::show::unknown_server(session, failure, name, "nothing was dialled").await
        }
        _ => failure,
    }
}

/// Watches until both talk, or until the end; gives the call as it is then.
async fn watch(
    session: &Session,
    placed: &CallView,
    before: Option<String>,
    watch: Watch,
) -> Result<CallView, Failure> {
    let query = query(&[("call", Some(placed.id.to_string()))]);
    let mut events = Events::open(&session.client, &query, before).await?;
    loop {
        let heard = session.screen.wait("waiting for the phones", events.next()).await?;
        tell(session, placed, &heard, watch)?;
        let may_be_over = match &heard.what {
            What::Event(event) => match event.fact.kind.as_str() {
                "call.ended" => true,
                "call.answered" => watch == Watch::UntilJoined,
                _ => false,
            },
            What::Gap(_) => true, // whatever was missed is in the view
            What::Other => false,
        };
        if may_be_over {
            let now: CallView = session.client.get(&format!("/v1/calls/{}", placed.id)).await?.parse()?;
            if now.status.is_terminal() || (watch == Watch::UntilJoined && now.answered_at.is_some()) {
                return Ok(now);
            }
        }
    }
}

/// Tells what was heard. A program is told every step only if it asked for that.
fn tell(session: &Session, placed: &CallView, heard: &Heard, watch: Watch) -> Result<(), Failure> {
    match (&heard.what, session.screen.json) {
        (_, true) if watch == Watch::UntilEnd => session.screen.line(&heard.raw),
        (What::Event(event), false) => {
            let fact = &event.fact;
            session.screen.line(&line(placed.created_at, fact.time, word(&fact.kind), &fact.text))
        }
        _ => Ok(()),
    }
}

/// ` 1.54  ringing   1001 rings`
pub fn line(began: Timestamp, at: Timestamp, word: &str, text: &str) -> String {
    format!("{:>5.2}  {word:<9} {}", seconds_between(began, at), clean(text))
}

/// The word of an event of a call in a narrow column.
pub fn word(kind: &str) -> &str {
    match kind {
        "call.leg_answered" => "answered",
        "call.answered" => "joined",
        "call.verb_failed" => "failed",
        "call.dtmf_sent" => "dtmf",
        "recording.started" => "recorded",
        "conference.joined" => "inside",
        kind => kind.strip_prefix("call.").or_else(|| kind.strip_prefix("conference.")).unwrap_or(kind),
    }
}

/// The last line, and the exit.
fn conclude(session: &Session, call: &CallView) -> Result<(), Failure> {
    let screen = &session.screen;
    let joined = call.answered_at.is_some();
    if screen.json {
        let body = serde_json::to_string(call).expect("a view can be written as JSON");
        screen.line(&body)?;
    } else {
        let (colour, text) = last_line(call, screen.is_terminal());
        screen.line(&screen.paint(Some(colour), &text))?;
    }
    if joined { Ok(()) } else { Err(Failure::said(Exit::Failed)) }
}

fn last_line(call: &CallView, is_terminal: bool) -> (Colour, String) {
    let short = id(call.id, is_terminal);
    let took = |until: Option<Timestamp>| {
        until.map_or_else(
            || NOTHING.to_owned(),
            |until| format!("{:.1} s", seconds_between(call.created_at, until)),
        )
    };
    match (call.answered_at, &call.cause) {
        (Some(_), Some(end)) => {
            let talked = format!("{:.0} s", call.duration_s.unwrap_or(0.0));
            (
                Colour::Green,
                format!(
                    "ended: {}, talked {talked}. more: ifbus show call {short}",
                    ending(call.status, end)
                ),
            )
        }
        (Some(answered), None) => {
            let on = server(call.server.as_ref());
            let text = format!(
                "connected: {} and {} talk on {on}, after {}. end it: ifbus hangup sip call_id={short}",
                call.from,
                call.to,
                took(Some(answered))
            );
            (Colour::Green, text)
        }
        (None, _) => {
            let what = call
                .cause
                .as_ref()
                .map_or_else(|| call.status.as_str().to_owned(), |end| ending(call.status, end));
            let tries = attempts(&call.attempts);
            (
                Colour::Red,
                format!(
                    "not connected: {what}. {tries}, {}. more: ifbus show call {short}",
                    took(call.ended_at)
                ),
            )
        }
    }
}

/// `2 attempts (pbx1 unreachable, kam-edge busy)`
fn attempts(attempts: &[AttemptView]) -> String {
    let each = attempts.iter().map(|attempt| match &attempt.ended {
        Some(end) => format!("{} {}", attempt.server, end.class),
        None => attempt.server.to_string(),
    });
    let each: Vec<String> = each.collect();
    let n = count(attempts.len(), "attempt");
    if each.is_empty() { n } else { format!("{n} ({})", each.join(", ")) }
}
