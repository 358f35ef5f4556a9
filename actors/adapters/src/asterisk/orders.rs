//! Orders to actions, and actions to outcomes: one function per order.
//!
//! "Accepted" is never "done": the facts in `facts.rs` prove an order, or its deadline passes and the server is asked
//! what is true (`proof.rs`). Orders on one leg are carried out one after the other. Tones: `tones.rs`. Probe: `probe.rs`.

use std::collections::BTreeSet;
use std::time::Duration;

use ifbus_call::order::{Dial, Direction, Done, Evidence, ParkReason};
use ifbus_call::{Address, Cause, Event, LegId, Load, Order, Refused, Said, Stage, Wait, Why};

use super::flight::{DROPS_MAX, ORDERS_MAX, Purpose, Running, Timer, Work};
use super::legs::Leg;
use super::listing::LIST_WITHIN;
use super::machine::{Asterisk, COMMANDS, Phase, WATCH};
use super::names;
use super::session::{is_gone, refused};
use crate::adapter::{Output, Ticket};
use crate::q850::q850;
use crate::wire_format::ami::{Field, Message, Unfit};

/// `Bridge` and `Redirect` take milliseconds; five seconds are an overloaded server (sheet, section 9).
pub(super) const COMMAND_WITHIN: Duration = Duration::from_secs(5);

/// What an originate may take beyond its ringing.
const DIAL_EXTRA: Duration = Duration::from_secs(5);

/// How long after a failed originate the events of its channel may still be on the way: the two streams are not
/// ordered against each other (sheet, section 19).
const GRACE: Duration = Duration::from_secs(1);

/// A leg that is never joined ends this long after its ringing time, also if we die (design section 4). `Bridge` takes
/// the limit away by itself, on 16 and on 22.
const FENCE: Duration = Duration::from_secs(120);

impl Asterisk {
    pub(super) fn order(&mut self, ticket: Ticket, order: Order) {
        let open = self.life.orders.len() + self.life.waiting.len();
        let most = if matches!(order, Order::Drop { .. }) { DROPS_MAX } else { ORDERS_MAX };
        if self.phase != Phase::Ready {
            self.out.push_back(Output::Answer(ticket, Err(Refused::unsent(Why::NotReady))));
        } else if open >= most {
            self.out.push_back(Output::Answer(ticket, Err(Refused::unsent(Why::Overloaded))));
        } else {
            self.life.waiting.push_back((ticket, order));
            self.life.freed = true;
        }
    }

    /// Begins every order whose legs are free and that no earlier one waits for.
    pub(super) fn settle(&mut self) {
        while std::mem::take(&mut self.life.freed) {
            let mut taken: BTreeSet<LegId> = BTreeSet::new();
            for (ticket, order) in std::mem::take(&mut self.life.waiting) {
                let legs = legs_of(&order);
                let free = legs.iter().all(|leg| !self.life.busy.contains_key(leg) && !taken.contains(leg));
                if free {
                    self.begin(ticket, order);
                } else {
                    taken.extend(legs);
                    self.life.waiting.push_back((ticket, order));
                }
            }
        }
    }

    fn begin(&mut self, ticket: Ticket, order: Order) {
        match order {
            Order::Dial(dial) => self.dial(ticket, &dial),
            Order::Join { a, b } => self.join(ticket, a, b),
            Order::Park { held, other, why } => self.park(ticket, held, other, why),
            Order::Drop { leg, cause } => self.drop_leg(ticket, leg, cause),
            Order::Dtmf { leg, digits } => self.dtmf(ticket, leg, digits),
            Order::Mute { leg, direction, on } => self.mute(ticket, leg, direction, on),
            Order::Enter { leg, conference } => self.enter_room(ticket, leg, conference),
            Order::Leave { leg } => self.leave_room(ticket, leg),
            Order::Record { leg, recording, segment } => self.record(ticket, leg, recording, segment),
            Order::StopRecord { leg, recording, segment } => {
                self.stop_record(ticket, leg, recording, segment);
            }
            Order::Fetch { recording, segment } => self.fetch(ticket, recording, segment),
            Order::Drain { on } => self.drain(ticket, on),
            Order::List => self.list(ticket),
            Order::Load => self.load(ticket),
            Order::Probe => self.probe(ticket),
            Order::ProbeSip => self.probe_sip(ticket),
            Order::Inspect => self.inspect(ticket),
        }
    }

    /// Remembers an order that has begun.
    pub(super) fn running(&mut self, ticket: Ticket, work: Work, asks: Vec<u128>, within: Duration) {
        for leg in work.legs() {
            self.life.busy.insert(leg, ticket);
        }
        self.life.timers.arm(Timer::Order(ticket), self.now + within);
        self.life.orders.insert(ticket, Running { work, asks, accepted: false, looks: None });
    }

