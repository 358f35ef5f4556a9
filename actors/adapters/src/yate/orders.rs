//! Orders to rows of steps: one function per order.
//!
//! What a step says and what its answer means: `steps.rs`. When an order is done: `proof.rs`. Orders on one leg are
//! carried out one after the other. Tones: `tones.rs`. Recordings: `recording.rs`, `fetch.rs`. Probe: `probe.rs`.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use ifbus_call::order::{Dial, Direction, Done, ParkReason};
use ifbus_call::{Cause, ConferenceId, LegId, Load, Order, Refused, Role, Said, Stage, Wait, Why};

use super::cause::reason;
use super::flight::{DROPS_MAX, ORDERS_MAX, Place, Purpose, Running, Sound, Step, Timer, Work};
use super::legs::{Leg, Peer, Room};
use super::listing;
use super::machine::{Phase, Yate};
use super::names;
use super::options::Party;
use super::session::Reply;
use crate::adapter::{Output, Ticket};
use crate::wire_format::extmodule::{Command, Name, Unfit};

/// A message takes 5 ms; seconds are an overloaded engine (sheet, section 9).
pub(super) const COMMAND_WITHIN: Duration = Duration::from_secs(5);

/// A leg that is never joined ends this long after its ringing time, also if we die (design section 4). Joining does not
/// take the limit away by itself, so `Join` and `Enter` do (sheet, section 14).
const FENCE: Duration = Duration::from_secs(120);

/// The engine's own ringing limit, in case we die: our own comes before it. Its placeholder counts too, and an
/// overloaded engine would end answered calls by it (sheet, section 5.1).
const RING_EXTRA: Duration = Duration::from_secs(15);

/// Everything about a dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dialing {
    pub(super) leg: LegId,
    party: Party,
    pub(super) routed: bool,
    caller: String,
    tag: (String, String),
    place: String,
    pub(super) within: Duration,
}

impl Yate {
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

    /// Remembers an order that has begun, with the steps it takes.
    pub(super) fn running(
        &mut self,
        ticket: Ticket,
        work: Work,
        steps: impl IntoIterator<Item = Step>,
        within: Duration,
    ) {
        for leg in work.legs() {
            self.life.busy.insert(leg, ticket);
        }
        self.life.timers.arm(Timer::Order(ticket), self.now + within);
        let steps: VecDeque<Step> = steps.into_iter().collect();
        let running = Running { work, steps, current: None, sent: false, over: false, looks: None };
        self.life.orders.insert(ticket, running);
    }

    /// Something of an order has left us that may take effect.
    pub(super) fn sent(&mut self, ticket: Ticket) {
        if let Some(running) = self.life.orders.get_mut(&ticket) {
            running.sent = true;
        }
    }

    pub(super) fn refuse(&mut self, ticket: Ticket, refused: Refused) {
        if self.life.orders.contains_key(&ticket) {
            self.finish(ticket, Err(refused));
        } else {
            self.out.push_back(Output::Answer(ticket, Err(refused)));
        }
    }

    fn proven(&mut self, ticket: Ticket) {
        self.out.push_back(Output::Answer(ticket, Ok(Done::Proven)));
    }

    // ---- one function per order ------------------------------------------------------------------------------------

    fn dial(&mut self, ticket: Ticket, dial: &Dial) {
        if self.life.legs.get(dial.leg).is_some() {
            return self.refuse(ticket, unsent("a leg of this id exists"));
        }
        let Some(template) = self.options.template(dial.tag.party.form()) else {
            return self.refuse(ticket, Refused::unsent(Why::NoTemplate));
        };
        let Some(party) = Party::of(template, &dial.tag.party) else {
            return self.refuse(ticket, unsent("the party would be too long"));
        };
        let place = match dial.wait {
            Wait::Ringback => "tone/ring".to_owned(),
            // a file that is missing would end the leg at its answer
            Wait::Silence if self.life.sounds.0 == Some(true) => self.sound(Sound::Silence),
            Wait::Silence => "dumb/ifbus".to_owned(),
        };
        let dialing = Dialing {
            leg: dial.leg,
            routed: party.direct.is_none(),
            party,
            caller: dial.caller.user().to_owned(),
            tag: crate::names::written(&dial.tag),
            place,
            within: dial.within,
        };
        let known = self.life.legs.insert(dial.leg, Leg::new(false));
        known.tag = Some(dial.tag.clone());
        known.deaf = Some(false);
        self.life.timers.arm(Timer::Ring(dial.leg), self.now + dial.within);
        self.running(
            ticket,
            Work::Dial { leg: dial.leg },
            [Step::Execute(Box::new(dialing))],
            2 * COMMAND_WITHIN,
        );
        self.go_on(ticket);
    }

