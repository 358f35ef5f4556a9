//! Orders to commands, and answers to outcomes: one function per order.
//!
//! "+OK" is never "done": the facts in `facts.rs` prove an order, or its deadline passes and the server is asked what is
//! true (`proof.rs`). Orders on one leg are carried out one after the other. Probe: `probe.rs`.

use std::collections::BTreeSet;
use std::time::Duration;

use ifbus_call::order::{Dial, Direction, Done, Evidence, ParkReason};
use ifbus_call::{Cause, Digits, Event, LegId, Load, Order, Refused, Said, Stage, Wait, Why};

use super::cause::{self, End, word};
use super::flight::{DROPS_MAX, Job, ORDERS_MAX, Purpose, Running, Timer, Work};
use super::legs::Leg;
use super::login::{Status, status_command};
use super::machine::{COMMANDS, FreeSwitch, Phase};
use super::names::{self, native};
use super::session::{is_gone, refused};
use crate::adapter::{Output, Ticket};
use crate::wire_format::esl::{Command, Frame, Unfit};

/// A command takes milliseconds, its event 60 more; five seconds are a server in trouble (sheet, section 13).
pub(super) const COMMAND_WITHIN: Duration = Duration::from_secs(5);

/// What an originate may take beyond its ringing.
const DIAL_EXTRA: Duration = Duration::from_secs(5);

/// How long after a failed originate the events of its leg may still be on the way.
const GRACE: Duration = Duration::from_secs(1);

/// A leg that is never joined ends this long after its ringing time, also if we die (design section 4).
const FENCE: Duration = Duration::from_secs(120);

/// Whoever waits in a talk that was parted ends after a day, also if we die.
const DAY: u64 = 86_400;

/// How long a digit sounds, in milliseconds.
const SOUND_MS: u32 = 100;

/// From one digit to the next.
const PACE: Duration = Duration::from_millis(160);

impl FreeSwitch {
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
            Order::Dtmf { leg, digits } => self.dtmf(ticket, leg, &digits),
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
    pub(super) fn running(&mut self, ticket: Ticket, work: Work, within: Duration) {
        for leg in work.legs() {
            self.life.busy.insert(leg, ticket);
        }
        self.life.timers.arm(Timer::Order(ticket), self.now + within);
        self.life.orders.insert(ticket, Running { work, accepted: false, looks: None });
    }

    pub(super) fn refuse(&mut self, ticket: Ticket, refused: Refused) {
        if self.life.orders.contains_key(&ticket) {
            self.finish(ticket, Err(refused));
        } else {
            self.out.push_back(Output::Answer(ticket, Err(refused)));
        }
    }

    /// Sends a command that accompanies an order; its answer changes nothing.
    pub(super) fn quietly(&mut self, command: Command) {
        // a name from the server that does not fit is one we could not have used before either
        let _ = self.ask(COMMANDS, command, Purpose::Quiet);
    }

    /// Sends the command of an order and remembers the order, or refuses it.
    pub(super) fn command(&mut self, ticket: Ticket, command: Command, work: Work) {
        match self.ask(COMMANDS, command, Purpose::Command(ticket)) {
            Ok(()) => self.running(ticket, work, COMMAND_WITHIN),
            Err(unfit) => self.refuse(ticket, unfit_refusal(&unfit)),
        }
    }

    // ---- one function per order --------------------------------------------------------------------------------------

