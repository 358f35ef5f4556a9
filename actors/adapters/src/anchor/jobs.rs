//! Orders: which half carries them out, and what has to be so before the media server can.
//!
//! An order that needs media waits until its legs are lent and, if their parties talk, joined there; then it is the media
//! server's, under the names that it knows. One order at a time has a leg; an end waits for nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use ifbus_call::order::{Dial, Done, Evidence, Finding, Verdict, Wait};
use ifbus_call::{Cause, LegId, Nanos, Order, Outcome, Refused, Said, Why};

use super::machine::{Anchored, Loan, Own, Standing};
use crate::adapter::{Input, Ticket};

/// How long the media server has to call us: it does so at once or not at all.
const CALL_WITHIN: Duration = Duration::from_secs(8);
/// How long an order may wait for its legs.
const LENT_WITHIN: Duration = Duration::from_secs(20);

/// An order that the media server carries out.
#[derive(Debug)]
pub(super) struct Job {
    order: Order,
    /// Legs that must be lent.
    needs: Vec<LegId>,
    /// They talk, and must do so there before anything else.
    pair: bool,
    /// Who is hung up when it is done, because the order gave its partner to somebody else.
    releases: Vec<LegId>,
    stage: Stage,
    late: Nanos,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its legs are not all lent.
    Lending,
    /// They are being joined.
    Joining,
    /// It is the media server's.
    Given,
}

impl Anchored {
    pub(super) fn order(&mut self, ticket: Ticket, order: Order) {
        match &order {
            Order::Dial(dial) => {
                self.tags.insert(dial.leg, dial.tag.clone());
                self.pass_on(ticket, order);
            }
            Order::Join { a, b } if self.is_lent(*a) || self.is_lent(*b) => {
                let needs = vec![*a, *b];
                let former = needs.iter().filter_map(|leg| self.partner_of(*leg));
                let releases = former.filter(|leg| !needs.contains(leg)).collect();
                self.take_job(ticket, order, needs, false, releases);
            }
            Order::Park { held, other, .. } if self.media.standing == Standing::Ready => {
                let needs = vec![*held, *other];
                self.take_job(ticket, order, needs, true, Vec::new());
            }
            Order::Dtmf { leg, .. } | Order::Leave { leg } if self.is_lent(*leg) => {
                let needs = vec![*leg];
                self.take_job(ticket, order, needs, false, Vec::new());
            }
            Order::Mute { leg, .. } | Order::Record { leg, .. } => {
                let partner = self.partner_of(*leg);
                let needs: Vec<LegId> = [*leg].into_iter().chain(partner).collect();
                self.take_job(ticket, order, needs, partner.is_some(), Vec::new());
            }
            Order::Enter { leg, .. } => {
                let needs = vec![*leg];
                self.take_job(ticket, order, needs, false, Vec::new());
            }
            // Its leg is gone, or was never lent: nothing is being written.
            Order::StopRecord { leg, .. } if !self.is_lent(*leg) => self.answer(ticket, Ok(Done::Proven)),
            Order::StopRecord { .. } | Order::Fetch { .. } => {
                self.take_job(ticket, order, Vec::new(), false, Vec::new());
            }
            Order::Drop { leg, .. } => {
                if let Some(loan) = self.loans.get(leg) {
                    let order = Order::Drop { leg: loan.anchor, cause: Cause::Answered };
                    self.tell_media(Own::End, order);
                }
                self.pass_on(ticket, order);
            }
            _ => self.pass_on(ticket, order),
        }
    }

    fn pass_on(&mut self, ticket: Ticket, order: Order) {
        self.proxy.handle(Input::Order(ticket, order), self.now);
    }

    pub(super) fn is_lent(&self, leg: LegId) -> bool {
        self.loans.contains_key(&leg)
    }

    fn take_job(
        &mut self,
        ticket: Ticket,
        order: Order,
        needs: Vec<LegId>,
        pair: bool,
        releases: Vec<LegId>,
    ) {
        if self.media.standing != Standing::Ready {
            return self.answer(ticket, Err(self.away()));
        }
        let late = self.now + LENT_WITHIN;
        self.jobs.insert(ticket, Job { order, needs, pair, releases, stage: Stage::Lending, late });
    }

    /// Moves every job on that has its legs for itself.
    pub(super) fn go_on(&mut self) {
        let mut taken: BTreeSet<LegId> = BTreeSet::new();
        for ticket in self.jobs.keys().copied().collect::<Vec<_>>() {
            let Some(job) = self.jobs.get(&ticket) else { continue };
            let free = job.needs.iter().all(|leg| !taken.contains(leg));
            taken.extend(job.needs.iter().copied());
            if free && job.stage == Stage::Lending {
                self.lend_for(ticket);
            }
        }
    }

