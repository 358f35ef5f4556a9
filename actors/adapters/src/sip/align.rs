//! Who is offered what: a leg whose `settle` is set is offered what its partner says, until it took that.
//!
//! One offer at a time in a dialog (sheet, W9). An offer that meets one of the phone's is made again after two to four
//! seconds: we own the Call-ID (RFC 3261, 14.1). An answer that leads elsewhere than the one before is handed to the
//! partner, who is then offered again; two rounds, and no more.

use std::time::Duration;

use ifbus_call::{Event, LegId};

use super::agent::{Agent, Asked, Due, Standing};
use super::command::SipCommand;
use super::dialog::Progress;
use super::event::Reply;
use super::legs::Pending;
use super::sdp::{Direction, Origin, Sdp};

/// How long a phone has to answer an offer inside a dialog. It does not ring for that.
pub(super) const OFFER_WITHIN: Duration = Duration::from_secs(8);
/// How often an offer may meet one of the phone's in a row.
const GLARES_MAX: u32 = 4;

impl Agent {
    /// What a leg's phone should be offered now: what its partner says of itself, or that nobody is there.
    pub(super) fn desired(&self, leg: LegId) -> Option<Sdp> {
        let known = self.legs.get(&leg)?;
        let before = known.ours().unwrap_or_else(Sdp::held);
        let partner = known.dialog.partner.and_then(|partner| self.legs.get(&partner));
        Some(match partner.and_then(|partner| Some((partner.theirs()?, partner.wants()))) {
            // a phone that holds is offered no more than it wants to take back
            Some((theirs, wants)) => theirs.directed(wants.and(known.wants().mirrored())).grown_like(&before),
            None => before.directed(Direction::Inactive),
        })
    }

    fn is_aligned(&self, leg: LegId) -> bool {
        let Some(known) = self.legs.get(&leg) else { return true };
        let same =
            known.ours().zip(self.desired(leg)).is_some_and(|(ours, desired)| ours.same_words(&desired));
        same && !known.dialog.media.unsure
    }

    /// Whether nothing more has to be said to a leg's phone.
    pub(super) fn is_settled(&self, leg: LegId) -> bool {
        self.legs.get(&leg).is_none_or(|known| !known.settle && known.pending.is_none())
    }

    /// Makes the offer a leg needs, if it needs one and none is under way.
    pub(super) fn align(&mut self, leg: LegId) {
        let Some(known) = self.legs.get(&leg) else { return };
        let waits = self.timers.is_armed(Due::Glare(leg)) || self.standing != Standing::Open;
        if !known.settle || known.pending.is_some() || waits || known.dialog.progress != Progress::Up {
            return;
        }
        if self.is_aligned(leg) {
            if let Some(known) = self.legs.get_mut(&leg) {
                known.settle = false;
            }
            return;
        }
        if let Some(offer) = self.desired(leg) {
            self.offer(leg, &offer, None);
        }
    }

    /// Sends an offer, after it was written down.
    pub(super) fn offer(&mut self, leg: LegId, offer: &Sdp, session: Option<u32>) {
        let number = self.ask(Asked::Offer(leg));
        let Some(text) = self.say(leg, offer) else { return };
        let Some(known) = self.legs.get_mut(&leg) else { return };
        let (before, sdp) = (std::mem::replace(&mut known.dialog.media.ours, text.clone()), text);
        known.dialog.media.unsure = true;
        known.pending = Some(Pending { number, before, stale: false, refresh: session.is_some() });
        self.write_down(leg, vec![SipCommand::Reinvite { leg, number, sdp, session, within: OFFER_WITHIN }]);
    }

    /// The text of a description under the leg's own origin: with a new version, unless it says what was said last.
    pub(super) fn say(&mut self, leg: LegId, sdp: &Sdp) -> Option<String> {
        let host = if self.host.is_empty() { "0.0.0.0" } else { &self.host };
        let known = self.legs.get_mut(&leg)?;
        let repeats = known.ours().is_some_and(|ours| ours.same_words(sdp));
        let media = &mut known.dialog.media;
        if repeats {
            return Some(media.ours.clone());
        }
        media.version += 1;
        Some(sdp.write(Origin { id: media.id, version: media.version, host }))
    }

