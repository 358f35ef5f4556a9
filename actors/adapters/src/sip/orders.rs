//! Orders to requests, and facts to outcomes: one function per order.
//!
//! An order that was accepted is not done: a phone's answer proves it, or its deadline passes. Orders on one leg are
//! carried out one after the other, but an end never waits.

use std::collections::BTreeSet;
use std::time::Duration;

use ifbus_call::order::{Dial, Done, Evidence, Interface, Probed, Tag};
use ifbus_call::{By, Cause, Digits, Event, LegId, Order, Refused, Said, Why};

use super::agent::{Agent, Asked, Due, Standing};
use super::cause::{self, Past};
use super::command::{SipCommand, SipInvite};
use super::dialog::{Dialog, Media, Progress, Wire};
use super::event::Reply;
use super::legs::Leg;
use super::sdp::{Origin, Sdp};
use crate::adapter::{Output, Ticket};
use crate::q850::q850;

/// The most orders under way or waiting on one server.
const ORDERS_MAX: usize = 1000;
/// Drops are taken beyond the limit, or an overloaded server could not be relieved.
const DROPS_MAX: usize = 2 * ORDERS_MAX;
/// A server that is there says 100 at once. UDP may lose the first two of our requests.
const TRYING_WITHIN: Duration = Duration::from_secs(5);
/// Two offers, each of which may meet one of the phone's.
pub(super) const JOIN_WITHIN: Duration = Duration::from_secs(25);
/// An invitation that was taken back is over after 64 T1 at the latest (RFC 3261, 9.1).
const CANCEL_WITHIN: Duration = Duration::from_secs(35);
/// A phone hangs up at once or not at all.
pub(super) const BYE_WITHIN: Duration = Duration::from_secs(5);
/// The server answers by itself, without asking anybody.
const PROBE_WITHIN: Duration = Duration::from_secs(3);

/// A call to a phone.
pub(super) struct Outgoing {
    pub(super) leg: LegId,
    pub(super) tag: Tag,
    /// From, as a URI.
    pub(super) caller: String,
    /// Whose description it is offered; a held one if absent.
    pub(super) offered: Option<Sdp>,
    /// Further headers, made of nothing but what was checked.
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) guest: bool,
    /// How long it may ring.
    pub(super) within: Duration,
}

/// An order that has begun.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) work: Work,
}

/// What it does.
#[derive(Debug)]
pub(super) enum Work {
    Dial {
        leg: LegId,
        /// The invitation has left us.
        sent: bool,
    },
    Join {
        a: LegId,
        b: LegId,
        /// Whom they talked to, to go back to if it fails.
        before: [Option<LegId>; 2],
        /// Whether each was the one on hold.
        waited: [bool; 2],
    },
    Park {
        held: LegId,
        other: LegId,
        before: [Option<LegId>; 2],
        waited: [bool; 2],
    },
    /// A phone's own transfer: two dialogs are joined, and nobody is hung up before the phone was told.
    Move {
        /// The leg of that phone.
        by: LegId,
        a: LegId,
        b: LegId,
        before: [Option<LegId>; 2],
        waited: [bool; 2],
    },
    Drop {
        leg: LegId,
    },
    Dtmf {
        leg: LegId,
        digits: Digits,
        next: usize,
    },
    Probe,
}

impl Work {
    /// The legs nobody else may touch meanwhile.
    pub(super) fn legs(&self) -> Vec<LegId> {
        match self {
            Self::Dial { leg, .. } | Self::Dtmf { leg, .. } => vec![*leg],
            Self::Join { a, b, .. } | Self::Move { a, b, .. } => vec![*a, *b],
            Self::Park { held, other, .. } => vec![*held, *other],
            Self::Drop { .. } | Self::Probe => Vec::new(),
        }
    }
}

impl Agent {
    pub(super) fn take_order(&mut self, ticket: Ticket, order: Order) {
        let open = self.orders.len() + self.waiting.len();
        let most = if matches!(order, Order::Drop { .. }) { DROPS_MAX } else { ORDERS_MAX };
        if self.standing != Standing::Open {
            self.answer(ticket, Refused::unsent(Why::NotReady));
        } else if open >= most {
            self.answer(ticket, Refused::unsent(Why::Overloaded));
        } else {
            self.waiting.push_back((ticket, order));
            self.freed = true;
        }
    }