    fn join(&mut self, ticket: Ticket, a: LegId, b: LegId) {
        if self.life.legs.together(a, b) {
            return self.proven(ticket);
        }
        if !self.are_up(ticket, a, b) {
            return;
        }
        let mut steps = self.prove_sounds(a);
        steps.extend(self.ear(a, Some(b)));
        steps.extend(self.ear(b, Some(a)));
        steps.extend([Step::Connect(a, b), Step::Look(a)]);
        self.running(ticket, Work::Join { a, b }, steps, COMMAND_WITHIN);
        self.go_on(ticket);
    }

    fn park(&mut self, ticket: Ticket, held: LegId, other: LegId, why: ParkReason) {
        if !self.are_up(ticket, held, other) {
            return;
        }
        let legs = &self.life.legs;
        let mut steps = self.prove_sounds(held);
        if legs.together(held, other) {
            steps.push(Step::Gather { held, other });
        } else if [held, other].into_iter().any(|leg| legs.get(leg).and_then(Leg::partner).is_some()) {
            return self.refuse(ticket, unsent("one of them talks to a third party"));
        }
        steps.extend([Step::Place(held, Place::Music), Step::Place(other, Place::Silence)]);
        // a mute is stronger than music: what is over an ear goes, unless it is the ear's own
        steps.extend(self.ear(held, None));
        steps.extend(self.ear(other, None));
        // one who asks a third party must outlive that party's end, to come back to the one who waits
        self.keep(other, why == ParkReason::Consult);
        self.running(ticket, Work::Park { held, other }, steps, COMMAND_WITHIN);
        self.go_on(ticket);
    }

    fn drop_leg(&mut self, ticket: Ticket, leg: LegId, cause: Cause) {
        self.running(ticket, Work::Drop { leg, cause }, [], COMMAND_WITHIN);
        match self.life.legs.get(leg) {
            Some(known) if known.native.is_some() => self.drop_known(ticket),
            // one we do not know may be one of ours all the same: a dial that came late
            _ => {
                self.list_for(Some(ticket));
            }
        }
    }

    /// Sends the drop, now that the engine's name of the leg is known.
    pub(super) fn drop_known(&mut self, ticket: Ticket) {
        let Some(Running { work: Work::Drop { leg, cause }, steps, .. }) = self.life.orders.get_mut(&ticket)
        else {
            return;
        };
        let leg = *leg;
        steps.push_back(Step::Drop(leg, reason(*cause)));
        if let Some(known) = self.life.legs.get_mut(leg) {
            known.dropped = true;
        }
        self.go_on(ticket);
    }

    fn mute(&mut self, ticket: Ticket, leg: LegId, direction: Direction, on: bool) {
        if self.channel(leg).is_none() {
            return self.refuse(ticket, Refused::unsent(Why::NoSuchLeg));
        }
        self.muted(leg, direction, on);
        let Some(known) = self.life.legs.get(leg) else { return };
        let partner = known.partner();
        let in_room = matches!(known.peer, Some(Peer::Room(..)));
        let mut steps = Vec::new();
        match (direction, partner) {
            (Direction::Out, partner) => steps.extend(self.ear(leg, partner)),
            (Direction::In, _) if in_room => steps.push(Step::Hush { leg, on }),
            (Direction::In, Some(partner)) => steps.extend(self.ear(partner, Some(leg))),
            (Direction::In, None) => {}
        }
        self.running(ticket, Work::Mute { leg, direction, on }, steps, COMMAND_WITHIN);
        self.go_on(ticket);
    }