    /// What a phone said to an offer of ours.
    pub(super) fn offer_replied(&mut self, leg: LegId, number: u64, reply: &Reply) {
        let Some(known) = self.legs.get_mut(&leg) else { return };
        let Some(pending) = known.pending.take_if(|pending| pending.number == number) else { return };
        if reply.is_ok() {
            return self.offer_taken(leg, reply);
        }
        known.dialog.media.ours = pending.before;
        known.dialog.media.unsure = reply.local;
        match reply.code {
            491 if known.glares < GLARES_MAX => {
                known.glares += 1;
                if pending.refresh {
                    self.unsettle(leg);
                }
                let wait = self.between(Duration::from_millis(2_100), Duration::from_millis(1_900));
                self.timers.arm(Due::Glare(leg), self.now + wait);
            }
            // RFC 4028, section 6: no shorter than this
            422 if reply.session.is_some_and(|session| session.every < 86_400) => {
                if let Some(session) = &mut known.session {
                    session.every = session.every.max(reply.session.map_or(0, |least| least.every));
                }
                self.refresh(leg);
            }
            481 => self.lost(leg),
            _ if pending.stale => {}
            _ => {
                known.settle = false;
                known.fault = Some(reply.clone());
            }
        }
        self.write_down(leg, Vec::new());
    }

    fn offer_taken(&mut self, leg: LegId, reply: &Reply) {
        let answer = reply.sdp.as_deref().and_then(|text| Some((Sdp::parse(text).ok()?, text)));
        let Some((answer, text)) = answer else {
            // an answer that describes nothing: nobody knows what this phone does now (sheet, section 3, 18)
            self.warn("sip_answer", format!("{leg}: a phone took an offer without an answer; it is hung up"));
            return self.end(leg, Some((47, "no description")));
        };
        let Some(known) = self.legs.get_mut(&leg) else { return };
        known.glares = 0;
        known.dialog.media.unsure = false;
        known.learn(&answer, text, false);
        self.take_session(leg, reply.session);
        self.write_down(leg, Vec::new());
        self.partner_moved(leg);
    }

    /// A leg's phone may be elsewhere now: its partner is told, if it is one that talks.
    pub(super) fn partner_moved(&mut self, leg: LegId) {
        let Some(partner) = self.legs.get(&leg).and_then(|known| known.dialog.partner) else { return };
        if !self.is_aligned(partner) && self.legs.get(&partner).is_some_and(|other| other.talks_to(leg)) {
            self.unsettle(partner);
        }
    }

    /// The phone makes an offer: its hold button, a refresh, or another address. Answered by us; its partner is told
    /// afterwards.
    pub(super) fn peer_offer(&mut self, leg: LegId, token: u64, sdp: Option<&str>) {
        let Some(known) = self.legs.get(&leg) else {
            return self.command(SipCommand::Answer { leg, token, code: 481, sdp: None });
        };
        let refuse = |code| SipCommand::Answer { leg, token, code, sdp: None };
        if known.pending.is_some() || known.dialog.progress != Progress::Up {
            let code = if known.pending.is_some() { 491 } else { 481 };
            return self.command(refuse(code));
        }
        let Some(text) = sdp else { return self.offer_wanted(leg, token) };
        let Ok(offer) = Sdp::parse(text) else { return self.command(refuse(488)) };
        let asked = offer.direction();
        let partner = known.dialog.partner.and_then(|partner| self.legs.get(&partner));
        let (other, wants) = match partner.and_then(|partner| Some((partner.theirs()?, partner.wants()))) {
            Some((theirs, wants)) => (theirs, wants),
            None => (known.ours().unwrap_or_else(Sdp::held), Direction::Inactive),
        };
        let answer = other.answering(&offer).directed(asked.mirrored().and(wants));
        let Some(sdp) = self.say(leg, &answer) else { return };
        let Some(known) = self.legs.get_mut(&leg) else { return };
        known.dialog.media.ours.clone_from(&sdp);
        known.learn(&offer, text, true);
        let held = asked.is_hold();
        let changed = known.dialog.holds.is_some() != held;
        known.dialog.holds = held.then_some(asked);
        self.write_down(leg, vec![SipCommand::Answer { leg, token, code: 200, sdp: Some(sdp) }]);
        if changed {
            let event = if held { Event::HeldByPhone(leg) } else { Event::ResumedByPhone(leg) };
            self.out.push_back(crate::adapter::Output::Event(event));
        }
        self.partner_moved(leg);
    }

    /// The phone wants an offer of us; its answer comes with the ACK.
    fn offer_wanted(&mut self, leg: LegId, token: u64) {
        let Some(offer) = self.desired(leg) else { return };
        let Some(sdp) = self.say(leg, &offer) else { return };
        if let Some(known) = self.legs.get_mut(&leg) {
            known.dialog.media.ours.clone_from(&sdp);
        }
        self.write_down(leg, vec![SipCommand::Answer { leg, token, code: 200, sdp: Some(sdp) }]);
    }

    pub(super) fn peer_answer(&mut self, leg: LegId, text: &str) {
        let (Some(known), Ok(answer)) = (self.legs.get_mut(&leg), Sdp::parse(text)) else { return };
        known.learn(&answer, text, false);
        self.write_down(leg, Vec::new());
        self.partner_moved(leg);
    }
}