    /// Goes on with everything that can: orders whose legs are free, offers that are due, orders that are done.
    pub(super) fn settle(&mut self) {
        loop {
            self.begin_waiting();
            for leg in self.restless.clone() {
                self.align(leg);
            }
            let legs = &self.legs;
            self.restless.retain(|leg| legs.get(leg).is_some_and(|known| known.settle));
            for ticket in self.moving.clone() {
                self.progress(ticket);
            }
            if !self.freed {
                return;
            }
        }
    }

    fn begin_waiting(&mut self) {
        while std::mem::take(&mut self.freed) {
            let mut taken: BTreeSet<LegId> = BTreeSet::new();
            for (ticket, order) in std::mem::take(&mut self.waiting) {
                let legs = legs_of(&order);
                if legs.iter().all(|leg| !self.busy.contains_key(leg) && !taken.contains(leg)) {
                    self.begin(ticket, order);
                } else {
                    taken.extend(legs);
                    self.waiting.push_back((ticket, order));
                }
            }
        }
    }

    fn begin(&mut self, ticket: Ticket, order: Order) {
        match order {
            Order::Dial(dial) => self.dial(ticket, &dial),
            Order::Join { a, b } => self.join(ticket, a, b),
            Order::Park { held, other, .. } => self.park(ticket, held, other),
            Order::Drop { leg, cause } => self.drop_leg(ticket, leg, cause),
            Order::Dtmf { leg, digits } => self.dtmf(ticket, leg, digits),
            Order::Probe | Order::ProbeSip => self.probe(ticket),
            Order::List => self.out.push_back(Output::Answer(ticket, Ok(Done::Listed(self.seen())))),
            Order::Load => self.out.push_back(Output::Answer(ticket, Ok(Done::Loaded(self.load())))),
            Order::Mute { .. }
            | Order::Enter { .. }
            | Order::Leave { .. }
            | Order::Record { .. }
            | Order::StopRecord { .. }
            | Order::Fetch { .. } => {
                let said = Said::new(None, "a proxy has no media: this needs a media anchor");
                self.answer(ticket, Refused { said: Some(said), ..Refused::unsent(Why::Prerequisite) });
            }
            Order::Drain { .. } | Order::Inspect => {
                self.answer(ticket, unsent("this is for the server itself, not for its SIP side"));
            }
        }
    }

    pub(super) fn running(&mut self, ticket: Ticket, work: Work, within: Duration) {
        for leg in work.legs() {
            self.busy.insert(leg, ticket);
        }
        if matches!(work, Work::Join { .. } | Work::Park { .. } | Work::Move { .. }) {
            self.moving.insert(ticket);
        }
        self.timers.arm(Due::Order(ticket), self.now + within);
        self.orders.insert(ticket, Running { work });
    }

    pub(super) fn answer(&mut self, ticket: Ticket, refused: Refused) {
        self.out.push_back(Output::Answer(ticket, Err(refused)));
    }

    // ---- dial -------------------------------------------------------------------------------------------------------

    fn dial(&mut self, ticket: Ticket, dial: &Dial) {
        if self.legs.contains_key(&dial.leg) {
            return self.answer(ticket, unsent("a leg of this id exists"));
        }
        if let Some(why) = self.options.unreachable(&dial.tag.party) {
            let said = Some(Said::new(None, &why));
            return self.answer(ticket, Refused { said, ..Refused::unsent(Why::NoTemplate) });
        }
        let offered = dial.toward.and_then(|toward| self.legs.get(&toward)).and_then(|toward| {
            let theirs = toward.theirs().filter(|_| toward.is_up());
            theirs.map(|theirs| theirs.directed(toward.wants()))
        });
        self.running(ticket, Work::Dial { leg: dial.leg, sent: false }, dial.within + CANCEL_WITHIN);
        self.call_phone(Outgoing {
            leg: dial.leg,
            tag: dial.tag.clone(),
            caller: self.options.caller(&dial.caller),
            offered,
            headers: Vec::new(),
            guest: false,
            within: dial.within,
        });
    }