    fn dial(&mut self, ticket: Ticket, dial: &Dial) {
        if self.life.legs.get(dial.leg).is_some() {
            return self.refuse(ticket, unsent("a leg of this id exists"));
        }
        let Some(template) = self.options.template(dial.tag.party.form()) else {
            return self.refuse(ticket, Refused::unsent(Why::NoTemplate));
        };
        let Some(destination) = template.channel(&dial.tag.party) else {
            return self.refuse(ticket, unsent("the destination would be too long"));
        };
        // the server's clock counts whole seconds and may be early by one
        let within = dial.within.as_millis().div_ceil(1000);
        let fence = dial.within.as_secs() + FENCE.as_secs();
        let (call, ends) = names::written(&dial.tag);
        let caller = dial.caller.user();
        let command = self
            .job("originate", Job::Originate(ticket, dial.leg))
            .leg(
                &[
                    ("origination_uuid", &native(dial.leg)),
                    ("originate_timeout", &within),
                    ("ignore_early_media", &true),
                    ("park_timeout", &format_args!("{fence}:ALLOTTED_TIMEOUT")),
                    ("send_silence_when_idle", &400),
                    ("origination_caller_id_number", &caller),
                    ("origination_caller_id_name", &caller),
                    (names::OWNER, &self.instance),
                    (names::CALL, &call),
                    (names::ENDS, &ends),
                ],
                &destination,
            )
            .word("&park()");
        match self.ask(COMMANDS, command, Purpose::Originate(ticket, dial.leg)) {
            Err(unfit) => self.refuse(ticket, unfit_refusal(&unfit)),
            Ok(()) => {
                let leg = self.life.legs.insert(dial.leg, Leg::new(None));
                leg.tag = Some(dial.tag.clone());
                leg.ring = (dial.wait == Wait::Ringback).then_some(fence);
                let work = Work::Dial { leg: dial.leg, failed: None };
                self.running(ticket, work, dial.within + DIAL_EXTRA);
            }
        }
    }

    fn join(&mut self, ticket: Ticket, a: LegId, b: LegId) {
        if self.life.legs.together(a, b) {
            // a second `uuid_bridge` of a joined pair tears it apart for a moment (sheet, J3)
            return self.out.push_back(Output::Answer(ticket, Ok(Done::Proven)));
        }
        let Some((first, second)) = self.two_up(ticket, a, b) else { return };
        for leg in [a, b] {
            self.unfence(leg);
        }
        self.may_come_back(a, b);
        let command = Command::api("uuid_bridge").word(first).word(second);
        self.command(ticket, command, Work::Join { a, b });
    }

    /// Who asks a third party must outlive its end, to come back to the one who waits; nobody else must, or a partner
    /// that is to be released would stay (sheet, section 13).
    fn may_come_back(&mut self, a: LegId, b: LegId) {
        let partners = [a, b].map(|leg| self.life.legs.partner(leg));
        for leg in [Some(a), Some(b), partners[0], partners[1]].into_iter().flatten() {
            let Some(known) = self.life.legs.get_mut(leg).filter(|known| known.foreign.is_none()) else {
                continue;
            };
            let other = if leg == a { b } else { a };
            let wanted = (leg == a || leg == b) && known.asks.is_some_and(|waits| waits != other);
            if !wanted {
                known.asks = None;
            }
            if std::mem::replace(&mut known.comes_back, wanted) != wanted {
                let command = Command::api("uuid_setvar").word(native(leg)).word("park_after_bridge");
                self.quietly(if wanted { command.word("true") } else { command });
            }
        }
    }

    fn park(&mut self, ticket: Ticket, held: LegId, other: LegId, why: ParkReason) {
        let Some((first, _)) = self.two_up(ticket, held, other) else { return };
        let partners = [held, other].map(|leg| self.life.legs.partner(leg));
        let consults = why == ParkReason::Consult;
        if partners == [None, None] {
            // parked already: once more would stop the music (sheet, section 13)
            self.wait_apart(held, other, consults);
            return self.out.push_back(Output::Answer(ticket, Ok(Done::Proven)));
        }
        if partners != [Some(other), Some(held)] {
            return self.refuse(ticket, unsent("one of them talks to a third party"));
        }
        if let Some(known) = self.life.legs.get_mut(other) {
            known.asks = consults.then_some(held);
        }
        let command = Command::api("uuid_transfer").word(first).words("-both park inline");
        self.command(ticket, command, Work::Park { held, other });
    }

    /// Both are parked: one hears music, and both end after a day if nobody takes them up again.
    pub(super) fn wait_apart(&mut self, held: LegId, other: LegId, consults: bool) {
        if let Some(uuid) = self.channel(held) {
            let music = self.options.music.clone();
            self.quietly(Command::api("uuid_broadcast").word(uuid).word(music).word("aleg"));
        }
        if consults && let Some(known) = self.life.legs.get_mut(other) {
            known.asks = Some(held);
        }
        for leg in [held, other] {
            self.fence(leg, DAY);
        }
    }

