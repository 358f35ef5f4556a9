//! `ifbus conference add`: somebody is called into a conference, or both parties of a call go there; watched until they
//! are inside.
//!
//! Exit 0 means inside. Ctrl-C stops the watching and nothing else.

use ifbus_call::{Address, CallId, ConferenceId};
use ifbus_fleet::view::CallView;
use serde_json::{Value, json};

use crate::cli::call::{line, word};
use crate::cli::errors::{Exit, Failure};
use crate::cli::grammar::RoomArgs;
use crate::cli::render::{clean, ending, id, seconds_between, server};
use crate::cli::screen::Colour;
use crate::cli::session::{Session, unless_interrupted};
use crate::cli::watch::{self, Sign};
use crate::cli::words::{CallWord, Seconds, YesNo};

const VERB: &str = "conference add";
const KEYS: [&str; 5] = ["to", "call_id", "caller_id", "timeout", "record"];

/// Who comes in.
#[derive(Debug)]
pub struct Join {
    conference: ConferenceId,
    body: Value,
    is_detached: bool,
}

/// What came of it.
struct Came {
    call: CallView,
    /// Why it is not inside, in the words of the event, if the call lives on.
    refused: Option<String>,
}

impl Join {
    /// Sorts the words.
    pub fn plan(args: &RoomArgs, is_detached: bool) -> Result<Self, Failure> {
        let words = super::sort(VERB, args, &KEYS)?;
        let conference = super::room(&args.id)?;
        let (to, call): (Option<Address>, Option<CallWord>) = (words.get("to")?, words.get("call_id")?);
        let caller_id: Option<Address> = words.get("caller_id")?;
        let (timeout, record): (Option<Seconds>, Option<YesNo>) =
            (words.get("timeout")?, words.get("record")?);
        let of_the_called = caller_id.is_some() || timeout.is_some() || record.is_some();
        let mut body = match (to, call) {
            (Some(to), None) => json!({ "to": to }),
            (None, Some(_)) if of_the_called => {
                let text = "caller_id=, timeout= and record= are about a party that is called with to=";
                return Err(Failure::usage(text).with("to record a call: ifbus record start sip call_id=ID"));
            }
            (None, Some(call)) => json!({ "call": call.0 }),
            _ => {
                let text = format!("{VERB} needs to=, whom to call, or call_id=, whose parties to bring in");
                return Err(Failure::usage(text).with("examples: ifbus help examples conference"));
            }
        };
        let optional = [
            ("caller_id", caller_id.map(|address| json!(address))),
            ("timeout_s", timeout.map(|seconds| json!(seconds.0))),
            ("record", record.map(|wish| json!(wish.0))),
        ];
        for (key, value) in optional {
            if let Some(value) = value {
                body[key] = value;
            }
        }
        Ok(Self { conference, body, is_detached })
    }

    /// Asks for it and watches.
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        let screen = &session.screen;
        let last_words = || format!("interrupted; who is in: ifbus conference list sip {}", self.conference);
        let asking = async {
            let before = if self.is_detached { None } else { watch::before(session).await? };
            let path = format!("/v1/conferences/{}/members", self.conference);
            Ok((before, session.client.post(&path, &self.body, None).await?))
        };
        let (before, answer) = screen.wait("asking", unless_interrupted(asking, last_words)).await?;
        let call: CallView = answer.parse()?;
        if self.is_detached {
            let id = call.id.to_string();
            return screen.line(if screen.json { answer.text.trim_end() } else { &id });
        }
        if !screen.json {
            screen.line(&call.id.to_string())?;
        }
        let is_so = answer.status == 200;
        let came =
            if is_so { Came { call, refused: None } } else { self.watch(session, call, before).await? };
        self.conclude(session, &came)
    }

    async fn watch(
        &self,
        session: &Session,
        asked: CallView,
        before: watch::Before,
    ) -> Result<Came, Failure> {
        let short = id(asked.id, session.screen.is_terminal());
        let last_words = || format!("the call goes on; end it: ifbus hangup sip call_id={short}");
        // The times that are told begin with what was asked for, not with a call that was there before.
        let began = if self.body.get("call").is_some() { jiff::Timestamp::now() } else { asked.created_at };
        let watching = watch::until(session, asked.id, before, "waiting for the party", async |sign| {
            let mut refused = None;
            if let Sign::Event(event) = sign {
                let fact = &event.fact;
                // That a party of a conference "talks" is told by its being inside.
                if !session.screen.json && fact.kind != "call.answered" {
                    session.screen.line(&line(began, fact.time, word(&fact.kind), &fact.text))?;
                }
                match fact.kind.as_str() {
                    "conference.joined" | "call.ended" => {}
                    "call.verb_failed" => refused = Some(fact.text.clone()),
                    _ => return Ok(None),
                }
            }
            let call = look(session, asked.id).await?;
            let is_over = call.status.is_terminal() || refused.is_some() || self.is_inside(&call);
            Ok(is_over.then_some(Came { call, refused }))
        });
        match unless_interrupted(watching, last_words).await? {
            Some(came) => Ok(came),
            None => {
                let text = format!("nobody came in within {} s", watch::WITHIN.as_secs());
                Err(Failure::not_done(text).suggest(format!("ifbus show call {short}")))
            }
        }
    }

    fn is_inside(&self, call: &CallView) -> bool {
        call.conference.as_ref() == Some(&self.conference)
            && !call.legs.is_empty()
            && call.legs.iter().all(|leg| leg.in_conference)
    }

    fn conclude(&self, session: &Session, came: &Came) -> Result<(), Failure> {
        let (screen, call) = (&session.screen, &came.call);
        let is_in = self.is_inside(call);
        if screen.json {
            screen.line(&serde_json::to_string(call).expect("a view can be written as JSON"))?;
        } else {
            let short = id(call.id, screen.is_terminal());
            let (colour, text) = if is_in {
                (Colour::Green, self.inside(call, &short))
            } else {
                let why = match (&came.refused, &call.cause) {
                    (_, Some(end)) => ending(call.status, end),
                    (Some(refused), None) => clean(refused),
                    (None, None) => call.status.as_str().to_owned(),
                };
                (Colour::Red, format!("not inside: {why}. more: ifbus show call {short}"))
            };
            screen.line(&screen.paint(Some(colour), &text))?;
        }
        if is_in { Ok(()) } else { Err(Failure::said(Exit::Failed)) }
    }

    fn inside(&self, call: &CallView, short: &str) -> String {
        let parties: Vec<String> = call.legs.iter().map(|leg| leg.party.to_string()).collect();
        let after = call.answered_at.filter(|_| self.body.get("to").is_some());
        let after = after.map(|at| format!(", after {:.1} s", seconds_between(call.created_at, at)));
        format!(
            "inside: {} in {} on {}{}. hang up: ifbus hangup sip call_id={short}",
            parties.join(" and "),
            self.conference,
            server(call.server.as_ref()),
            after.unwrap_or_default()
        )
    }
}

async fn look(session: &Session, call: CallId) -> Result<CallView, Failure> {
    session.client.get(&format!("/v1/calls/{call}")).await?.parse()
}