    /// Invites a phone, when that was written down.
    pub(super) fn call_phone(&mut self, call: Outgoing) {
        let Outgoing { leg, tag, caller, offered, headers, guest, within } = call;
        let wire = Wire {
            call_id: format!("{}{:032x}", self.call_id_prefix(), self.random.next()),
            local_tag: format!("{:016x}", self.random.next() >> 64),
            local_uri: caller,
            remote_uri: self.options.target(&tag.party),
            local_cseq: 1,
            target: self.options.target(&tag.party),
            ..Wire::default()
        };
        // a session id that fits into 63 bits is taken by every phone
        let id = u64::try_from(self.random.next() >> 65).expect("63 bits fit");
        let host = if self.host.is_empty() { "0.0.0.0" } else { &self.host };
        let sdp = offered.unwrap_or_else(Sdp::held).write(Origin { id, version: 1, host });
        let media = Media { id, version: 1, ours: sdp.clone(), unsure: false, theirs: String::new() };
        let invite = SipInvite {
            leg,
            target: wire.target.clone(),
            caller: wire.local_uri.clone(),
            call_id: wire.call_id.clone(),
            tag: wire.local_tag.clone(),
            sdp,
            headers: self.options.headers.iter().cloned().chain(headers).collect(),
        };
        let dialog = Dialog {
            leg,
            tag,
            progress: Progress::Dialing,
            wire,
            media,
            partner: None,
            waits: false,
            holds: None,
            lends: None,
            guest,
            moved: None,
        };
        self.enter(Leg::new(dialog, self.now));
        self.legs_ever += 1;
        self.timers.arm(Due::Ring(leg), self.now + within);
        self.timers.arm(Due::Trying(leg), self.now + TRYING_WITHIN.min(within));
        self.write_down(leg, vec![SipCommand::Invite(Box::new(invite))]);
    }

    /// The order under which a leg is being made, if the server has said nothing of it yet.
    pub(super) fn dial_of(&self, leg: LegId) -> Option<Ticket> {
        let ticket = self.busy.get(&leg)?;
        matches!(self.orders.get(ticket)?.work, Work::Dial { .. }).then_some(*ticket)
    }

    /// The store cannot keep it, so it is not made.
    pub(super) fn unwritable(&mut self, leg: LegId) {
        if self.legs.get(&leg).is_some_and(|known| known.dialog.guest) {
            return self.rejected(leg, &Reply::unsent("a SIP dialog cannot be written down now".to_owned()));
        }
        if let Some(ticket) = self.dial_of(leg) {
            self.forget(leg);
            self.finish(ticket, Err(unsent("a SIP dialog cannot be written down now")));
        }
    }

    /// Nothing at all was said about an invitation: it may ring all the same, so it is taken back.
    pub(super) fn not_tried(&mut self, leg: LegId) {
        if self.legs.get(&leg).is_none_or(|known| known.tried) {
            return;
        }
        if let Some(ticket) = self.dial_of(leg) {
            let said = Said::new(None, "the server says nothing to an INVITE");
            let refused = Refused {
                why: Why::Unproven,
                cause: Cause::ServerFailure,
                evidence: Evidence::Unknown,
                said: Some(said),
            };
            self.finish(ticket, Err(refused));
        }
        self.take_back(leg);
    }

    pub(super) fn rung_enough(&mut self, leg: LegId) {
        if let Some(known) = self.legs.get_mut(&leg).filter(|known| !known.is_up()) {
            known.past.timed_out = true;
            self.take_back(leg);
        }
    }

    /// CANCEL; how it ends is told by the reply to the invitation.
    fn take_back(&mut self, leg: LegId) {
        self.timers.disarm(Due::Ring(leg));
        self.timers.disarm(Due::Trying(leg));
        if !self.timers.is_armed(Due::Canceled(leg)) {
            self.timers.arm(Due::Canceled(leg), self.now + CANCEL_WITHIN);
            self.command(SipCommand::Cancel { leg });
        }
    }

    pub(super) fn cancel_unanswered(&mut self, leg: LegId) {
        self.rejected(leg, &Reply::silence());
    }

    // ---- join, park -------------------------------------------------------------------------------------------------