    /// An order that has begun waits for this answer too.
    pub(super) fn waits_for(&mut self, ticket: Ticket, id: u128) {
        if let Some(running) = self.life.orders.get_mut(&ticket) {
            running.asks.push(id);
        }
    }

    pub(super) fn refuse(&mut self, ticket: Ticket, refused: Refused) {
        if self.life.orders.contains_key(&ticket) {
            self.finish(ticket, Err(refused));
        } else {
            self.out.push_back(Output::Answer(ticket, Err(refused)));
        }
    }

    /// The channel that reaches a party: as the server has told it, or by the operator's template; `None` if there is none
    /// or the channel would be too long.
    pub(crate) fn dialled(&self, party: &Address) -> Option<String> {
        let told = self.phones.get(party.as_str()).cloned();
        told.or_else(|| self.options.template(party.form())?.channel(party))
    }

    // ---- one function per order --------------------------------------------------------------------------------------

    fn dial(&mut self, ticket: Ticket, dial: &Dial) {
        if self.life.legs.get(dial.leg).is_some() {
            return self.refuse(ticket, unsent("a leg of this id exists"));
        }
        if self.options.template(dial.tag.party.form()).is_none() {
            return self.refuse(ticket, Refused::unsent(Why::NoTemplate));
        }
        let Some(channel) = self.dialled(&dial.tag.party) else {
            return self.refuse(ticket, unsent("the channel would be too long"));
        };
        let place = match dial.wait {
            Wait::Silence => "wait",
            Wait::Ringback => "ringback",
        };
        let (call, ends) = names::written(&dial.tag);
        let fence = dial.within.as_secs() + FENCE.as_secs();
        let (id, action) = self.action("Originate");
        let action = action
            .with("Channel", channel)
            .with("ChannelId", self.native(dial.leg))
            .with("Context", &self.options.context)
            .with("Exten", place)
            .with("Priority", 1)
            .with("Timeout", dial.within.as_millis())
            .with("CallerID", format_args!("\"{0}\" <{0}>", dial.caller.user()))
            .with("Async", "true")
            .with("Variable", format_args!("TIMEOUT(absolute)={fence}"))
            .with("Variable", format_args!("__{}={call}", names::CALL))
            .with("Variable", format_args!("__{}={ends}", names::ENDS));
        match self.ask(COMMANDS, id, action, Purpose::Originate(ticket, dial.leg)) {
            Err(unfit) => self.refuse(ticket, unfit_refusal(&unfit)),
            Ok(()) => {
                self.life.legs.insert(dial.leg, Leg::new(None)).tag = Some(dial.tag.clone());
                let work = Work::Dial { leg: dial.leg, failed: None };
                // the originate outlives its order: its late result must still find its leg
                self.running(ticket, work, Vec::new(), dial.within + DIAL_EXTRA);
                self.life.timers.arm(Timer::Asked(id), self.now + dial.within + 2 * DIAL_EXTRA);
            }
        }
    }

    fn join(&mut self, ticket: Ticket, a: LegId, b: LegId) {
        if self.life.legs.together(a, b) {
            // a second `Bridge` of a joined pair tears it apart (sheet, section 6)
            return self.out.push_back(Output::Answer(ticket, Ok(Done::Proven)));
        }
        if self.two_up(ticket, a, b).is_none() {
            return;
        }
        self.running(ticket, Work::Join { a, b, sent: false }, Vec::new(), COMMAND_WITHIN);
        self.settle_legs(ticket);
    }

    fn park(&mut self, ticket: Ticket, held: LegId, other: LegId, why: ParkReason) {
        let Some((first, second)) = self.two_up(ticket, held, other) else { return };
        // moving one leg of a joined pair ends the other one; only a pair, or two that are alone, may be moved
        let third = [held, other].into_iter().any(|leg| {
            let members =
                self.life.legs.bridge_of(leg).map_or(&[][..], |bridge| self.life.legs.members(bridge));
            members.iter().any(|member| *member != held && *member != other)
        });
        if third {
            return self.refuse(ticket, unsent("one of them talks to a third party"));
        }
        // one who asks a third party must outlive that party's end, to come back to the one who waits
        let partner_place = match why {
            ParkReason::Hold => "park",
            ParkReason::Consult => "consult",
        };
        let context = self.options.context.clone();
        let (id, action) = self.action("Redirect");
        let action = action
            .with("Channel", first)
            .with("Context", &context)
            .with("Exten", "hold")
            .with("Priority", 1)
            .with("ExtraChannel", second)
            .with("ExtraContext", &context)
            .with("ExtraExten", partner_place)
            .with("ExtraPriority", 1);
        match self.ask(COMMANDS, id, action, Purpose::Command(ticket)) {
            Ok(()) => {
                for leg in [held, other] {
                    if let Some(known) = self.life.legs.get_mut(leg) {
                        known.settled = false;
                    }
                }
                self.running(ticket, Work::Park { held, other }, vec![id], COMMAND_WITHIN);
            }
            Err(unfit) => self.refuse(ticket, unfit_refusal(&unfit)),
        }
    }

