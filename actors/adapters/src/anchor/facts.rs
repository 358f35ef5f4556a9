//! Events: what either half says, under the names that the calls know.
//!
//! Of a leg that is lent, the media server knows with whom it talks and what it presses; the proxy knows whether it
//! lives.

use ifbus_call::order::Direction;
use ifbus_call::{Cause, Event, LegId, Order};

use super::machine::{Anchored, Loan, Own};
use crate::adapter::{Input, Output, Ticket};

impl Anchored {
    pub(super) fn tell(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    pub(super) fn proxy_event(&mut self, event: Event) {
        let leg = event.leg();
        if self.lent_to.contains_key(&leg) {
            // The media server's dialog: its end is the end of the loan.
            if matches!(event, Event::Ended { .. } | Event::Vanished(_)) {
                self.loan_gone(leg);
            }
            return;
        }
        match &event {
            Event::Ended { leg, .. } | Event::Vanished(leg) => self.gone(*leg),
            Event::Joined(a, b) => self.pair(*a, *b),
            Event::MovedByPhone { leg, guest, .. } => self.moved(*leg, *guest),
            Event::Parted(leg) if self.is_lent(*leg) => return,
            Event::Parted(leg) => self.unpair(*leg),
            _ => {}
        }
        self.tell(event);
    }

    pub(super) fn media_event(&mut self, event: Event) {
        let Some(leg) = self.lent_to.get(&event.leg()).copied() else { return };
        match event {
            Event::Answered(_) => {
                if let Some(loan) = self.loans.get_mut(&leg) {
                    loan.up = true;
                }
            }
            Event::Joined(_, other) => {
                if let Some(other) = self.lent_to.get(&other).copied() {
                    self.pair(leg, other);
                    self.tell(Event::Joined(leg, other));
                }
            }
            Event::Parted(_) => {
                self.unpair(leg);
                self.tell(Event::Parted(leg));
            }
            Event::Entered(_, conference) => {
                self.unpair(leg);
                self.tell(Event::Entered(leg, conference));
            }
            Event::Left(_) => self.tell(Event::Left(leg)),
            Event::Digit(_, digit) => self.tell(Event::Digit(leg, digit)),
            Event::Muted(anchor, direction, on) => {
                let known = (anchor, direction);
                if on {
                    self.muted.insert(known)
                } else {
                    self.muted.remove(&known)
                };
                self.tell(Event::Muted(leg, direction, on));
            }
            // The phone's own hold is told by the proxy's half; nobody transfers a media server's leg but us.
            Event::Started(_)
            | Event::Ringing(_)
            | Event::EarlyMedia(_)
            | Event::HeldByPhone(_)
            | Event::ResumedByPhone(_)
            | Event::MovedByPhone { .. } => {}
            Event::Ended { leg: anchor, .. } | Event::Vanished(anchor) => self.loan_gone(anchor),
        }
    }

    fn pair(&mut self, a: LegId, b: LegId) {
        self.partners.insert(a, b);
        self.partners.insert(b, a);
    }

    /// Whom a leg talks to, if that one says so, too.
    pub(super) fn partner_of(&self, leg: LegId) -> Option<LegId> {
        let partner = *self.partners.get(&leg)?;
        (self.partners.get(&partner) == Some(&leg)).then_some(partner)
    }

    fn unpair(&mut self, leg: LegId) {
        if let Some(partner) = self.partners.remove(&leg)
            && self.partners.get(&partner) == Some(&leg)
        {
            self.partners.remove(&partner);
        }
    }

    /// A phone's own transfer: the agent may have given a dialog of the media server to another leg. What was done to the
    /// one before, by order of its call, is not done to the next.
    fn moved(&mut self, leg: LegId, guest: Option<LegId>) {
        let guests: Vec<_> = self.proxy.agent().guests().map(|(leg, tag)| (leg, tag.clone())).collect();
        self.tags.extend(guests);
        for (now, anchor) in self.proxy.agent().loans() {
            let before = self.lent_to.insert(anchor, now);
            if before == Some(now) {
                continue;
            }
            if let Some(other) = self.loans.insert(now, Loan { anchor, up: true }) {
                self.end_there(other.anchor);
            }
            if let Some(before) = before {
                self.loans.remove(&before);
                self.undo(before, anchor);
            }
        }
        if let Some(guest) = guest {
            self.pair(leg, guest);
        }
    }

    /// Ends what a call has ordered for a leg that the media server's dialog is not for any more.
    fn undo(&mut self, leg: LegId, anchor: LegId) {
        if let Some((recording, segment)) = self.records.remove(&leg) {
            self.tell_media(Own::End, Order::StopRecord { leg: anchor, recording, segment });
        }
        for direction in [Direction::In, Direction::Out] {
            if self.muted.remove(&(anchor, direction)) {
                self.tell_media(Own::End, Order::Mute { leg: anchor, direction, on: false });
            }
        }
    }

    /// A leg is over: what the media server has of it is ended, and the guest it was left to.
    fn gone(&mut self, leg: LegId) {
        let guest = self.partner_of(leg).filter(|partner| self.proxy.agent().is_guest(*partner));
        self.records.remove(&leg);
        if let Some(loan) = self.loans.remove(&leg) {
            self.end_there(loan.anchor);
        }
        self.unpair(leg);
        self.tags.remove(&leg);
        if let Some(guest) = guest {
            self.release(guest);
        }
    }

    pub(super) fn end_there(&mut self, anchor: LegId) {
        self.lent_to.remove(&anchor);
        self.muted.retain(|(muted, _)| *muted != anchor);
        self.tell_media(Own::End, Order::Drop { leg: anchor, cause: Cause::Answered });
    }

    /// A leg whose partner was given to somebody else is hung up.
    pub(super) fn release(&mut self, leg: LegId) {
        if let Some(loan) = self.loans.remove(&leg) {
            self.end_there(loan.anchor);
        }
        let ticket = self.own_ticket(Own::End);
        let order = Order::Drop { leg, cause: Cause::Answered };
        self.proxy.handle(Input::Order(ticket, order), self.now);
    }

    /// The media server has lost a leg, or gave it up: its party and the one it talked to are joined without it.
    fn loan_gone(&mut self, anchor: LegId) {
        let Some(leg) = self.lent_to.get(&anchor).copied() else { return };
        if self.loans.get(&leg).is_some_and(|loan| !loan.up) {
            let why = ifbus_call::Refused::unsent(ifbus_call::Why::Refused);
            return self.not_lent(leg, &why);
        }
        if self.is_released(leg) {
            return self.release(leg);
        }
        let partner = self.partner_of(leg);
        self.unlend(leg);
        if let Some(partner) = partner {
            self.unlend(partner);
        } else {
            self.tell(Event::Left(leg));
        }
    }

    /// A leg is lent no longer. With its partner, if that is not lent either, it talks as before.
    pub(super) fn unlend(&mut self, leg: LegId) {
        let Some(loan) = self.loans.remove(&leg) else { return };
        let now = self.now;
        let partner = self.partner_of(leg).filter(|partner| !self.is_lent(*partner));
        if let Some(partner) = partner {
            self.proxy.with_agent(&mut |agent| agent.rejoin(leg, partner, now));
        }
        self.proxy.with_agent(&mut |agent| agent.take_loan_back(loan.anchor, now));
        self.end_there(loan.anchor);
    }

    pub(super) fn own_ticket(&mut self, own: Own) -> Ticket {
        let ticket = self.next_ticket();
        self.own.insert(ticket, own);
        ticket
    }
}