    fn join(&mut self, ticket: Ticket, a: LegId, b: LegId) {
        let together = |agent: &Self| {
            let talks =
                |one: LegId, other: LegId| agent.legs.get(&one).is_some_and(|leg| leg.talks_to(other));
            talks(a, b) && talks(b, a) && agent.is_settled(a) && agent.is_settled(b)
        };
        if together(self) {
            return self.out.push_back(Output::Answer(ticket, Ok(Done::Proven)));
        }
        if let Err(refused) = self.two_up(a, b) {
            return self.answer(ticket, refused);
        }
        let (before, waited) = self.point([(a, Some(b), false), (b, Some(a), false)]);
        self.running(ticket, Work::Join { a, b, before, waited }, JOIN_WITHIN);
    }

    fn park(&mut self, ticket: Ticket, held: LegId, other: LegId) {
        if let Err(refused) = self.two_up(held, other) {
            return self.answer(ticket, refused);
        }
        let third = |one: LegId, two: LegId| {
            self.legs.get(&one).and_then(|leg| leg.dialog.partner).is_some_and(|partner| partner != two)
        };
        if third(held, other) || third(other, held) {
            return self.answer(ticket, unsent("one of them talks to a third party"));
        }
        let (before, waited) = self.point([(held, None, true), (other, None, false)]);
        self.running(ticket, Work::Park { held, other, before, waited }, JOIN_WITHIN);
    }

    /// Two answered legs, or the refusal.
    fn two_up(&self, a: LegId, b: LegId) -> Result<(), Refused> {
        let up = |leg: LegId| self.legs.get(&leg).map(Leg::is_up);
        match (up(a), up(b)) {
            (None, _) | (_, None) => Err(Refused::unsent(Why::NoSuchLeg)),
            _ if a == b => Err(unsent("a leg cannot talk to itself")),
            (Some(true), Some(true)) => Ok(()),
            _ => Err(unsent("a leg that was not answered cannot be moved")),
        }
    }

    /// Gives two legs new partners; they are offered each other from now on. What was before is given back.
    pub(super) fn point(
        &mut self,
        pair: [(LegId, Option<LegId>, bool); 2],
    ) -> ([Option<LegId>; 2], [bool; 2]) {
        let (mut before, mut waited) = ([None; 2], [false; 2]);
        for (place, (leg, partner, waits)) in pair.into_iter().enumerate() {
            if let Some(known) = self.legs.get_mut(&leg) {
                before[place] = std::mem::replace(&mut known.dialog.partner, partner);
                waited[place] = std::mem::replace(&mut known.dialog.waits, waits);
                known.fault = None;
                if let Some(pending) = &mut known.pending {
                    pending.stale = true;
                }
            }
            self.unsettle(leg);
        }
        (before, waited)
    }

    /// Looks whether a join or park is done, or cannot be.
    pub(super) fn progress(&mut self, ticket: Ticket) {
        let Some(running) = self.orders.get(&ticket) else { return };
        let (one, two, before, waited, joins) = match running.work {
            Work::Join { a, b, before, waited } => (a, b, before, waited, true),
            Work::Move { a, b, before, waited, .. } => (a, b, before, waited, false),
            Work::Park { held, other, before, waited } => (held, other, before, waited, false),
            _ => return,
        };
        let parts = matches!(running.work, Work::Park { .. });
        let up = |agent: &Self, leg| agent.legs.get(&leg).is_some_and(Leg::is_up);
        let fault = [one, two].into_iter().find_map(|leg| self.legs.get_mut(&leg)?.fault.take());
        if !up(self, one) || !up(self, two) {
            self.put_back([(one, before[0], waited[0]), (two, before[1], waited[1])]);
            let refused = Refused {
                why: Why::NoSuchLeg,
                cause: Cause::ServerFailure,
                evidence: Evidence::NotDone,
                said: None,
            };
            return self.finish(ticket, Err(refused));
        }
        if let Some(reply) = fault {
            self.put_back([(one, before[0], waited[0]), (two, before[1], waited[1])]);
            let evidence = if reply.local { Evidence::Unknown } else { Evidence::NotDone };
            let why = if reply.local { Why::Unproven } else { Why::Refused };
            let said = Some(cause::said(&reply));
            return self.finish(ticket, Err(Refused { why, cause: Cause::ServerFailure, evidence, said }));
        }
        if !self.is_settled(one) || !self.is_settled(two) {
            return;
        }
        if joins {
            self.out.push_back(Output::Event(Event::Joined(one, two)));
            self.release(one, two, before);
        } else if parts {
            self.out.push_back(Output::Event(Event::Parted(one)));
            self.out.push_back(Output::Event(Event::Parted(two)));
        }
        for leg in [one, two] {
            if let Some(known) = self.legs.get_mut(&leg).filter(|_| joins || parts) {
                known.dialog.moved = None;
            }
            self.write_down(leg, Vec::new());
        }
        self.done(ticket);
    }