    fn enter_room(&mut self, ticket: Ticket, leg: LegId, conference: ConferenceId) {
        let Some(known) = self.life.legs.get(leg) else {
            return self.refuse(ticket, Refused::unsent(Why::NoSuchLeg));
        };
        // a second entry would be a new channel, and the mute of the old one lost (sheet, section 14)
        if self.life.legs.conference_of(leg) == Some(&conference) {
            return self.proven(ticket);
        }
        if known.stage != Stage::Up {
            return self.refuse(ticket, unsent("a leg that was not answered cannot be moved"));
        }
        if known.partner().is_some() {
            return self.refuse(ticket, unsent("it talks to a partner, who would be released"));
        }
        let muted = known.muted.0;
        let mut steps = self.prove_sounds(leg);
        steps.extend(self.ear(leg, None));
        steps.push(Step::Room(leg, conference.clone()));
        steps.extend(muted.then_some(Step::Hush { leg, on: true }));
        self.keep(leg, false);
        self.running(ticket, Work::Enter { leg, conference }, steps, COMMAND_WITHIN);
        self.go_on(ticket);
    }

    fn leave_room(&mut self, ticket: Ticket, leg: LegId) {
        let Some(known) = self.life.legs.get(leg) else {
            return self.refuse(ticket, Refused::unsent(Why::NoSuchLeg));
        };
        if !matches!(known.peer, Some(Peer::Room(..))) {
            return self.proven(ticket);
        }
        let steps = [Some(Step::Place(leg, Place::Silence)), self.ear(leg, None)];
        self.running(ticket, Work::Leave { leg }, steps.into_iter().flatten(), COMMAND_WITHIN);
        self.go_on(ticket);
    }

    fn load(&mut self, ticket: Ticket) {
        self.running(ticket, Work::Load, [], listing::LIST_WITHIN);
        let asked =
            self.ask(Purpose::Load(ticket), |id| Command::new(id, Name::Status).with("details", "false"));
        debug_assert!(asked.is_ok(), "it has no value from outside");
    }

    // ---- parts of them ---------------------------------------------------------------------------------------------

    /// Says whether both are answered; refuses if not.
    fn are_up(&mut self, ticket: Ticket, a: LegId, b: LegId) -> bool {
        let up = |leg| self.life.legs.get(leg).map(|known| known.stage == Stage::Up);
        let refused = match (up(a), up(b)) {
            (Some(true), Some(true)) if a != b => return true,
            (None, _) | (_, None) => Refused::unsent(Why::NoSuchLeg),
            _ if a == b => unsent("a leg cannot talk to itself"),
            _ => unsent("a leg that was not answered cannot be moved"),
        };
        self.refuse(ticket, refused);
        false
    }

    /// A missing file ends a leg that is placed on it, and the answer is `true` all the same; laid over an ear it is
    /// told. So the first leg that is moved proves both (sheet, section 14).
    fn prove_sounds(&self, leg: LegId) -> Vec<Step> {
        if self.life.sounds.0.is_some() {
            return Vec::new();
        }
        vec![Step::Sound(leg, Sound::Silence), Step::Sound(leg, Sound::Music), Step::Ear { leg, deaf: false }]
    }

    /// The step that makes an ear as it should be with this partner.
    fn ear(&self, leg: LegId, partner: Option<LegId>) -> Option<Step> {
        let deaf = self.life.legs.should_be_deaf(leg, partner);
        let is = self.life.legs.get(leg)?.deaf;
        (is != Some(deaf)).then_some(Step::Ear { leg, deaf })
    }

    /// Notes beside a leg what is muted of it.
    pub(super) fn muted(&mut self, leg: LegId, direction: Direction, on: bool) {
        let Some(known) = self.life.legs.get_mut(leg) else { return };
        match direction {
            Direction::In => known.muted.0 = on,
            Direction::Out => known.muted.1 = on,
        }
        let word = match known.muted {
            (true, true) => "io",
            (true, false) => "i",
            (false, true) => "o",
            (false, false) => "-",
        };
        self.note(leg, names::MUTE, word);
    }

    /// Two are joined: one who asks a third party is kept, and no more when he is back.
    pub(super) fn keep_joined(&mut self, a: LegId, b: LegId) {
        for (leg, partner) in [(a, b), (b, a)] {
            let keeps = self.life.legs.get(leg).is_some_and(|known| known.keep);
            self.keep(leg, keeps && self.is_consulted(partner));
        }
    }

    /// Notes beside a leg whether it is to outlive its partner.
    fn keep(&mut self, leg: LegId, keep: bool) {
        let Some(known) = self.life.legs.get_mut(leg) else { return };
        if std::mem::replace(&mut known.keep, keep) != keep {
            self.note(leg, names::KEEP, if keep { "yes" } else { "no" });
        }
    }