    fn drop_leg(&mut self, ticket: Ticket, leg: LegId, cause: Cause) {
        // a leg we do not know may be one of ours all the same: an originate that came late
        let channel = self.channel(leg).unwrap_or_else(|| self.native(leg));
        // `Hangup` alone takes a pattern between slashes, and would end every channel that matches (sheet, section 6)
        if channel.starts_with('/') {
            return self.refuse(ticket, unsent("the server would take the name of this leg for a pattern"));
        }
        let (id, action) = self.action("Hangup");
        let action = action.with("Channel", channel).with("Cause", q850(cause)); // passed on as `Reason: Q.850`
        match self.ask(COMMANDS, id, action, Purpose::Command(ticket)) {
            Ok(()) => {
                if let Some(known) = self.life.legs.get_mut(leg) {
                    known.dropped = true;
                }
                self.running(ticket, Work::Drop { leg }, vec![id], COMMAND_WITHIN);
            }
            Err(unfit) => self.refuse(ticket, unfit_refusal(&unfit)),
        }
    }

    fn mute(&mut self, ticket: Ticket, leg: LegId, direction: Direction, on: bool) {
        let Some(channel) = self.channel(leg) else {
            return self.refuse(ticket, Refused::unsent(Why::NoSuchLeg));
        };
        let (id, action) = self.action("MuteAudio");
        let action = action
            .with("Channel", channel)
            .with(
                "Direction",
                match direction {
                    Direction::In => "in",
                    Direction::Out => "out",
                },
            )
            .with("State", if on { "on" } else { "off" });
        match self.ask(COMMANDS, id, action, Purpose::Command(ticket)) {
            Ok(()) => self.running(ticket, Work::Mute { leg, direction, on }, vec![id], COMMAND_WITHIN),
            Err(unfit) => self.refuse(ticket, unfit_refusal(&unfit)),
        }
    }

    fn load(&mut self, ticket: Ticket) {
        let id = self.ask_plain(WATCH, "CoreStatus", Purpose::Load(ticket));
        self.running(ticket, Work::Load, vec![id], LIST_WITHIN);
    }

    // ---- parts of them ---------------------------------------------------------------------------------------------

    /// The channels of two answered legs, or the refusal: a ringing leg is destroyed by `Bridge` and `Redirect`.
    fn two_up(&mut self, ticket: Ticket, a: LegId, b: LegId) -> Option<(String, String)> {
        let up = |leg| self.life.legs.get(leg).map(|known| known.stage == Stage::Up);
        let meets = [a, b].into_iter().any(|leg| self.life.legs.room_of(leg).is_some());
        let refused = match (up(a), up(b)) {
            (Some(true), Some(true)) if a != b && meets => {
                unsent("a leg in a conference has to leave it first")
            }
            (Some(true), Some(true)) if a != b => return self.channel(a).zip(self.channel(b)),
            (None, _) | (_, None) => Refused::unsent(Why::NoSuchLeg),
            _ if a == b => unsent("a leg cannot talk to itself"),
            _ => unsent("a leg that was not answered cannot be moved"),
        };
        self.refuse(ticket, refused);
        None
    }

    // ---- answers ---------------------------------------------------------------------------------------------------

    pub(super) fn originate_refused(&mut self, ticket: Ticket, leg: LegId, message: &Message<'_>) {
        if self.life.orders.contains_key(&ticket) {
            self.life.legs.remove(leg);
            self.finish(ticket, Err(refused(message)));
        }
    }

    /// The end of an originate. Success is told by the events; a failure counts only if there was never a channel.
    pub(super) fn originated(&mut self, id: u128, message: &Message<'_>) {
        let Some(asked) = self.life.asked.remove(&id) else { return };
        self.life.timers.disarm(Timer::Asked(id));
        if let Purpose::Ghost(ticket) = asked.purpose {
            return self.ghost(ticket, true);
        }
        let Purpose::Originate(ticket, leg) = asked.purpose else { return };
        if message.get(Field::Response) == Some(b"Success") {
            if !self.by_stream() {
                self.doubt(leg);
            }
            return;
        }
        let reason = message.number(Field::Reason).unwrap_or(0);
        let Some(running) = self.life.orders.get_mut(&ticket) else { return };
        if let Work::Dial { failed, .. } = &mut running.work {
            *failed = Some(reason);
        }
        if self.end_rumored(leg) {
            return;
        }
        self.life.timers.arm(Timer::Grace(ticket), self.now + GRACE);
    }

