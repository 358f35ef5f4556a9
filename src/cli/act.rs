//! A verb on a call: asked for, then waited for until the orchestrator says that it is done or has failed.
//!
//! Which verbs there are: `hold`, `mute`, `dtmf`, `transfer`, `hangup`. "Accepted" is never shown as done.

use std::time::{Duration, Instant};

use ifbus::serve::http::body::{OrderBody, OrderStatus};
use ifbus_call::ServerName;
use ifbus_fleet::view::CallView;
use serde_json::{Map, Value};

use super::errors::{Exit, Failure};
use super::render::{clean, ending, id, server};
use super::session::{Session, unless_interrupted};
use super::words::{CallWord, Words};

/// How long the answer may be held; the orchestrator holds none longer.
const DONE_WITHIN: Duration = Duration::from_secs(120);

/// A verb with its words.
#[derive(Debug)]
pub struct Act {
    /// The call it is about.
    pub call: CallWord,
    /// The server it is said to be on.
    pub server: Option<ServerName>,
    /// The path below the call.
    pub path: &'static str,
    /// The body.
    pub body: Map<String, Value>,
    /// What is said when it is done: `on hold`. Nothing for a verb that ends the call: how it ended is said then.
    pub says: Option<String>,
    /// The command to go on with, before `call_id=...` and after it.
    pub next: Option<(&'static str, &'static str)>,
}

impl Act {
    /// A verb whose words were sorted.
    ///
    /// # Errors
    /// It names no call.
    pub fn new(verb: &'static str, words: &Words, says: Option<String>) -> Result<Self, Failure> {
        Ok(Self {
            call: words.need(verb, "call_id")?,
            server: words.server.clone(),
            path: verb,
            body: Map::new(),
            says,
            next: None,
        })
    }

    /// Adds a field of the body, if there is something to say.
    pub fn field(mut self, key: &str, value: Option<String>) -> Self {
        if let Some(value) = value {
            self.body.insert(key.to_owned(), Value::String(value));
        }
        self
    }

    /// Sends it and waits for its end.
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        if self.server.is_some() {
            find(session, &self.call, self.server.as_ref()).await?;
        }
        let began = Instant::now();
        let path = format!("/v1/calls/{}/{}", self.call.0, self.path);
        let body = Value::Object(self.body.clone());
        let asked = session.client.post(&path, &body, Some(DONE_WITHIN));
        let verb = self.path.replace('/', " ");
        let goes_on = || format!("{verb} goes on; how it ends: ifbus show call {}", self.call.0);
        let answer =
            session.screen.wait(&format!("waiting for {verb}"), unless_interrupted(asked, goes_on)).await?;
        let order: OrderBody = answer.parse()?;
        if session.screen.json {
            session.screen.line(answer.text.trim_end())?;
            let is_good = matches!(order.status, OrderStatus::Done | OrderStatus::AlreadySo);
            return if is_good { Ok(()) } else { Err(Failure::said(Exit::Failed)) };
        }
        self.say(session, &order, began.elapsed())
    }

    fn say(&self, session: &Session, order: &OrderBody, took: Duration) -> Result<(), Failure> {
        let short = id(order.call.id, session.screen.is_terminal());
        let event = order.result.as_ref().map(|event| clean(&event.fact.text));
        let ended = || format!("ended: {}", event.as_deref().unwrap_or("over already"));
        let says = self.says.clone().unwrap_or_else(ended);
        match order.status {
            OrderStatus::AlreadySo => {
                session.screen.line(&format!("{short} {says}; it was so already, nothing was sent"))
            }
            OrderStatus::Done => {
                session.screen.line(&format!("{short} {says}, {:.2} s", took.as_secs_f64()))?;
                if let Some((before, after)) = self.next {
                    session.screen.note(&format!("next: {before} call_id={short}{after}"));
                }
                Ok(())
            }
            OrderStatus::Failed => {
                let why = event.unwrap_or_else(|| how_it_stands(&order.call));
                let why =
                    if order.call.status.is_terminal() { format!("the call is over: {why}") } else { why };
                Err(Failure::not_done(why).suggest(format!("ifbus show call {short}")))
            }
            OrderStatus::UnderWay => {
                let text =
                    format!("no end of it was seen within {:.0} s; it may still come", took.as_secs_f64());
                Err(Failure::not_done(text).suggest(format!("ifbus show call {short}")))
            }
        }
    }
}

/// The call of a word.
///
/// # Errors
/// There is none, there are several, or it is on another server than was said.
pub async fn find(session: &Session, word: &CallWord, on: Option<&ServerName>) -> Result<CallView, Failure> {
    let call: CallView = session.client.get(&format!("/v1/calls/{}", word.0)).await?.parse()?;
    if on.is_some() && call.server.as_ref() != on {
        let short = id(call.id, session.screen.is_terminal());
        let (there, here) = (server(call.server.as_ref()), server(on));
        let text = format!("the call {short} is on {there}, not on {here}; nothing was done");
        return Err(Failure::unknown_call(text).suggest(format!("ifbus show call {short}")));
    }
    Ok(call)
}

/// Where a call stands, or how it ended.
pub fn how_it_stands(call: &CallView) -> String {
    match &call.cause {
        Some(end) => ending(call.status, end),
        None => call.status.as_str().to_owned(),
    }
}