    fn drop_leg(&mut self, ticket: Ticket, leg: LegId, cause: Cause) {
        // a leg we do not know may be one of ours all the same: an originate that came late
        let uuid = self.channel(leg).unwrap_or_else(|| native(leg).to_string());
        let up = self.life.legs.get(leg).is_some_and(|known| known.stage == Stage::Up);
        let command = Command::api("uuid_kill").word(uuid).word(word(cause, up));
        if let Some(known) = self.life.legs.get_mut(leg) {
            known.dropped = true;
        }
        self.command(ticket, command, Work::Drop { leg });
    }

    fn mute(&mut self, ticket: Ticket, leg: LegId, direction: Direction, on: bool) {
        let Some(uuid) = self.up(ticket, leg) else { return };
        let direct = match direction {
            Direction::In => "read",
            Direction::Out => "write",
        };
        let command = Command::api("uuid_audio").word(uuid).word("start").word(direct).word("mute");
        let command = command.word(u8::from(on));
        self.command(ticket, command, Work::Mute { leg, direction, on });
    }

    fn dtmf(&mut self, ticket: Ticket, leg: LegId, digits: &Digits) {
        let Some(uuid) = self.up(ticket, leg) else { return };
        // the duration stands at the end, and is that of every digit
        let word = format!("{}@{SOUND_MS}", digits.as_str());
        let command = Command::api("uuid_send_dtmf").word(uuid).word(word);
        self.command(ticket, command, Work::Dtmf { digits: digits.as_str().len() });
    }

    fn load(&mut self, ticket: Ticket) {
        self.running(ticket, Work::Load, COMMAND_WITHIN);
        self.ask_plain(COMMANDS, status_command(), Purpose::Load(ticket));
    }

    // ---- parts of them ---------------------------------------------------------------------------------------------

    /// The name of an answered leg, or the refusal.
    fn up(&mut self, ticket: Ticket, leg: LegId) -> Option<String> {
        match self.life.legs.get(leg).map(|known| known.stage == Stage::Up || known.foreign.is_some()) {
            Some(true) => self.channel(leg),
            Some(false) => {
                self.refuse(ticket, unsent("the leg was not answered"));
                None
            }
            None => {
                self.refuse(ticket, Refused::unsent(Why::NoSuchLeg));
                None
            }
        }
    }