    /// A failed originate needs no confirmation of its leg's end: nobody else knows the id it was answered under.
    pub(super) fn end_rumored(&mut self, leg: LegId) -> bool {
        let rumor = self.life.legs.get_mut(leg).and_then(|known| known.rumor.take());
        if let Some(end) = &rumor {
            self.ended(leg, end);
        }
        rumor.is_some()
    }

    pub(super) fn grace_over(&mut self, ticket: Ticket) {
        let Some(Running { work: Work::Dial { leg, failed: Some(reason) }, .. }) =
            self.life.orders.get(&ticket)
        else {
            return;
        };
        let (leg, reason) = (*leg, *reason);
        if self.end_rumored(leg) {
            return;
        }
        self.life.legs.remove(leg);
        // 3 is our own ringing time; everything that never made a channel has no way to the phone (sheet, section 7)
        let cause = if reason == 3 { Cause::NoAnswer } else { Cause::Unreachable };
        let said = Some(Said::new(Some(reason), "originate failed without a channel"));
        self.finish(ticket, Err(Refused { why: Why::Refused, cause, evidence: Evidence::NotDone, said }));
    }

    pub(super) fn command_answered(&mut self, ticket: Ticket, success: bool, message: &Message<'_>) {
        let alone = !self.by_stream();
        let Some(running) = self.life.orders.get_mut(&ticket) else { return };
        running.accepted = success;
        match (&running.work, success) {
            (Work::Record(_), _) => self.recorder_begun(ticket, success, message),
            (Work::StopRecord(_), _) => self.recorder_ended(ticket, success, message),
            (Work::Drain { on }, _) => {
                let on = *on;
                self.maintained(ticket, on, success, message);
            }
            (Work::Enter { .. } | Work::Leave { .. }, true) => self.moved(ticket),
            (Work::Mute { leg, direction, on }, true) => {
                let event = Event::Muted(*leg, *direction, *on);
                self.out.push_back(Output::Event(event));
                self.finish(ticket, Ok(Done::Proven));
            }
            (Work::Drop { leg }, false) if is_gone(message) => {
                let leg = *leg;
                self.gone_before(ticket, leg);
            }
            (_, false) => self.finish(ticket, Err(refused(message))),
            (_, true) => {
                let legs = if alone { running.work.legs() } else { Vec::new() };
                for leg in legs {
                    self.doubt(leg);
                }
                self.progress(ticket);
            }
        }
    }

    /// Gone already is a success; if its end was not told yet, it is told first.
    fn gone_before(&mut self, ticket: Ticket, leg: LegId) {
        if self.life.legs.get(leg).is_some() {
            self.gone(leg);
        }
        if self.life.legs.get(leg).is_none() {
            self.finish(ticket, Ok(Done::Proven));
        }
    }

    pub(super) fn loaded(&mut self, ticket: Ticket, success: bool, message: &Message<'_>) {
        if !success {
            return self.finish(ticket, Err(refused(message)));
        }
        let number = |key| message.only(key).and_then(|text| text.parse::<u64>().ok());
        let load = Load {
            // it says calls and counts channels (sheet, section 5)
            legs: number("CoreCurrentCalls").and_then(|legs| u32::try_from(legs).ok()),
            legs_max: self.life.legs_max,
            legs_ever: number("CoreProcessedCalls"),
        };
        self.finish(ticket, Ok(Done::Loaded(load)));
    }
}

/// The legs an order must have for itself, or at least must not share with an earlier one.
fn legs_of(order: &Order) -> Vec<LegId> {
    match order {
        Order::Dial(dial) => vec![dial.leg],
        Order::Join { a, b } => vec![*a, *b],
        Order::Park { held, other, .. } => vec![*held, *other],
        Order::Drop { leg, .. }
        | Order::Dtmf { leg, .. }
        | Order::Mute { leg, .. }
        | Order::Enter { leg, .. }
        | Order::Leave { leg }
        | Order::Record { leg, .. }
        | Order::StopRecord { leg, .. } => vec![*leg],
        Order::Fetch { .. } | Order::Drain { .. } => Vec::new(),
        Order::List | Order::Load | Order::Probe | Order::ProbeSip | Order::Inspect => Vec::new(),
    }
}

/// A refusal of ours with a reason for people.
pub(super) fn unsent(text: &str) -> Refused {
    Refused { said: Some(Said::new(None, text)), ..Refused::unsent(Why::Refused) }
}

pub(super) fn unfit_refusal(unfit: &Unfit) -> Refused {
    unsent(&unfit.to_string())
}
