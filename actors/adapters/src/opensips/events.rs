//! What the server sends by itself: never believed, each event is a reason to ask.
//!
//! It sends datagrams to a socket of ours, one subscription for each event, each of which ends by itself and is renewed
//! before (sheet, section 5). Anybody on its host can send us such a datagram, so the worst it can do is a question.

use std::time::Duration;

use super::flight::{Purpose, Timer, Work};
use super::machine::{EVENTS, OpenSips, Phase};
use super::mi::{Answer, Command};
use super::shapes::{self, Anything, Subscribers, Told};
use crate::adapter::{Endpoint, LinkError, Output};
use crate::wire_format::jsonrpc::{self, Param};

/// A dialog has come from one state to another: built in.
pub(super) const STATE: &str = "E_DLG_STATE_CHANGED";
/// An answered call is over: raised by the script that is printed.
pub(super) const END: &str = "E_IFBUS_END";
/// Every five seconds, by the same script: proof that events arrive at all.
pub(super) const HEARTBEAT: &str = "E_IFBUS_HEARTBEAT";

/// What is subscribed to. Without the first there are no events; the others are missed and told.
pub(super) const WANTED: [&str; 3] = [STATE, END, HEARTBEAT];

/// How long a subscription lives: an orchestrator that died is sent nothing for long.
const EXPIRES: Duration = Duration::from_secs(120);
/// At a third of it (sheet, section 5.1).
const RENEW_EVERY: Duration = Duration::from_secs(40);
/// From opening our socket to the last subscription: it answers one question after the other, each perhaps twice.
const SUBSCRIBED_WITHIN: Duration = Duration::from_secs(10);
/// Three heartbeats of the script that is printed.
const SILENT_MAX: Duration = Duration::from_secs(15);
/// An address that is taken may be free again.
const REOPEN_AFTER: Duration = Duration::from_secs(10);
/// Without events: how often it is asked whether it is the same server still.
pub(super) const POLL_EVERY: Duration = Duration::from_secs(5);

/// How far the events have come.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) enum Events {
    /// Not wanted, or not to be had: the server is asked instead.
    #[default]
    Off,
    /// Our socket is being made.
    Binding,
    /// It is there; the server is asked what it has, or told what is wanted.
    Subscribing {
        /// What it has of [`WANTED`].
        there: Vec<usize>,
        /// So many answers are still to come.
        left: usize,
    },
    /// Subscribed.
    On {
        /// To these of [`WANTED`].
        there: Vec<usize>,
        /// A heartbeat was heard.
        beats: bool,
    },
}

impl Events {
    /// Whether our socket is there, or on its way.
    pub(super) fn is_bound(&self) -> bool {
        *self != Self::Off
    }

    pub(super) const fn is_rising(&self) -> bool {
        matches!(self, Self::Binding | Self::Subscribing { .. })
    }
}

impl OpenSips {
    pub(super) fn open_events(&mut self) {
        let Some(at) = self.options.events else { return };
        self.life.events = Events::Binding;
        self.life.timers.disarm(Timer::Poll);
        self.life.timers.arm(Timer::Subscribing, self.now + SUBSCRIBED_WITHIN);
        let endpoint = Endpoint::Listen { at, from: self.options.host.clone() };
        self.out.push_back(Output::Open(self.link(EVENTS), endpoint));
    }

    pub(super) fn events_opened(&mut self) {
        if self.life.events == Events::Binding {
            self.life.events = Events::Subscribing { there: Vec::new(), left: 0 };
            self.ask_plain(Command::Events, Purpose::Events);
        }
    }

    /// Which events there are: those of the script are known from its start on (sheet, section 4).
    pub(super) fn events_told(&mut self, answer: &Answer) {
        if !matches!(self.life.events, Events::Subscribing { .. }) {
            return;
        }
        let told = match answer.read::<shapes::Events>() {
            Ok(told) => told.events,
            Err(trouble) => return self.events_lost(&LinkError::Other(trouble.to_string())),
        };
        let there: Vec<usize> =
            (0..WANTED.len()).filter(|place| told.iter().any(|event| event.name == WANTED[*place])).collect();
        if !there.contains(&0) {
            return self.events_lost(&LinkError::Other(format!("there is no {STATE}")));
        }
        if there.len() < WANTED.len() {
            let text = format!(
                "its script raises no {END} or {HEARTBEAT}: lost events are not noticed; ifbus setup opensips prints it"
            );
            self.warn("no_heartbeat", text);
        }
        self.life.events = Events::Subscribing { left: there.len(), there: there.clone() };
        for place in there {
            self.subscribe(place, EXPIRES, Purpose::Subscribe(place));
        }
    }

    fn subscribe(&mut self, place: usize, expires: Duration, purpose: Purpose) {
        let Some(at) = self.options.events else { return };
        let socket = format!("udp:{at}");
        let seconds = i64::try_from(expires.as_secs()).expect("minutes fit");
        let params = [Param::Text(WANTED[place]), Param::Text(&socket), Param::Number(seconds)];
        self.ask_in_order(Command::Subscribe, &params, purpose).expect("names and addresses are fit");
    }

