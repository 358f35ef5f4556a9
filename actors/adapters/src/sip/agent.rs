//! The agent: what it holds, how inputs reach its parts, how it begins and ends.
//!
//! Calls outlive the links of a server, so the agent does, too: [`Agent::release_orders`] ends a life of the links
//! without touching a call; [`Agent::stop`] closes the endpoint and leaves the dialogs to the phones.
//!
//! What an order becomes: `orders.rs`. What a reply means: `heard.rs`. Who is offered what: `align.rs`. Who is still
//! there: `alive.rs`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use ifbus_call::order::{Done, Evidence};
use ifbus_call::{InstanceId, LegId, Load, Nanos, Order, Outcome, Refused, Seen, Stage, Why};

use super::command::SipCommand;
use super::dialog::{Dialog, Progress};
use super::event::SipEvent;
use super::legs::Leg;
use super::loan::Loan;
use super::options::AgentOptions;
use super::orders::{Running, Work};
use super::refer::Transfer;
use crate::adapter::{LinkError, Output, Ticket, Warning};
use crate::random::Random;
use crate::timers::Timers;

/// Calls of one server through SIP, as a machine without input or output.
#[derive(Debug)]
pub struct Agent {
    pub(super) options: AgentOptions,
    pub(super) instance: InstanceId,
    pub(super) random: Random,
    pub(super) now: Nanos,
    pub(super) out: VecDeque<Output>,
    pub(super) standing: Standing,
    /// Our address as the endpoint told it, without the port.
    pub(super) host: String,
    pub(super) legs: BTreeMap<LegId, Leg>,
    /// Whose dialog a Call-ID names.
    pub(super) by_call_id: BTreeMap<String, LegId>,
    /// Every leg whose `settle` is set; perhaps some whose is not any more.
    pub(super) restless: BTreeSet<LegId>,
    pub(super) orders: BTreeMap<Ticket, Running>,
    pub(super) waiting: VecDeque<(Ticket, Order)>,
    /// A leg has become free: somebody who waits may go on.
    pub(super) freed: bool,
    pub(super) busy: BTreeMap<LegId, Ticket>,
    pub(super) timers: Timers<Due>,
    /// Requests under way, by number.
    pub(super) asked: BTreeMap<u64, Asked>,
    pub(super) number: u64,
    /// What waits for the store, by the number of what is written.
    pub(super) unwritten: BTreeMap<u64, (LegId, Vec<SipCommand>)>,
    /// The store failed, and that was said.
    pub(super) unwell: bool,
    /// Legs it has made so far.
    pub(super) legs_ever: u64,
    /// Where media anchors reach us, `host:port`.
    pub(super) anchor_contact: Option<String>,
    /// Calls of media anchors that are to come, by the name they call.
    pub(super) loans: BTreeMap<String, Loan>,
    /// Dialogs of others in which a BYE of ours is under way.
    pub(super) strangers: BTreeSet<LegId>,
    /// Transfers that phones have asked for, by the leg of the phone.
    pub(super) transfers: BTreeMap<LegId, Transfer>,
    /// Who talks to whom by a media anchor, as far as that was told.
    pub(super) elsewhere: BTreeMap<LegId, LegId>,
    /// Orders that are done when phones have taken offers.
    pub(super) moving: BTreeSet<Ticket>,
}

/// How the endpoint stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Not started, or stopped.
    Off,
    /// It is being made.
    Opening,
    /// Orders are taken.
    Open,
    /// It could not be made, or broke; [`Agent::start`] tries again.
    Failed(LinkError),
}

/// What is due at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// An order is to be done.
    Order(Ticket),
    /// The next digit is to be sent.
    Digit(Ticket),
    /// The server is to have said something about an invitation.
    Trying(LegId),
    /// It has rung for long enough.
    Ring(LegId),
    /// An invitation that was taken back is to be over.
    Canceled(LegId),
    /// An offer that met one of the phone's is made again.
    Glare(LegId),
    /// The phone is to be asked whether it lives.
    Alive(LegId),
    /// The session timer is to be refreshed by us.
    Refresh(LegId),
    /// The session timer was to be refreshed by the phone.
    Stale(LegId),
}