    fn lend_for(&mut self, ticket: Ticket) {
        let Some(job) = self.jobs.get(&ticket) else { return };
        let missing: Vec<LegId> = job.needs.iter().copied().filter(|leg| !self.is_lent(*leg)).collect();
        for leg in missing {
            if !self.lend(leg) {
                let refused = Refused::unsent(Why::NoSuchLeg);
                return self.fail(ticket, refused);
            }
        }
        let Some(job) = self.jobs.get_mut(&ticket) else { return };
        let up = |leg: &LegId| self.loans.get(leg).is_some_and(|loan| loan.up);
        if !job.needs.iter().all(up) {
            return;
        }
        match job.needs[..] {
            [one, two] if job.pair => {
                job.stage = Stage::Joining;
                if let (Some(a), Some(b)) = (self.anchor_of(one), self.anchor_of(two)) {
                    self.tell_media(Own::Join(ticket), Order::Join { a, b });
                }
            }
            _ => self.give(ticket),
        }
    }

    /// The media server is told to call us for a leg. Says whether it can be.
    fn lend(&mut self, leg: LegId) -> bool {
        let Some(tag) = self.tags.get(&leg).cloned() else { return false };
        let anchor = LegId(self.random.next());
        let now = self.now;
        let mut address = None;
        self.proxy.with_agent(&mut |agent| address = agent.lend(leg, anchor, now));
        let Some(party) = address else { return false };
        self.loans.insert(leg, Loan { anchor, up: false });
        self.lent_to.insert(anchor, leg);
        let caller = tag.party.clone();
        let dial = Dial {
            leg: anchor,
            tag: ifbus_call::Tag { party, ..tag },
            caller,
            toward: None,
            wait: Wait::Silence,
            within: CALL_WITHIN,
        };
        self.tell_media(Own::Lend(leg), Order::Dial(dial));
        true
    }

    /// The order itself, under the names the media server knows.
    fn give(&mut self, ticket: Ticket) {
        let Some(job) = self.jobs.get_mut(&ticket) else { return };
        job.stage = Stage::Given;
        let order = job.order.clone();
        match order {
            Order::Record { leg, recording, segment } => drop(self.records.insert(leg, (recording, segment))),
            Order::StopRecord { leg, .. } => drop(self.records.remove(&leg)),
            _ => {}
        }
        let Some(order) = self.translated(order) else {
            return self.fail(ticket, Refused::unsent(Why::NoSuchLeg));
        };
        self.media.adapter.handle(Input::Order(ticket, order), self.now);
    }

    fn translated(&self, order: Order) -> Option<Order> {
        let of = |leg: LegId| self.anchor_of(leg);
        Some(match order {
            Order::Join { a, b } => Order::Join { a: of(a)?, b: of(b)? },
            Order::Park { held, other, why } => Order::Park { held: of(held)?, other: of(other)?, why },
            Order::Dtmf { leg, digits } => Order::Dtmf { leg: of(leg)?, digits },
            Order::Mute { leg, direction, on } => Order::Mute { leg: of(leg)?, direction, on },
            Order::Enter { leg, conference } => Order::Enter { leg: of(leg)?, conference },
            Order::Leave { leg } => Order::Leave { leg: of(leg)? },
            Order::Record { leg, recording, segment } => Order::Record { leg: of(leg)?, recording, segment },
            Order::StopRecord { leg, recording, segment } => {
                Order::StopRecord { leg: of(leg)?, recording, segment }
            }
            other => other,
        })
    }

    pub(super) fn anchor_of(&self, leg: LegId) -> Option<LegId> {
        self.loans.get(&leg).map(|loan| loan.anchor)
    }

    // ---- answers ----------------------------------------------------------------------------------------------------

    pub(super) fn media_answer(&mut self, ticket: Ticket, outcome: Outcome) {
        match self.own.remove(&ticket) {
            Some(Own::Lend(leg)) => {
                if let Err(refused) = outcome {
                    self.not_lent(leg, &refused);
                }
            }
            Some(Own::Join(job)) => match outcome {
                Ok(_) => self.give(job),
                Err(refused) => self.fail(job, self.without(refused)),
            },
            Some(Own::List(list)) => self.listed_there(list, outcome),
            Some(Own::End) => {}
            // Whoever drives us was answered already if the job is gone.
            None => {
                let Some(job) = self.jobs.remove(&ticket) else { return };
                if outcome.is_ok() {
                    for leg in job.releases {
                        self.release(leg);
                    }
                }
                let outcome = outcome.map_err(|refused| self.without(refused));
                self.answer(ticket, outcome);
            }
        }
    }

