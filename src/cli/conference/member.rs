//! `ifbus conference kick`, `mute`, `unmute`: a member is named, and what was asked for is waited for.

use std::time::{Duration, Instant};

use ifbus::serve::http::body::{OrderBody, OrderStatus};
use ifbus_call::ConferenceId;
use ifbus_fleet::journal::EventView;
use ifbus_fleet::view::{CallView, ConferenceView, MemberView};
use serde_json::{Value, json};

use crate::cli::act::how_it_stands;
use crate::cli::client::Answer;
use crate::cli::errors::{Exit, Failure};
use crate::cli::grammar::RoomArgs;
use crate::cli::render::{clean, id};
use crate::cli::session::{Session, unless_interrupted};
use crate::cli::watch::{self, Sign};
use crate::cli::words::MemberWord;

/// How often a call is looked at for a leg that is on its way out.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is done to a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// Its leg is hung up.
    Kick,
    /// Nobody hears it.
    Mute,
    /// It is heard again.
    Unmute,
}

impl What {
    const fn verb(self) -> &'static str {
        match self {
            Self::Kick => "conference kick",
            Self::Mute => "conference mute",
            Self::Unmute => "conference unmute",
        }
    }

    const fn says(self) -> &'static str {
        match self {
            Self::Kick => "left",
            Self::Mute => "muted",
            Self::Unmute => "not muted",
        }
    }

    /// Whether an event says that it is done, or that it failed.
    fn verdict(self, kind: &str) -> Option<OrderStatus> {
        match (self, kind) {
            (Self::Mute, "call.muted") | (Self::Unmute, "call.unmuted") => Some(OrderStatus::Done),
            (_, "call.verb_failed" | "call.ended") => Some(OrderStatus::Failed),
            _ => None,
        }
    }
}

/// A member, and what is done to it.
#[derive(Debug)]
pub struct Change {
    conference: ConferenceId,
    member: MemberWord,
    what: What,
}

impl Change {
    /// Sorts the words.
    pub fn plan(what: What, args: &RoomArgs) -> Result<Self, Failure> {
        let words = super::sort(what.verb(), args, &["member"])?;
        Ok(Self { conference: super::room(&args.id)?, member: words.need(what.verb(), "member")?, what })
    }

    /// Asks for it and waits for its end.
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        let began = Instant::now();
        let goes_on = || format!("it goes on; who is in: ifbus conference list sip {}", self.conference);
        let order = unless_interrupted(self.order(session), goes_on).await?;
        if session.screen.json {
            session.screen.line(&serde_json::to_string(&order).expect("an order can be written as JSON"))?;
            let is_good = matches!(order.status, OrderStatus::Done | OrderStatus::AlreadySo);
            return if is_good { Ok(()) } else { Err(Failure::said(Exit::Failed)) };
        }
        let (member, says) = (&self.member.0, self.what.says());
        let show = format!("ifbus show call {}", id(order.call.id, session.screen.is_terminal()));
        match order.status {
            OrderStatus::Done => {
                session.screen.line(&format!("{member} {says}, {:.2} s", began.elapsed().as_secs_f64()))
            }
            OrderStatus::AlreadySo => {
                session.screen.line(&format!("{member} {says}; it was so already, nothing was sent"))
            }
            OrderStatus::Failed => {
                let event = order.result.as_ref().map(|event| clean(&event.fact.text));
                Err(Failure::not_done(event.unwrap_or_else(|| how_it_stands(&order.call))).suggest(show))
            }
            OrderStatus::UnderWay => {
                let text =
                    format!("no end of it was seen within {} s; it may still come", watch::WITHIN.as_secs());
                Err(Failure::not_done(text).suggest(show))
            }
        }
    }

    /// The order as it ended.
    async fn order(&self, session: &Session) -> Result<OrderBody, Failure> {
        if self.what == What::Kick {
            return self.kick(session).await;
        }
        let before = watch::before(session).await?;
        let mut order: OrderBody = self.ask(session).await?.parse()?;
        if order.status == OrderStatus::AlreadySo {
            return Ok(order);
        }
        let taken = order.call.seq;
        let ended = watch::until(session, order.call.id, before, "waiting for the member", async |sign| {
            Ok(match sign {
                Sign::Event(event) if event.fact.call_seq.is_some_and(|seq| seq > taken) => {
                    self.what.verdict(&event.fact.kind).map(|status| (status, Some(EventView::clone(event))))
                }
                Sign::Event(_) => None,
                Sign::Missed => Some((OrderStatus::UnderWay, None)),
            })
        });
        if let Some((status, event)) = ended.await? {
            (order.status, order.result) = (status, event);
            order.call = session.client.get(&format!("/v1/calls/{}", order.call.id)).await?.parse()?;
        }
        Ok(order)
    }

    /// A removal is told when it is asked for, not when the leg is gone: that only a look can tell.
    async fn kick(&self, session: &Session) -> Result<OrderBody, Failure> {
        let path = format!("/v1/conferences/{}", self.conference);
        let view: ConferenceView = session.client.get(&path).await?.parse()?;
        let wanted = self.member.0.to_ascii_lowercase();
        let is_meant = |member: &&MemberView| {
            member.id.to_ascii_lowercase().ends_with(&wanted)
                || member.call.to_string().to_ascii_lowercase().ends_with(&wanted)
        };
        let meant = view.members.iter().find(is_meant).map(|member| member.role);
        let mut order: OrderBody = self.ask(session).await?.parse()?;
        let looking = async {
            loop {
                let call: CallView =
                    session.client.get(&format!("/v1/calls/{}", order.call.id)).await?.parse()?;
                if call.status.is_terminal() || !call.legs.iter().any(|leg| Some(leg.role) == meant) {
                    return Ok::<_, Failure>(call);
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let looking = session.screen.wait("waiting for the member", looking);
        if let Ok(call) = tokio::time::timeout(watch::WITHIN, looking).await {
            (order.call, order.status) = (call?, OrderStatus::Done);
        }
        Ok(order)
    }

    async fn ask(&self, session: &Session) -> Result<Answer, Failure> {
        let path = format!("/v1/conferences/{}/members/{}", self.conference, self.member.0);
        let muted = |on: bool| -> Value { json!({ "muted": on }) };
        match self.what {
            What::Kick => session.client.delete(&path).await,
            What::Mute => session.client.patch(&path, &muted(true)).await,
            What::Unmute => session.client.patch(&path, &muted(false)).await,
        }
    }
}