/// What a request was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// A new offer.
    Offer(LegId),
    /// A digit of an order.
    Digit(Ticket),
    /// Whether the phone lives.
    Alive(LegId),
    /// Whether the server lives, and since when that is asked.
    Probe(Ticket, Nanos),
    /// Told a phone what came of its transfer; then it is hung up, if the word was a good one.
    Told(LegId, bool),
}

impl Agent {
    /// An agent that does nothing before [`Agent::start`]. `seed` should be unguessable: names of dialogs are made of it.
    #[must_use]
    pub fn new(options: AgentOptions, instance: InstanceId, seed: u64) -> Self {
        Self {
            options,
            instance,
            random: Random::new(seed),
            now: Nanos::ZERO,
            out: VecDeque::new(),
            standing: Standing::Off,
            host: String::new(),
            legs: BTreeMap::new(),
            by_call_id: BTreeMap::new(),
            restless: BTreeSet::new(),
            orders: BTreeMap::new(),
            waiting: VecDeque::new(),
            freed: false,
            busy: BTreeMap::new(),
            timers: Timers::default(),
            asked: BTreeMap::new(),
            number: 0,
            unwritten: BTreeMap::new(),
            unwell: false,
            legs_ever: 0,
            anchor_contact: None,
            loans: BTreeMap::new(),
            strangers: BTreeSet::new(),
            transfers: BTreeMap::new(),
            elsewhere: BTreeMap::new(),
            moving: BTreeSet::new(),
        }
    }

    /// Dialogs of an earlier life of ours: for `Input::Restored`, before [`Agent::start`].
    pub fn restore(&mut self, dialogs: Vec<Dialog>) {
        for dialog in dialogs {
            self.enter(Leg::restored(dialog));
        }
    }

    /// A leg begins.
    pub(super) fn enter(&mut self, known: Leg) {
        let leg = known.dialog.leg;
        self.by_call_id.insert(known.dialog.wire.call_id.clone(), leg);
        if known.settle {
            self.restless.insert(leg);
        }
        self.legs.insert(leg, known);
    }

    /// Makes the endpoint, if it is not there, and takes up the dialogs. [`Agent::standing`] tells how it went.
    pub fn start(&mut self, now: Nanos) {
        self.now = self.now.max(now);
        if matches!(self.standing, Standing::Off | Standing::Failed(_)) {
            self.standing = Standing::Opening;
            self.command(SipCommand::Open(Box::new(self.options.endpoint.clone())));
            let dialogs: Vec<_> =
                self.legs.iter().map(|(leg, known)| (*leg, known.dialog.wire.clone())).collect();
            for (leg, wire) in dialogs {
                self.command(SipCommand::Restore(leg, Box::new(wire)));
            }
            self.command(SipCommand::Bind);
        }
    }

    /// Answers every order that is open, as if its link had broken; calls and the endpoint go on.
    pub fn release_orders(&mut self, now: Nanos) {
        self.now = self.now.max(now);
        for (ticket, _) in std::mem::take(&mut self.waiting) {
            self.out.push_back(Output::Answer(ticket, Err(Refused::unsent(Why::LinkLost))));
        }
        let of_a_call = |running: &Running| !matches!(running.work, Work::Move { .. });
        let open = self.orders.iter().filter(|(_, running)| of_a_call(running));
        let open: Vec<Ticket> = open.map(|(ticket, _)| *ticket).collect();
        for ticket in open {
            let mut refused = Refused::link_lost();
            if self.orders.get(&ticket).is_some_and(|running| running.work.is_unsent()) {
                refused.evidence = Evidence::NothingSent;
            }
            self.finish(ticket, Err(refused));
        }
    }

    /// Answers every order and closes the endpoint; dialogs are kept, for the next [`Agent::start`] or process.
    pub fn stop(&mut self, now: Nanos) {
        self.release_orders(now);
        if matches!(self.standing, Standing::Opening | Standing::Open) {
            self.command(SipCommand::Close);
        }
        self.standing = Standing::Off;
        self.quiet();
    }