    /// Those two talk now: whom they talked to before is hung up.
    fn release(&mut self, one: LegId, two: LegId, before: [Option<LegId>; 2]) {
        for former in before.into_iter().flatten().filter(|former| *former != one && *former != two) {
            if self.legs.get(&former).is_some_and(|known| known.talks_to(one) || known.talks_to(two)) {
                self.end(former, None);
            }
        }
    }

    /// What was tried failed: both are offered again whom they had before.
    fn put_back(&mut self, pair: [(LegId, Option<LegId>, bool); 2]) {
        for (leg, partner, waits) in pair {
            let partner = partner.filter(|partner| self.legs.contains_key(partner));
            if let Some(known) = self.legs.get_mut(&leg) {
                known.dialog.partner = partner;
                known.dialog.waits = waits;
                self.unsettle(leg);
                self.write_down(leg, Vec::new());
            }
        }
    }

    // ---- drop -------------------------------------------------------------------------------------------------------

    fn drop_leg(&mut self, ticket: Ticket, leg: LegId, cause: Cause) {
        if !self.legs.contains_key(&leg) {
            return self.out.push_back(Output::Answer(ticket, Ok(Done::Proven)));
        }
        self.running(ticket, Work::Drop { leg }, CANCEL_WITHIN + BYE_WITHIN);
        if let Some(known) = self.legs.get_mut(&leg) {
            known.past.dropped = true;
        }
        self.end(leg, Some((q850(cause), cause.as_str())));
    }

    /// Ends a leg, however far it has come. Its end is told when it is known.
    pub(super) fn end(&mut self, leg: LegId, reason: Option<(u16, &str)>) {
        let Some(known) = self.legs.get_mut(&leg) else { return };
        match known.dialog.progress {
            Progress::Dialing | Progress::Ringing => {
                known.past.dropped = true;
                self.take_back(leg);
            }
            Progress::Up => {
                known.dialog.progress = Progress::Ending;
                known.pending = None;
                known.settle = false;
                let reason = reason.map(|(cause, text)| (cause, text.to_owned()));
                self.timers_off(leg);
                self.command(SipCommand::Bye { leg, reason, within: BYE_WITHIN });
            }
            Progress::Ending => {}
        }
    }

    pub(super) fn timers_off(&mut self, leg: LegId) {
        for due in [Due::Trying, Due::Ring, Due::Canceled, Due::Glare, Due::Alive, Due::Refresh, Due::Stale] {
            self.timers.disarm(due(leg));
        }
    }

    /// A leg is over and told.
    pub(super) fn over(&mut self, leg: LegId, event: Event) {
        self.before_the_end(leg);
        self.out.push_back(Output::Event(event));
        self.forget(leg);
        let drops: Vec<Ticket> = self
            .orders
            .iter()
            .filter(|(_, running)| match &running.work {
                Work::Drop { leg: dropped } => *dropped == leg,
                Work::Dial { leg: dialled, .. } => *dialled == leg,
                _ => false,
            })
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in drops {
            self.done(ticket);
        }
    }

    pub(super) fn forget(&mut self, leg: LegId) {
        self.timers_off(leg);
        let Some(gone) = self.legs.remove(&leg) else { return };
        self.by_call_id.remove(&gone.dialog.wire.call_id);
        self.out.push_back(Output::Forget(leg));
        self.command(SipCommand::Forget(leg));
        self.after_the_end(leg, &gone);
        let digits = self
            .orders
            .iter()
            .find(|(_, running)| matches!(running.work, Work::Dtmf { leg: hears, .. } if hears == leg));
        if let Some(ticket) = digits.map(|(ticket, _)| *ticket) {
            self.digits_lost(ticket);
        }
        if let Some(partner) = gone.dialog.partner
            && let Some(other) = self.legs.get_mut(&partner).filter(|other| other.talks_to(leg))
            && !self.busy.contains_key(&partner)
        {
            other.dialog.partner = None;
            self.write_down(partner, Vec::new());
        }
    }