    pub(super) fn subscribed(&mut self, place: usize, answer: &Answer) {
        if let Err(trouble) = answer.read::<Anything>() {
            if self.life.events.is_bound() {
                let why = format!("{} is not to be had: {trouble}", WANTED[place]);
                self.events_lost(&LinkError::Other(why));
            }
            return;
        }
        if let Events::Subscribing { there, left } = &mut self.life.events {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.life.events = Events::On { there: std::mem::take(there), beats: false };
                self.life.timers.disarm(Timer::Subscribing);
                self.life.timers.arm(Timer::Renew, self.now + RENEW_EVERY);
            }
        }
        if WANTED[place] == HEARTBEAT {
            self.life.timers.arm(Timer::EventsSilent, self.now + SILENT_MAX);
        }
        self.advance();
    }

    /// Subscribes again, which lengthens it, and looks whether the server had forgotten us.
    pub(super) fn renew(&mut self) {
        if matches!(self.life.events, Events::On { .. }) {
            let params = [("event", Param::Text(STATE))];
            self.ask(Command::Subscribers, &params, Purpose::Subscribers).expect("the name is fit");
            self.life.timers.arm(Timer::Renew, self.now + RENEW_EVERY);
        }
    }

    pub(super) fn subscribers_told(&mut self, answer: &Answer) {
        let (Events::On { there, .. }, Some(at)) = (&self.life.events, self.options.events) else { return };
        let there = there.clone();
        let socket = format!("udp:{at}");
        let told = answer.read::<Subscribers>().map(|told| told.event.subscribers).unwrap_or_default();
        let knows = told.iter().any(|one| one.socket == socket && one.ttl != "expired");
        if !knows {
            self.warn(
                "events_forgotten",
                "the server had forgotten our subscriptions; they are made again".to_owned(),
            );
            self.ask_same_boot();
        }
        for place in there {
            self.subscribe(place, EXPIRES, Purpose::Unheard);
        }
    }

    /// A datagram of its host, if it is one of its own at all.
    pub(super) fn event(&mut self, bytes: &[u8]) {
        if !self.life.events.is_bound() {
            return;
        }
        match jsonrpc::notice::<Told>(bytes) {
            Ok((name, _)) if name == HEARTBEAT => {
                if let Events::On { beats, .. } = &mut self.life.events {
                    *beats = true;
                }
                self.life.timers.arm(Timer::EventsSilent, self.now + SILENT_MAX);
            }
            Ok((name, told)) if name == END || (name == STATE && told.new_state == 5) => {
                self.perhaps_over(&told.callid);
            }
            Ok((name, _)) if name == STATE => {}
            _ => self.out.push_back(Output::Unknown(1)),
        }
    }

    /// The server says that a dialog is over: whoever waits for that looks.
    fn perhaps_over(&mut self, call_id: &str) {
        self.calls.doubt(call_id, self.now);
        let waits = |work: &Work| matches!(work, Work::End(ending) if ending.waits_for(call_id));
        let tickets: Vec<_> =
            self.life.orders.iter().filter(|(_, work)| waits(work)).map(|(ticket, _)| *ticket).collect();
        for ticket in tickets {
            self.look(ticket);
        }
    }

    /// It was heard, or should have been, and says nothing: datagrams are lost, or all of it stands still.
    pub(super) fn events_silent(&mut self) {
        self.events_lost(&LinkError::Other(format!("silent for {SILENT_MAX:?}, without a heartbeat")));
    }

    /// Events are a help, not the truth: life goes on without them, and says so.
    pub(super) fn events_lost(&mut self, error: &LinkError) {
        if !self.life.events.is_bound() {
            return;
        }
        self.life.events = Events::Off;
        self.out.push_back(Output::Close(self.link(EVENTS)));
        for timer in [Timer::Subscribing, Timer::EventsSilent, Timer::Renew] {
            self.life.timers.disarm(timer);
        }
        self.life.timers.arm(Timer::Reopen, self.now + REOPEN_AFTER);
        let at = self.options.events.map(|at| at.to_string()).unwrap_or_default();
        let text = format!(
            "no events at {at} ({error}): the server is asked every {POLL_EVERY:?} instead; ifbus setup opensips prints \
             what it needs, or set events=off"
        );
        self.warn("events_off", text);
        if self.phase == Phase::Ready {
            self.ask_same_boot();
        } else {
            self.life.timers.arm(Timer::Poll, self.now + POLL_EVERY);
        }
        self.advance();
    }

    /// By the operator's wish.
    pub(super) fn poll_instead(&mut self) {
        let text = format!("events=off: the server is asked every {POLL_EVERY:?} instead of being heard");
        self.warn("events_off", text);
        self.life.timers.arm(Timer::Poll, self.now + POLL_EVERY);
    }
}