    /// How the endpoint stands. To be looked at after every input.
    #[must_use]
    pub const fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Carries out an order; the ticket is answered exactly once. Orders that need media are refused.
    pub fn order(&mut self, ticket: Ticket, order: Order, now: Nanos) {
        self.now = self.now.max(now);
        self.take_order(ticket, order);
        self.settle();
    }

    /// Takes what the stack says: for `Input::Sip`.
    pub fn sip_event(&mut self, event: SipEvent, now: Nanos) {
        self.now = self.now.max(now);
        self.hear(event);
        self.settle();
    }

    /// What came of writing something down: for `Input::Persisted`.
    pub fn persisted(&mut self, number: u64, well: bool, now: Nanos) {
        self.now = self.now.max(now);
        self.written(number, well);
        self.settle();
    }

    /// [`Agent::deadline`] has passed.
    pub fn tick(&mut self, now: Nanos) {
        self.now = self.now.max(now);
        while let Some(due) = self.timers.pop(self.now) {
            match due {
                Due::Order(ticket) => self.order_late(ticket),
                Due::Digit(ticket) => self.send_digit(ticket),
                Due::Trying(leg) => self.not_tried(leg),
                Due::Ring(leg) => self.rung_enough(leg),
                Due::Canceled(leg) => self.cancel_unanswered(leg),
                Due::Glare(leg) => self.align(leg),
                Due::Alive(leg) => self.ask_alive(leg),
                Due::Refresh(leg) => self.refresh(leg),
                Due::Stale(leg) => self.session_over(leg),
            }
        }
        self.settle();
    }