    /// The names of two answered legs, or the refusal: `uuid_bridge` with a ringing leg destroys both (sheet, J1).
    fn two_up(&mut self, ticket: Ticket, a: LegId, b: LegId) -> Option<(String, String)> {
        let up = |leg| self.life.legs.get(leg).map(|known| known.stage == Stage::Up);
        let meets =
            [a, b].into_iter().any(|leg| self.life.legs.get(leg).is_some_and(|known| known.room.is_some()));
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

    /// The server ends the leg at that time: the end of a park does not come while something is played to it.
    pub(super) fn fence(&mut self, leg: LegId, seconds: u64) {
        let Some(uuid) = self.channel(leg) else { return };
        if let Some(known) = self.life.legs.get_mut(leg) {
            known.fenced = true;
        }
        let command = Command::api("sched_hangup").word(format_args!("+{seconds}")).word(uuid);
        self.quietly(command.word("ALLOTTED_TIMEOUT"));
    }

    /// Takes that end away, before the leg is joined: afterwards might be too late if we die between the two.
    pub(super) fn unfence(&mut self, leg: LegId) {
        let Some(uuid) = self.channel(leg) else { return };
        if self.life.legs.get_mut(leg).is_some_and(|known| std::mem::take(&mut known.fenced)) {
            self.quietly(Command::api("sched_del").word(uuid));
        }
    }

    /// Ringing for one who was answered first, unless it is being joined already.
    pub(super) fn ring_if_it_waits(&mut self, leg: LegId) {
        if self.life.busy.contains_key(&leg) && self.dialing(leg).is_none() {
            return;
        }
        let ring = self.life.legs.get_mut(leg).and_then(|known| known.ring.take());
        if let (Some(seconds), Some(uuid)) = (ring, self.channel(leg)) {
            let tone = self.options.ring.clone();
            self.fence(leg, seconds);
            self.quietly(Command::api("uuid_broadcast").word(uuid).word(tone).word("aleg"));
        }
    }

    // ---- answers ---------------------------------------------------------------------------------------------------

    /// The server has taken the originate as a job, or has not.
    pub(super) fn originate_taken(&mut self, ticket: Ticket, leg: LegId, ok: bool, frame: &Frame<'_>) {
        if ok {
            if let Some(running) = self.life.orders.get_mut(&ticket) {
                running.accepted = true;
            }
        } else if self.life.orders.contains_key(&ticket) {
            self.life.legs.remove(leg);
            self.finish(ticket, Err(refused(frame)));
        }
    }

    /// The end of an originate. Success is told by the events; a failure counts only if there was never a leg.
    pub(super) fn originated(&mut self, ticket: Ticket, leg: LegId, body: &str) {
        let Some(why) = body.strip_prefix("-ERR") else { return };
        let why = why.trim();
        if self.life.legs.get(leg).is_some_and(|known| known.made) {
            // its end is on the way, and knows more. But a leg dialled by `user/` that was joined in the moment of its
            // answer lives on, and its originate says all the same that it was canceled (seen on 1.11): so ask
            return self.doubt(leg);
        }
        let Some(running) = self.life.orders.get_mut(&ticket) else { return };
        if let Work::Dial { failed, .. } = &mut running.work {
            *failed = Some(why.to_owned());
            self.life.timers.arm(Timer::Grace(ticket), self.now + GRACE);
        }
    }

    pub(super) fn grace_over(&mut self, ticket: Ticket) {
        let Some(Running { work: Work::Dial { leg, failed: Some(word) }, .. }) =
            self.life.orders.get(&ticket)
        else {
            return;
        };
        let (leg, end) = (*leg, End::word(word));
        self.life.legs.remove(leg);
        let cause = cause::of_word(&end.cause, false, true);
        let refused =
            Refused { why: Why::Refused, cause, evidence: Evidence::NotDone, said: Some(end.said()) };
        self.finish(ticket, Err(refused));
    }

    pub(super) fn command_answered(&mut self, ticket: Ticket, ok: bool, frame: &Frame<'_>) {
        let now = self.now;
        let Some(running) = self.life.orders.get_mut(&ticket) else { return };
        running.accepted = ok;
        match (&running.work, ok) {
            (Work::Mute { leg, direction, on }, true) => {
                let event = Event::Muted(*leg, *direction, *on);
                self.out.push_back(Output::Event(event));
                self.finish(ticket, Ok(Done::Proven));
            }
            (Work::Dtmf { digits }, true) => {
                let sounds = PACE * u32::try_from(*digits).unwrap_or(u32::MAX);
                self.life.timers.arm(Timer::Order(ticket), now + sounds + COMMAND_WITHIN);
                self.life.timers.arm(Timer::Played(ticket), now + sounds);
            }
            (Work::Drop { leg }, false) if is_gone(frame) => {
                let leg = *leg;
                self.gone_before(ticket, leg);
            }
            (Work::Join { a, b }, false) => {
                let legs = [*a, *b];
                for leg in legs {
                    if self.life.legs.partner(leg).is_none() {
                        self.fence(leg, FENCE.as_secs());
                    }
                }
                self.finish(ticket, Err(refused(frame)));
            }
            (_, false) => self.finish(ticket, Err(refused(frame))),
            (_, true) => self.progress(ticket),
        }
    }

    /// The digits have sounded.
    pub(super) fn played(&mut self, ticket: Ticket) {
        self.finish(ticket, Ok(Done::Proven));
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

    pub(super) fn loaded(&mut self, ticket: Ticket, frame: &Frame<'_>) {
        let Some(status) = Status::read(frame) else {
            return self.finish(ticket, Err(refused(frame)));
        };
        // sessions are legs (sheet, section 4)
        let load = Load { legs: status.legs, legs_max: status.legs_max, legs_ever: status.legs_ever };
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
