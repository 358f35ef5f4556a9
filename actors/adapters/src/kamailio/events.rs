//! What `evapi` tells: never believed, each event is a reason to ask.
//!
//! A client that does not read stops all SIP on the server (sheet, section 4), so the link reads without waiting for
//! anybody, and a stream that stalls is closed. Without it the server is asked again and again.

use std::time::Duration;

use super::flight::{Timer, Work};
use super::machine::{Events, Kamailio, Phase};
use super::shapes::Told;
use crate::adapter::{Endpoint, LinkError, Output};

/// From connecting to being connected.
const OPEN_WITHIN: Duration = Duration::from_secs(3);

/// Three heartbeats of the configuration that is printed.
const SILENT_MAX: Duration = Duration::from_secs(15);

/// A server has eight places, and listens with four more: not too often.
const REOPEN_AFTER: Duration = Duration::from_secs(10);

/// Without events: how often it is asked whether it is the same server still.
const POLL_EVERY: Duration = Duration::from_secs(5);

impl Kamailio {
    pub(super) fn open_events(&mut self) {
        let Some(port) = self.options.events else { return };
        self.life.events = Events::Opening;
        self.life.decoder = Default::default();
        self.life.timers.disarm(Timer::Poll);
        self.life.timers.arm(Timer::EventsOpen, self.now + OPEN_WITHIN);
        let endpoint = Endpoint::Tcp { host: self.options.host.clone(), port, tls: None, quickack: false };
        self.out.push_back(Output::Open(self.link(), endpoint));
    }

    pub(super) fn events_opened(&mut self) {
        if self.life.events != Events::Opening {
            return;
        }
        self.life.events = Events::Open;
        self.life.timers.disarm(Timer::EventsOpen);
        self.life.timers.arm(Timer::EventsSilent, self.now + SILENT_MAX);
        self.advance();
    }

    pub(super) fn event_bytes(&mut self, bytes: &[u8]) {
        if !matches!(self.life.events, Events::Open | Events::Heard) {
            return;
        }
        let mut decoder = std::mem::take(&mut self.life.decoder);
        decoder.push(bytes);
        let epoch = self.epoch;
        while let Some(next) = decoder.next() {
            match next {
                Ok(json) => match serde_json::from_slice::<Told>(json) {
                    Ok(told) if !told.event.is_empty() => self.told(&told),
                    _ => self.out.push_back(Output::Unknown(1)),
                },
                Err(broken) => {
                    self.out.push_back(Output::Close(self.link()));
                    return self.events_lost(&LinkError::Other(broken.to_string()));
                }
            }
            if self.phase == Phase::Off || self.epoch != epoch {
                return;
            }
        }
        self.life.decoder = decoder;
    }

    fn told(&mut self, told: &Told) {
        self.life.events = Events::Heard;
        self.life.timers.arm(Timer::EventsSilent, self.now + SILENT_MAX);
        match told.event.as_str() {
            "heartbeat" => self.heartbeat(&told.boot),
            "ended" | "failed" => self.perhaps_over(&told.call_id),
            _ => {}
        }
    }

    fn heartbeat(&mut self, boot: &str) {
        match &self.life.boot {
            Some(known) if known != boot => self.restarted(),
            Some(_) => {}
            None => self.life.boot = Some(boot.to_owned()),
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

    /// It was open and says nothing: the heartbeat is missing in the configuration, or all SIP stands still.
    pub(super) fn events_silent(&mut self) {
        self.out.push_back(Output::Close(self.link()));
        self.events_lost(&LinkError::Other(format!("silent for {SILENT_MAX:?}, without a heartbeat")));
    }

    /// Events are a help, not the truth: life goes on without them, and says so.
    pub(super) fn events_lost(&mut self, error: &LinkError) {
        let was = std::mem::replace(&mut self.life.events, Events::Off);
        if was == Events::Off {
            return;
        }
        if was == Events::Opening && *error == LinkError::TimedOut {
            self.out.push_back(Output::Close(self.link()));
        }
        self.life.timers.disarm(Timer::EventsOpen);
        self.life.timers.disarm(Timer::EventsSilent);
        self.life.timers.arm(Timer::Reopen, self.now + REOPEN_AFTER);
        let port = self.options.events.unwrap_or_default();
        let text = format!(
            "no events on port {port} ({error}): the server is asked every {POLL_EVERY:?} instead; \
             ifbus setup kamailio prints the routes, or set events_port=0"
        );
        self.warn("events_off", text);
        // it may be gone altogether
        if self.phase == Phase::Ready {
            self.ask_same_boot();
        } else {
            self.poll_again();
        }
        self.advance();
    }

    /// By the operator's wish.
    pub(super) fn poll_instead(&mut self) {
        self.life.events = Events::Off;
        let text = format!("events_port=0: the server is asked every {POLL_EVERY:?} instead of being heard");
        self.warn("events_off", text);
        self.poll_again();
    }

    pub(super) fn poll_again(&mut self) {
        self.life.timers.arm(Timer::Poll, self.now + POLL_EVERY);
    }
}