    /// The next thing to do: `Sip`, `Persist`, `Forget`, `Event`, `Answer` or `Warning`.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Agent::tick`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Nanos> {
        self.timers.first()
    }

    /// Every leg of ours on this server: for `Ready` and `Order::List`. Dialogs of media anchors are none.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        let phones = self.legs.iter().filter(|(_, known)| known.dialog.lends.is_none());
        phones.map(|(leg, known)| self.seen_of(*leg, known)).collect()
    }

    /// How many legs of ours there are.
    #[must_use]
    pub fn load(&self) -> Load {
        Load { legs: u32::try_from(self.legs.len()).ok(), legs_max: None, legs_ever: Some(self.legs_ever) }
    }

    /// Offers every leg that talks again what it was offered last: a relay between the phones may have been lost.
    pub fn offer_again(&mut self, now: Nanos) {
        self.now = self.now.max(now);
        for (leg, known) in &mut self.legs {
            if known.is_up() && known.dialog.partner.is_some() {
                known.dialog.media.unsure = true;
                known.settle = true;
                self.restless.insert(*leg);
            }
        }
        self.settle();
    }

    /// Whose dialog the server names by this Call-ID; the others in its list are foreign.
    #[must_use]
    pub fn owner(&self, call_id: &str) -> Option<LegId> {
        self.by_call_id.get(call_id).copied()
    }

    /// Whether a dialog was begun by this installation: one in the server's list that has no [`Agent::owner`] is of an
    /// earlier life that was not written down, and may be ended.
    #[must_use]
    pub fn is_of_this_instance(&self, call_id: &str) -> bool {
        call_id.strip_prefix(&self.call_id_prefix()).is_some_and(|rest| rest.len() == 32)
    }

    pub(super) fn call_id_prefix(&self) -> String {
        format!("ib-{}-", self.instance)
    }

    /// The server says that it does not know a leg, or that it is over: the phone is asked at once.
    pub fn doubt(&mut self, leg: LegId, now: Nanos) {
        self.now = self.now.max(now);
        if self.legs.get(&leg).is_some_and(|known| known.dialog.progress == Progress::Up) {
            self.timers.arm(Due::Alive(leg), self.now);
        }
    }

    fn seen_of(&self, leg: LegId, known: &Leg) -> Seen {
        let dialog = &known.dialog;
        let mutual =
            |partner: &LegId| self.legs.get(partner).is_some_and(|other| other.dialog.partner == Some(leg));
        let partners: Vec<LegId> = dialog.partner.filter(mutual).into_iter().collect();
        Seen {
            leg,
            tag: Some(dialog.tag.clone()).filter(|_| !dialog.guest),
            native: dialog.wire.call_id.clone(),
            stage: match dialog.progress {
                Progress::Dialing => Stage::Dialing,
                Progress::Ringing => Stage::Ringing,
                Progress::Up | Progress::Ending => Stage::Up,
            },
            hears_music: dialog.waits && partners.is_empty(),
            moved: dialog.moved.clone().filter(|_| !partners.is_empty() || self.is_awaited(leg)),
            partners,
            conference: None,
            party: dialog.tag.party.as_str().to_owned(),
            age: self.now.since(known.born),
        }
    }

    // ---- parts ------------------------------------------------------------------------------------------------------

    pub(super) fn command(&mut self, command: SipCommand) {
        self.out.push_back(Output::Sip(command));
    }

    pub(super) fn warn(&mut self, code: &'static str, text: String) {
        self.out.push_back(Output::Warning(Warning { code, text }));
    }

    /// A leg's phone is to be offered what its partner says, until it took that.
    pub(super) fn unsettle(&mut self, leg: LegId) {
        if let Some(known) = self.legs.get_mut(&leg) {
            known.settle = true;
            self.restless.insert(leg);
        }
    }

    /// A name for a request.
    pub(super) fn ask(&mut self, asked: Asked) -> u64 {
        self.number += 1;
        self.asked.insert(self.number, asked);
        self.number
    }

    /// A span with some chance in it, so that many legs do not ask at once.
    pub(super) fn between(&mut self, least: Duration, more: Duration) -> Duration {
        let more = u64::try_from(more.as_millis()).unwrap_or(u64::MAX).max(1);
        let chance =
            u64::try_from(self.random.next() % u128::from(more)).expect("a remainder of 64 bits fits");
        least + Duration::from_millis(chance)
    }

    /// Writes down how a leg stands; `then` is asked of the stack when that is done.
    pub(super) fn write_down(&mut self, leg: LegId, then: Vec<SipCommand>) {
        let Some(known) = self.legs.get(&leg) else { return };
        let dialog = Box::new(known.dialog.clone());
        self.number += 1;
        if !then.is_empty() {
            self.unwritten.insert(self.number, (leg, then));
        }
        self.out.push_back(Output::Persist(self.number, dialog));
    }

    fn written(&mut self, number: u64, well: bool) {
        if !well && !std::mem::replace(&mut self.unwell, !well) {
            let text =
                "SIP dialogs cannot be written down: calls would not survive a restart, new ones are refused";
            self.warn("sip_store", text.to_owned());
        }
        self.unwell = !well;
        let Some((leg, then)) = self.unwritten.remove(&number) else { return };
        if !well && matches!(then.first(), Some(SipCommand::Invite(_))) {
            return self.unwritable(leg);
        }
        // a leg that ended meanwhile is not spoken for any more
        if self.legs.contains_key(&leg) {
            for command in then {
                self.command(command);
            }
        }
    }

    /// Answers a ticket, for the one time, and forgets the order.
    pub(super) fn finish(&mut self, ticket: Ticket, outcome: Outcome) {
        let Some(running) = self.orders.remove(&ticket) else { return };
        for leg in running.work.legs() {
            if self.busy.get(&leg) == Some(&ticket) {
                self.busy.remove(&leg);
            }
        }
        self.moving.remove(&ticket);
        self.timers.disarm(Due::Order(ticket));
        self.timers.disarm(Due::Digit(ticket));
        self.freed = true;
        match running.work {
            Work::Move { by, before, .. } => self.moved(by, before, &outcome),
            _ => self.out.push_back(Output::Answer(ticket, outcome)),
        }
    }

    pub(super) fn done(&mut self, ticket: Ticket) {
        self.finish(ticket, Ok(Done::Proven));
    }

    /// No timer runs while there is no endpoint.
    pub(super) fn quiet(&mut self) {
        self.end_transfers();
        self.timers = Timers::default();
        self.asked.clear();
        self.unwritten.clear();
        for known in self.legs.values_mut() {
            known.pending = None;
        }
    }
}

impl Work {
    /// Whether nothing that could take effect has left us.
    fn is_unsent(&self) -> bool {
        matches!(self, Self::Dtmf { next: 0, .. } | Self::Probe | Self::Dial { sent: false, .. })
    }
}