    pub(super) fn proxy_answer(&mut self, ticket: Ticket, outcome: Outcome) {
        if self.own.remove(&ticket).is_some() {
            return;
        }
        match outcome {
            Ok(Done::Listed(seen)) if self.media.standing == Standing::Ready && !self.loans.is_empty() => {
                self.lists.insert(ticket, seen);
                self.tell_media(Own::List(ticket), Order::List);
            }
            Ok(Done::Listed(seen)) => {
                let seen = self.merged(seen, &[]);
                self.answer(ticket, Ok(Done::Listed(seen)));
            }
            Ok(Done::Inspected(mut findings)) => {
                findings.push(self.inspected());
                self.answer(ticket, Ok(Done::Inspected(findings)));
            }
            outcome => self.answer(ticket, outcome),
        }
    }

    fn inspected(&self) -> Finding {
        let name = &self.media.name;
        let (verdict, text, fix) = match self.media.standing {
            Standing::Ready => (Verdict::Ok, format!("{name} lends its media"), None),
            Standing::Rising | Standing::Off => (
                Verdict::Fail,
                format!("{name} is away: no conferences, recordings, mute or music"),
                Some(format!("ifbus test sip {name}")),
            ),
        };
        Finding { area: "anchor".to_owned(), verdict, text, fix }
    }

    /// A job cannot be done: its legs go back to how they were.
    fn fail(&mut self, ticket: Ticket, refused: Refused) {
        let Some(job) = self.jobs.remove(&ticket) else { return };
        self.answer(ticket, Err(refused));
        for leg in job.needs {
            if self.loans.get(&leg).is_some_and(|loan| !loan.up) || job.stage != Stage::Given {
                self.unlend(leg);
            }
        }
    }

    /// The media server did not call for a leg, or was not let in.
    pub(super) fn not_lent(&mut self, leg: LegId, why: &Refused) {
        let said = Said::new(None, &format!("the media anchor {} does not call us: {why}", self.media.name));
        let refused = Refused { said: Some(said), ..Refused::unsent(Why::Prerequisite) };
        let waiting: Vec<Ticket> =
            self.jobs.iter().filter(|(_, job)| job.needs.contains(&leg)).map(|(ticket, _)| *ticket).collect();
        self.unlend(leg);
        for ticket in waiting {
            self.fail(ticket, refused.clone());
        }
    }

    /// What went wrong between us and the media server is not a break of the link to the proxy: nobody has to wait for a
    /// list of it.
    fn without(&self, refused: Refused) -> Refused {
        if !refused.is_of_the_link() {
            return refused;
        }
        Refused { evidence: refused.evidence, ..self.away() }
    }

    fn away(&self) -> Refused {
        let said = Said::new(None, &format!("the media anchor {} is away", self.media.name));
        Refused {
            why: Why::Prerequisite,
            cause: Cause::ServerFailure,
            evidence: Evidence::NothingSent,
            said: Some(said),
        }
    }

    /// Whether an order under way gives a leg's partner to somebody else.
    pub(super) fn is_released(&self, leg: LegId) -> bool {
        self.jobs.values().any(|job| job.stage == Stage::Given && job.releases.contains(&leg))
    }

    // ---- time -------------------------------------------------------------------------------------------------------

    pub(super) fn jobs_late(&mut self) {
        let waits = |job: &Job| job.stage != Stage::Given;
        let late: Vec<Ticket> = self
            .jobs
            .iter()
            .filter(|(_, job)| waits(job) && job.late <= self.now)
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in late {
            let said = Said::new(None, &format!("the media anchor {} did not call in time", self.media.name));
            let refused = Refused { said: Some(said), ..Refused::unsent(Why::Prerequisite) };
            self.fail(ticket, refused);
        }
    }

    pub(super) fn job_deadline(&self) -> Option<Nanos> {
        self.jobs.values().filter(|job| job.stage != Stage::Given).map(|job| job.late).min()
    }

    /// The proxy's life is over: everything that is open is answered before that is told.
    pub(super) fn end_jobs(&mut self) {
        for ticket in std::mem::take(&mut self.jobs).into_keys() {
            self.answer(ticket, Err(Refused::link_lost()));
        }
        for ticket in std::mem::take(&mut self.lists).into_keys() {
            self.answer(ticket, Err(Refused::link_lost()));
        }
    }
}
