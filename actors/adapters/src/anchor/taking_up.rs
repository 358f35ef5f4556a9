//! Lists: what both halves have of the same legs, at the beginning of a life and whenever somebody asks.

use std::collections::BTreeSet;

use ifbus_call::order::Done;
use ifbus_call::{LegId, Outcome, Seen};

use super::machine::{Anchored, Held, Loan, Standing};
use crate::adapter::{Output, Ready, Ticket};

impl Anchored {
    pub(super) fn proxy_ready(&mut self, ready: Ready) {
        self.rising = Some((ready, self.now));
        if self.media.standing == Standing::Ready {
            self.both_ready();
        } else if self.media.standing == Standing::Off {
            self.ready_without_media();
        }
    }

    pub(super) fn media_ready(&mut self, ready: Ready) {
        self.media_is_up();
        self.media.seen = ready.seen;
        if self.rising.is_some() {
            self.both_ready();
        } else if self.taken_up {
            self.compare();
        }
    }

    /// The media server does not come up: calls go on without it, what is lent may still sound.
    pub(super) fn ready_without_media(&mut self) {
        if let Some((ready, _)) = self.rising.take() {
            self.take_up(&ready.seen);
            let seen = self.merged(ready.seen, &[]);
            self.out.push_back(Output::Ready(Ready { seen, ..ready }));
            self.hear_held();
        }
    }

    fn both_ready(&mut self) {
        let Some((ready, _)) = self.rising.take() else { return };
        self.take_up(&ready.seen);
        self.compare();
        let there = std::mem::take(&mut self.media.seen);
        let seen = self.merged(ready.seen, &there);
        self.out.push_back(Output::Ready(Ready { seen, ..ready }));
        self.hear_held();
    }

    /// What happened while the second list was waited for.
    pub(super) fn hear_held(&mut self) {
        for held in std::mem::take(&mut self.held) {
            match held {
                Held::Proxy(event) => self.proxy_event(event),
                Held::Media(event) => self.media_event(event),
            }
        }
    }

    /// What the agent still has, from before.
    fn take_up(&mut self, seen: &[Seen]) {
        self.taken_up = true;
        for leg in seen {
            if let Some(tag) = &leg.tag {
                self.tags.insert(leg.leg, tag.clone());
            }
            if let [partner] = leg.partners[..] {
                self.partners.insert(leg.leg, partner);
            }
        }
        for (leg, anchor) in self.proxy.agent().loans() {
            self.loans.entry(leg).or_insert(Loan { anchor, up: true });
            self.lent_to.insert(anchor, leg);
        }
    }

    /// What the media server has that nobody needs is ended; what it has not is not lent.
    fn compare(&mut self) {
        let there: BTreeSet<LegId> =
            self.media.seen.iter().filter(|seen| seen.tag.is_some()).map(|seen| seen.leg).collect();
        for anchor in
            there.iter().filter(|anchor| !self.lent_to.contains_key(*anchor)).copied().collect::<Vec<_>>()
        {
            self.end_there(anchor);
        }
        let missing = |loan: &Loan| loan.up && !there.contains(&loan.anchor);
        let lost: Vec<LegId> =
            self.loans.iter().filter(|(_, loan)| missing(loan)).map(|(leg, _)| *leg).collect();
        for leg in lost {
            self.unlend(leg);
        }
        // Who talks to whom over there is known again.
        let pairs: Vec<(LegId, LegId)> = self
            .media
            .seen
            .iter()
            .filter_map(|seen| {
                let [partner] = seen.partners[..] else { return None };
                Some((*self.lent_to.get(&seen.leg)?, *self.lent_to.get(&partner)?))
            })
            .collect();
        self.partners.extend(pairs);
    }

    /// The proxy's list, with what the media server knows of the legs that are lent.
    pub(super) fn merged(&self, seen: Vec<Seen>, there: &[Seen]) -> Vec<Seen> {
        let with_media = |mut seen: Seen| {
            let Some(loan) = self.loans.get(&seen.leg).filter(|loan| loan.up) else { return seen };
            let Some(lent) = there.iter().find(|other| other.leg == loan.anchor) else {
                // Not known now: as it was.
                seen.partners = self.partners.get(&seen.leg).copied().into_iter().collect();
                return seen;
            };
            let of = |leg: &LegId| self.lent_to.get(leg).copied();
            seen.partners = lent.partners.iter().filter_map(of).collect();
            seen.conference.clone_from(&lent.conference);
            seen.hears_music = lent.hears_music;
            seen
        };
        seen.into_iter().map(with_media).collect()
    }

    pub(super) fn listed_there(&mut self, ticket: Ticket, outcome: Outcome) {
        let Some(seen) = self.lists.remove(&ticket) else { return };
        let there = match outcome {
            Ok(Done::Listed(there)) => there,
            Ok(_) | Err(_) => Vec::new(),
        };
        let seen = self.merged(seen, &there);
        self.answer(ticket, Ok(Done::Listed(seen)));
    }
}
