//! Whether a phone is still there: OPTIONS inside its dialog, and session timers where somebody imposed one.
//!
//! A phone that says that it knows no such dialog, twice, is gone. One that says nothing is not: the server between us
//! may be starting anew, which no call notices (sheet sip-3pcc, section 3, 21 to 24).

use std::time::Duration;

use ifbus_call::LegId;

use super::agent::{Agent, Asked, Due};
use super::command::SipCommand;
use super::event::{Reply, Session};

/// How often each phone is asked.
const ALIVE_EVERY: Duration = Duration::from_secs(30);
/// After a first doubt.
const ALIVE_AGAIN: Duration = Duration::from_secs(3);
/// How long it has to answer.
const ALIVE_WITHIN: Duration = Duration::from_secs(8);
/// So many times it may be said that nobody is there.
const MISSES_MAX: u32 = 2;
/// So long nothing may be heard at all: a proxy is started anew in less.
const SILENT_MAX: Duration = Duration::from_secs(60);
/// A session ends this long before its timer at the latest (RFC 4028, section 10).
const STALE_BEFORE: u32 = 32;

impl Agent {
    /// Begins to ask, at some moment of its own.
    pub(super) fn watch(&mut self, leg: LegId) {
        let wait = self.between(ALIVE_EVERY / 2, ALIVE_EVERY / 2);
        self.timers.arm(Due::Alive(leg), self.now + wait);
    }

    pub(super) fn ask_alive(&mut self, leg: LegId) {
        let Some(known) = self.legs.get(&leg).filter(|known| known.is_up()) else { return };
        if known.pending.is_some() {
            // an offer is under way: its reply tells as much
            return self.watch(leg);
        }
        let number = self.ask(Asked::Alive(leg));
        self.command(SipCommand::Options { leg: Some(leg), number, within: ALIVE_WITHIN });
    }

    pub(super) fn alive_replied(&mut self, leg: LegId, reply: &Reply) {
        let now = self.now;
        let Some(known) = self.legs.get_mut(&leg).filter(|known| known.is_up()) else { return };
        let next = match reply.code {
            _ if reply.local => {
                let since = *known.silent_since.get_or_insert(now);
                if now.since(since) >= SILENT_MAX {
                    return self.lost(leg);
                }
                ALIVE_AGAIN * 2
            }
            // 408 and 480 are the proxy's word for a phone that it does not reach
            404 | 408 | 410 | 480 | 481 => {
                known.silent_since = None;
                known.misses += 1;
                if known.misses >= MISSES_MAX {
                    return self.lost(leg);
                }
                ALIVE_AGAIN
            }
            _ => {
                self.lives(leg);
                ALIVE_EVERY
            }
        };
        self.timers.arm(Due::Alive(leg), self.now + next);
    }

    /// A phone was heard.
    pub(super) fn lives(&mut self, leg: LegId) {
        if let Some(known) = self.legs.get_mut(&leg) {
            known.misses = 0;
            known.silent_since = None;
        }
    }

    /// Nobody is there any more; BYE all the same, so that the server forgets it, too.
    pub(super) fn lost(&mut self, leg: LegId) {
        if let Some(known) = self.legs.get_mut(&leg) {
            known.vanished = true;
            self.end(leg, Some((27, "no answer inside the dialog")));
        }
    }

    // ---- session timers ---------------------------------------------------------------------------------------------

    /// Obeys a session timer; nothing changes when none is spoken of.
    pub(super) fn take_session(&mut self, leg: LegId, session: Option<Session>) {
        let Some(known) = self.legs.get_mut(&leg) else { return };
        known.session = session.or(known.session);
        let Some(session) = known.session else { return };
        let every = session.every.max(10);
        if session.ours {
            self.timers.disarm(Due::Stale(leg));
            self.timers.arm(Due::Refresh(leg), self.now + Duration::from_secs(u64::from(every / 2)));
        } else {
            self.timers.disarm(Due::Refresh(leg));
            let last = every - STALE_BEFORE.min(every / 3);
            self.timers.arm(Due::Stale(leg), self.now + Duration::from_secs(u64::from(last)));
        }
    }

    /// The same description again: nothing changes but the time.
    pub(super) fn refresh(&mut self, leg: LegId) {
        let Some(known) = self.legs.get(&leg).filter(|known| known.is_up()) else { return };
        let Some(session) = known.session else { return };
        if known.pending.is_some() || self.timers.is_armed(Due::Glare(leg)) {
            return self.timers.arm(Due::Refresh(leg), self.now + ALIVE_AGAIN);
        }
        if let Some(ours) = known.ours() {
            self.offer(leg, &ours, Some(session.every));
        }
    }

    pub(super) fn session_over(&mut self, leg: LegId) {
        if self.legs.get(&leg).is_some_and(super::legs::Leg::is_up) {
            self.warn(
                "sip_session",
                format!("{leg}: the far end did not refresh its session; it is hung up"),
            );
            self.lost(leg);
        }
    }
}