    fn is_consulted(&self, leg: LegId) -> bool {
        let tag = self.life.legs.get(leg).and_then(|known| known.tag.as_ref());
        tag.is_some_and(|tag| tag.role == Role::C)
    }

    /// The file of a sound, as the engine wants it.
    pub(super) fn sound(&self, sound: Sound) -> String {
        let name = match sound {
            Sound::Silence => "silence",
            Sound::Music => "music",
        };
        format!("wave/play/{}/{name}.slin", self.options.sounds)
    }

    // ---- the dial --------------------------------------------------------------------------------------------------

    pub(super) fn execute(&self, id: u128, dialing: &Dialing) -> Command {
        let millis = |time: Duration| time.as_millis();
        let mut command = Command::new(id, Name::Execute)
            .with("callto", &dialing.place)
            .with("autorepeat", "true")
            .with("target", &dialing.party.called)
            .with("caller", &dialing.caller)
            .with("callername", &dialing.caller)
            .with("maxcall", millis(dialing.within + RING_EXTRA))
            .with("timeout", millis(dialing.within + FENCE));
        if let Some(direct) = &dialing.party.direct {
            command = command.with("direct", direct);
        }
        if let Some(line) = &dialing.party.line {
            command = command.with("line", line);
        }
        command
            .with(
                "copyparams",
                "chanparams-prefix,ifb.ifbus_leg,ifb.ifbus_call,ifb.ifbus_ends,maxcall,timeout,line",
            )
            .with("chanparams-prefix", names::PREFIX)
            .with("ifb.ifbus_leg", names::tagged(self.instance, dialing.leg))
            .with("ifb.ifbus_call", &dialing.tag.0)
            .with("ifb.ifbus_ends", &dialing.tag.1)
    }

    /// The ringing time of a leg is over.
    pub(super) fn rang_out(&mut self, leg: LegId) {
        let Some(channel) = self.channel(leg) else { return };
        let Some(known) = self.life.legs.get_mut(leg).filter(|known| known.stage != Stage::Up) else {
            return;
        };
        if known.dropped {
            return;
        }
        known.timed_out = true;
        let asked = self.ask(Purpose::Overdue, |id| Command::drop(id, &channel, "noanswer"));
        debug_assert!(asked.is_ok(), "a channel and a word are fit");
    }

    // ---- answers ---------------------------------------------------------------------------------------------------

    pub(super) fn loaded(&mut self, ticket: Ticket, reply: &Reply<'_>) {
        let figures = figures(&reply.value());
        let load =
            Load { legs: figures.sip.chans, legs_max: self.life.legs_max, legs_ever: figures.sip.total };
        self.finish(ticket, Ok(Done::Loaded(load)));
    }

    /// A leg has come into a room of ours, or onto a place.
    pub(super) fn moved_to_room(&mut self, leg: LegId, channel: &str, conference: ConferenceId) {
        self.life.rooms.insert(channel.to_owned(), Room::Ours(conference.clone()));
        self.set_peer(leg, Some(Peer::Room(channel.to_owned(), Room::Ours(conference))));
    }
}

/// What an engine says of itself.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) sip: Driver,
    /// It takes calls.
    pub(super) accepts: bool,
}

/// What a driver says of itself.
#[derive(Debug, Default)]
pub(super) struct Driver {
    pub(super) chans: Option<u32>,
    pub(super) total: Option<u64>,
}

/// Reads the answer to `engine.status` without details.
pub(super) fn figures(text: &str) -> Figures {
    let mut figures = Figures { accepts: true, ..Figures::default() };
    for record in text.lines() {
        let pair = |key: &str| {
            let mut pairs = record.split([';', ',']).filter_map(|pair| pair.split_once('='));
            pairs.find(|(name, _)| *name == key).map(|(_, value)| value)
        };
        match pair("name") {
            Some("sip") => {
                figures.sip.chans = pair("chans").and_then(|text| text.parse().ok());
                figures.sip.total = pair("total").and_then(|text| text.parse().ok());
            }
            Some("engine") => figures.accepts = pair("acceptcalls").is_none_or(|word| word == "accept"),
            _ => {}
        }
    }
    figures
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

pub(super) fn unfit_refusal(unfit: Unfit) -> Refused {
    unsent(&unfit.to_string())
}