    // ---- probe ------------------------------------------------------------------------------------------------------

    fn probe(&mut self, ticket: Ticket) {
        self.running(ticket, Work::Probe, PROBE_WITHIN + Duration::from_secs(1));
        let number = self.ask(Asked::Probe(ticket, self.now));
        self.command(SipCommand::Options { leg: None, number, within: PROBE_WITHIN });
    }

    pub(super) fn probe_replied(&mut self, ticket: Ticket, since: ifbus_call::Nanos, reply: &Reply) {
        // whatever it says, it is there; only our own word is silence
        let answered = if reply.local { Err(reply.text.clone()) } else { Ok(self.now.since(since)) };
        let probed = Probed { interface: Interface::Sip, answered };
        self.finish(ticket, Ok(Done::Probed(vec![probed])));
    }

    // ---- too late ---------------------------------------------------------------------------------------------------

    pub(super) fn order_late(&mut self, ticket: Ticket) {
        let Some(running) = self.orders.get(&ticket) else { return };
        match running.work {
            Work::Probe => {
                let answered = Err("no answer in time".to_owned());
                let probed = Probed { interface: Interface::Sip, answered };
                return self.finish(ticket, Ok(Done::Probed(vec![probed])));
            }
            Work::Join { a: one, b: two, before, waited }
            | Work::Move { a: one, b: two, before, waited, .. }
            | Work::Park { held: one, other: two, before, waited } => {
                self.put_back([(one, before[0], waited[0]), (two, before[1], waited[1])]);
            }
            Work::Drop { leg } => {
                // the stack gives every end within its time; without its word there is nobody left who could
                return self.over(leg, Event::Vanished(leg));
            }
            Work::Dial { .. } | Work::Dtmf { .. } => {}
        }
        let refused = Refused {
            why: Why::Unproven,
            cause: Cause::ServerFailure,
            evidence: Evidence::Unknown,
            said: None,
        };
        self.finish(ticket, Err(refused));
    }

    /// The end of a leg that was never up.
    pub(super) fn rejected(&mut self, leg: LegId, reply: &Reply) {
        let Some(known) = self.legs.get(&leg) else { return };
        if matches!(known.dialog.progress, Progress::Up | Progress::Ending) {
            // a late word about an invitation that was answered
            return;
        }
        let past: Past = known.past;
        let (cause, said) = (cause::of_reply(reply, past), cause::said(reply));
        let by = if past.dropped || past.timed_out { By::Us } else { By::Party };
        let by = if reply.local && by == By::Party { By::Server } else { by };
        let dialling = self.dial_of(leg).filter(|_| !known.tried);
        match dialling {
            Some(ticket) => {
                // the server never said that it had made it, and says now that it did not
                let evidence = match (reply.unsent, reply.local) {
                    (true, _) => Evidence::NothingSent,
                    (_, true) => Evidence::Unknown,
                    _ => Evidence::NotDone,
                };
                self.forget(leg);
                self.finish(ticket, Err(Refused { why: Why::Refused, cause, evidence, said: Some(said) }));
            }
            None => {
                self.guest_refused(leg, reply.code, (cause, said.clone()));
                self.over(leg, Event::Ended { leg, cause, by, said });
            }
        }
    }
}

/// The legs an order must have for itself, or at least must not share with an earlier one.
fn legs_of(order: &Order) -> Vec<LegId> {
    match order {
        Order::Dial(dial) => vec![dial.leg],
        Order::Join { a, b } => vec![*a, *b],
        Order::Park { held, other, .. } => vec![*held, *other],
        Order::Dtmf { leg, .. } => vec![*leg],
        _ => Vec::new(),
    }
}

/// A refusal of ours with a reason for people.
pub(super) fn unsent(text: &str) -> Refused {
    Refused { said: Some(Said::new(None, text)), ..Refused::unsent(Why::Refused) }
}
