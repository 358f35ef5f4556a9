//! A call: two legs and what happens to them, from the first ring to the last goodbye.
//!
//! The machine holds *facts* (which legs exist, how far they are, who talks to whom) and a *goal* (who should talk to
//! whom). Every input changes a fact or the goal; then `settle` gives the one order that brings the facts
//! nearer to the goal. A verb is a new goal, compensation is an older goal, and adoption after a crash is the same
//! machine started from the server's own list.
//!
//! Not here: which server is used, how it is spoken to, what is shown to a user.
//!
//! Read on: [`Goal`], then `settle.rs` (goal and facts to order), `facts.rs` (inputs to facts), `adopt.rs`.

mod adopt;
mod facts;
mod meet;
mod moved;
mod record;
mod settle;
#[cfg(test)]
mod tests;
mod verb;

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::cause::{By, Cause, Said};
use crate::event::Event;
use crate::id::{CallId, ConferenceId, LegId, RecordingId};
use crate::leg::{Seen, Stage};
use crate::order::{Direction, Order, Outcome, Role, Tag};
use crate::time::Nanos;

pub use adopt::Stored;
pub use meet::NewMember;
use moved::Moved;
pub use record::Recording;
pub use verb::{Accepted, Mode, NotNow, Verb, VerbKind};

/// The longest a leg may ring: the fence of a leg that was never joined is longer than this on every server.
pub const RING_MAX: Duration = Duration::from_secs(120);
/// How much longer than its ring time the machine waits for a leg before it drops it itself.
const RING_GUARD: Duration = Duration::from_secs(10);
/// The longest an order may stay unanswered; adapters answer within 10 s, so this is a guard against their bugs.
const ORDER_GUARD: Duration = Duration::from_secs(60);
/// How often a leg is told to end before the call is closed without its confirmation.
const DROPS_MAX: u8 = 4;
/// How often a refused join is tried where there is nothing to go back to.
const JOINS_MAX: u8 = 5;
/// The pause before an order that was refused is given again.
const PAUSE: Duration = Duration::from_secs(1);

/// What it takes to begin a call.
#[derive(Clone, Debug)]
pub struct NewCall {
    /// Its id.
    pub id: CallId,
    /// Rung first.
    pub from: Address,
    /// Rung when `from` has answered.
    pub to: Address,
    /// Whom both see as caller, instead of each other.
    pub caller: Option<Address>,
    /// How long each phone may ring; cut at [`RING_MAX`].
    pub within: Duration,
    /// The ids of the two legs.
    pub legs: [LegId; 2],
    /// The recording that begins when the two talk.
    pub record: Option<RecordingId>,
}

/// One call.
#[derive(Debug)]
pub struct Call {
    id: CallId,
    from: Address,
    to: Address,
    caller: Option<Address>,
    within: Duration,
    legs: Vec<Leg>,
    goal: Goal,
    /// The verb that set the goal, until the goal is reached or given up.
    verb: Option<VerbKind>,
    /// The one order under way that shapes the call; drops go beside it.
    order: Option<Underway>,
    orders_given: u64,
    joins_failed: u8,
    /// When a join that was refused is tried again.
    join_after: Option<Nanos>,
    /// The goal is new, or the server's list was just read: facts that do not fit it are put right. A reached goal
    /// is not defended against single events, because a talk that ends comes apart before its legs end.
    wanted: bool,
    connected: bool,
    /// The two have talked: an end is then an ordinary one.
    talked: bool,
    /// A phone may have rung: the call cannot be placed elsewhere any more.
    may_have_rung: bool,
    recording: Option<Recording>,
    ending: Option<Ending>,
    finished: bool,
    effects: VecDeque<Effect>,
}

/// Who should talk to whom.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Goal {
    /// The two talk; any other leg ends.
    Talk {
        /// One of them.
        a: LegId,
        /// The other.
        b: LegId,
    },
    /// The two live apart; any other leg ends.
    Hold {
        /// Hears music.
        held: LegId,
        /// Waits.
        other: LegId,
    },
    /// The target is rung while the pair stays as it is; then `stays` and the target talk.
    Blind {
        /// Will talk to the target.
        stays: LegId,
        /// Will be released.
        leaves: LegId,
        /// The target.
        target: LegId,
        /// Whether `stays` was on hold before.
        was_held: bool,
    },
    /// `asks` talks to the target while `waits` hears music.
    Consult {
        /// Asks the target.
        asks: LegId,
        /// Hears music.
        waits: LegId,
        /// The target.
        target: LegId,
    },
    /// `waits` and the target talk, `asks` is released.
    Complete {
        /// Will be released.
        asks: LegId,
        /// Will talk to the target.
        waits: LegId,
        /// The target.
        target: LegId,
    },
    /// The legs are in a conference.
    Meet {
        /// Which.
        conference: ConferenceId,
        /// One leg.
        a: LegId,
        /// The other, if the call has two.
        b: Option<LegId>,
    },
    /// The leg talks to, or is on its way to, one who is no party of the call: its partner's phone sent it there. Any
    /// other leg ends.
    Moved {
        /// The leg that stays.
        leg: LegId,
        /// Whom it talks to, when that is known: a leg of the server's, or of another call.
        guest: Option<LegId>,
    },
    /// No leg lives.
    End,
}

/// What a call is told by its server or by time.
#[derive(Debug)]
pub enum Input {
    /// The server reported this.
    Event(Event),
    /// An order of ours was carried out or refused.
    Outcome(OrderNumber, Outcome),
    /// The links to the server are gone; all orders under way were answered before.
    Disconnected,
    /// The legs of this call in the server's own list, asked for at `asked`. Says also that the links are up.
    Listed {
        /// The legs found.
        seen: Vec<Seen>,
        /// When the list was asked for: facts younger than this are not touched.
        asked: Nanos,
        /// Whether the server is in another life than when the legs were made.
        rebooted: bool,
    },
    /// The server was taken out of the fleet: nothing more will be heard of the legs.
    Abandoned,
    /// [`Call::deadline`] has passed.
    Tick,
}

/// What a call wants done.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Give this order to the server; answer with [`Input::Outcome`].
    Order(OrderNumber, Order),
    /// Tell whoever listens.
    Notice(Notice),
    /// The call is over: exactly one of these, and nothing after it.
    Finished(End),
}

/// The number of an order within its call, counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct OrderNumber(pub u64);

/// How a call ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct End {
    /// Why.
    pub cause: Cause,
    /// Who ended it.
    pub by: By,
    /// The place of the party the cause comes from, if it comes from one.
    pub role: Option<Role>,
    /// What the server said.
    pub said: Said,
    /// Whether it is certain that nobody rang, so that another server may be asked.
    pub nobody_rang: bool,
    /// Legs whose end the server did not confirm: it has to be asked about them when it is back.
    pub unconfirmed: Vec<LegId>,
}

/// Something a user may want to know of a living call.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Notice {
    /// A phone rings.
    Ringing {
        /// Whose.
        role: Role,
    },
    /// A phone was answered.
    LegAnswered {
        /// Whose.
        role: Role,
    },
    /// The two talk for the first time.
    Answered,
    /// One hears music.
    Held,
    /// The two talk again.
    Resumed,
    /// The target of a transfer is being rung.
    TransferStarted {
        /// The target.
        to: Address,
    },
    /// The transferring party talks to the target.
    Consulting,
    /// The transfer is done.
    Transferred,
    /// The transfer was taken back: the old pair talks.
    TransferCanceled,
    /// The transfer failed: the old pair is as it was.
    TransferFailed {
        /// Why.
        cause: Cause,
        /// What the server said.
        said: Said,
    },
    /// Every leg of the call is in the conference.
    ConferenceEntered {
        /// Which.
        conference: ConferenceId,
    },
    /// A party of the call is in the conference no more.
    ConferenceLeft {
        /// Who.
        role: Role,
    },
    /// What the two say is being written down.
    RecordingStarted {
        /// Which recording.
        recording: RecordingId,
    },
    /// The recording is over: its parts can be fetched.
    RecordingStopped {
        /// Which recording.
        recording: RecordingId,
        /// How many parts it has; may be 0.
        segments: u16,
    },
    /// The digits were played.
    DtmfSent,
    /// A phone pressed a key.
    Digit {
        /// Whose.
        role: Role,
        /// Which.
        digit: char,
    },
    /// A direction of a leg was silenced or opened.
    Muted {
        /// Whose.
        role: Role,
        /// Which direction.
        direction: Direction,
        /// `true`: silenced.
        on: bool,
    },
    /// A phone put its partner on hold by itself, or took that back.
    PhoneHold {
        /// Whose.
        role: Role,
        /// `true`: on hold.
        on: bool,
    },
    /// A phone's own transfer sent its partner elsewhere; the call goes on with the one that was sent.
    MovedByPhone {
        /// Who was sent.
        role: Role,
        /// Where to, in the server's words, if it said so.
        to: Option<String>,
    },
    /// A verb failed; the call is as it was.
    VerbFailed {
        /// Which.
        verb: VerbKind,
        /// Why, in words.
        why: String,
    },
}

/// One party.
#[derive(Clone, Debug)]
pub struct Leg {
    id: LegId,
    role: Role,
    party: Address,
    stage: Option<Stage>,
    partner: Option<LegId>,
    hears_music: bool,
    /// An answered order or the server's list says that it talks to nobody; word of a parting may be old.
    apart: bool,
    /// It sits where one who asks a third party sits, and outlives the end of that party.
    consults: bool,
    muted: [bool; 2],
    /// The conference it is in.
    conference: Option<ConferenceId>,
    /// When a fact about it last changed.
    changed: Nanos,
    /// When it is dropped if it has not answered.
    answer_by: Option<Nanos>,
    /// The order that ends it, how often it was refused, and when it is given again.
    dropping: Option<OrderNumber>,
    drops: u8,
    drop_after: Option<Nanos>,
    /// The order that makes it was lost on the way: it may exist or not.
    unsure: bool,
    /// Where a phone's own transfer has sent it.
    moved: Option<Moved>,
}

/// An order under way.
#[derive(Debug)]
struct Underway {
    number: OrderNumber,
    order: Order,
    by: Nanos,
}

/// The end that was decided, while the legs are still being ended.
#[derive(Debug)]
struct Ending {
    cause: Cause,
    by: By,
    role: Option<Role>,
    said: Said,
}

/// Where a call stands, as users see it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// No phone rings yet.
    Queued,
    /// A phone rings.
    Ringing,
    /// The two have talked.
    InProgress,
    /// The legs are being ended.
    Ending,
}

impl Call {
    /// Begins a call on a server whose links are up.
    #[must_use]
    pub fn place(new: NewCall, now: Nanos) -> Self {
        let [a, b] = new.legs;
        let legs = vec![
            Leg::planned(a, Role::A, new.from.clone(), now),
            Leg::planned(b, Role::B, new.to.clone(), now),
        ];
        let mut call = Self::blank(new.id, new.from, new.to);
        call.caller = new.caller;
        call.within = new.within.min(RING_MAX);
        call.legs = legs;
        call.goal = Goal::Talk { a, b };
        call.verb = Some(VerbKind::Originate);
        call.recording = new.record.map(Recording::new);
        call.settle(now);
        call
    }

    /// A call without legs whose links are up.
    const fn blank(id: CallId, from: Address, to: Address) -> Self {
        Self {
            id,
            from,
            to,
            caller: None,
            within: RING_MAX,
            legs: Vec::new(),
            goal: Goal::End,
            verb: None,
            order: None,
            orders_given: 0,
            joins_failed: 0,
            join_after: None,
            wanted: true,
            connected: true,
            talked: false,
            may_have_rung: false,
            recording: None,
            ending: None,
            finished: false,
            effects: VecDeque::new(),
        }
    }

    /// Takes one input. For what a user wants see [`Call::verb`].
    pub fn handle(&mut self, input: Input, now: Nanos) {
        if self.finished {
            return;
        }
        match input {
            Input::Event(event) => self.event(event, now),
            Input::Outcome(number, outcome) => self.outcome(number, outcome, now),
            Input::Disconnected => self.connected = false,
            Input::Listed { seen, asked, rebooted } => self.listed(&seen, asked, rebooted, now),
            Input::Abandoned => self.abandoned(),
            Input::Tick => self.tick(now),
        }
        self.settle(now);
    }

    /// The next thing to do, until there is none.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`Input::Tick`] is due, if at all.
    #[must_use]
    pub fn deadline(&self) -> Option<Nanos> {
        let order = self.order.as_ref().map(|order| order.by);
        let legs = self.legs.iter().flat_map(|leg| [leg.answer_by, leg.drop_after]);
        let recording = self.recording.as_ref().and_then(Recording::due);
        legs.flatten().chain(order).chain(self.join_after).chain(recording).min()
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> CallId {
        self.id
    }

    /// Who is rung first.
    #[must_use]
    pub const fn from(&self) -> &Address {
        &self.from
    }

    /// Who is rung second.
    #[must_use]
    pub const fn to(&self) -> &Address {
        &self.to
    }

    /// The legs that live or are about to.
    #[must_use]
    pub fn legs(&self) -> &[Leg] {
        &self.legs
    }

    /// Who should talk to whom: what has to be written down before a multi-step verb goes on.
    #[must_use]
    pub const fn goal(&self) -> &Goal {
        &self.goal
    }

    /// What a user asked for and is not done yet.
    #[must_use]
    pub const fn verb_under_way(&self) -> Option<VerbKind> {
        self.verb
    }

    /// Where it stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        if self.goal == Goal::End {
            Phase::Ending
        } else if self.talked {
            Phase::InProgress
        } else if self.legs.iter().any(|leg| leg.stage.is_some_and(|stage| stage >= Stage::Ringing)) {
            Phase::Ringing
        } else {
            Phase::Queued
        }
    }

    /// Whether one party hears music by an order of ours.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        matches!(self.goal, Goal::Hold { .. } | Goal::Blind { was_held: true, .. })
    }

    /// The conference its legs are in, or on their way to.
    #[must_use]
    pub const fn conference(&self) -> Option<&ConferenceId> {
        match &self.goal {
            Goal::Meet { conference, .. } => Some(conference),
            _ => None,
        }
    }

    /// The recording that is being made, or is about to begin.
    #[must_use]
    pub const fn recording(&self) -> Option<&Recording> {
        self.recording.as_ref()
    }

    /// Whether it is over and [`Effect::Finished`] was given.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.finished
    }

    fn leg(&self, id: LegId) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.id == id)
    }

    fn leg_mut(&mut self, id: LegId) -> Option<&mut Leg> {
        self.legs.iter_mut().find(|leg| leg.id == id)
    }

    fn stage(&self, id: LegId) -> Option<Stage> {
        self.leg(id).and_then(|leg| leg.stage)
    }

    fn is_up(&self, id: LegId) -> bool {
        self.stage(id) == Some(Stage::Up)
    }

    fn are_joined(&self, a: LegId, b: LegId) -> bool {
        let talks_to = |x, y| self.leg(x).is_some_and(|leg| leg.partner == Some(y));
        talks_to(a, b) && talks_to(b, a)
    }

    fn notice(&mut self, notice: Notice) {
        self.effects.push_back(Effect::Notice(notice));
    }

    fn tag(&self, leg: &Leg) -> Tag {
        Tag {
            call: self.id,
            role: leg.role,
            party: leg.party.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
        }
    }
}

// === impl Leg ===

impl Leg {
    const fn planned(id: LegId, role: Role, party: Address, now: Nanos) -> Self {
        Self {
            id,
            role,
            party,
            stage: None,
            partner: None,
            hears_music: false,
            apart: false,
            consults: false,
            muted: [false, false],
            conference: None,
            changed: now,
            answer_by: None,
            dropping: None,
            drops: 0,
            drop_after: None,
            unsure: false,
            moved: None,
        }
    }

    /// The directions that were silenced.
    fn silenced(&self) -> impl Iterator<Item = (LegId, Direction)> + use<> {
        let (id, muted) = (self.id, self.muted);
        [Direction::In, Direction::Out]
            .into_iter()
            .filter(move |way| muted[*way as usize])
            .map(move |way| (id, way))
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> LegId {
        self.id
    }

    /// Its place in the call.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Whom it rings.
    #[must_use]
    pub const fn party(&self) -> &Address {
        &self.party
    }

    /// How far it is; `None` before the server was told of it.
    #[must_use]
    pub const fn stage(&self) -> Option<Stage> {
        self.stage
    }

    /// Whether it is in a conference.
    #[must_use]
    pub const fn is_in_conference(&self) -> bool {
        self.conference.is_some()
    }

    /// Whether this direction was silenced by an order of ours.
    #[must_use]
    pub const fn is_muted(&self, direction: Direction) -> bool {
        self.muted[direction as usize]
    }
}

impl Role {
    /// The first place that none of these legs has.
    fn free(legs: &[Leg]) -> Option<Self> {
        Self::ALL.into_iter().find(|role| legs.iter().all(|leg| leg.role != *role))
    }
}

impl Goal {
    /// The two as they were: talking, or `stays` on hold.
    const fn of_pair(stays: LegId, other: LegId, was_held: bool) -> Self {
        if was_held { Self::Hold { held: stays, other } } else { Self::Talk { a: other, b: stays } }
    }

    /// Whether it cannot be read from the server's list, and so has to be written down before the server hears of it.
    #[must_use]
    pub const fn takes_several_steps(&self) -> bool {
        match self {
            Self::Blind { .. } | Self::Consult { .. } | Self::Complete { .. } | Self::Meet { .. } => true,
            Self::Talk { .. } | Self::Hold { .. } | Self::Moved { .. } | Self::End => false,
        }
    }

    /// The legs it is about.
    fn legs(&self) -> Vec<LegId> {
        match *self {
            Self::Talk { a, b } => vec![a, b],
            Self::Hold { held, other } => vec![other, held],
            Self::Blind { stays, leaves, target, .. } => vec![leaves, stays, target],
            Self::Consult { asks, waits, target } | Self::Complete { asks, waits, target } => {
                vec![asks, waits, target]
            }
            Self::Meet { a, b, .. } => std::iter::once(a).chain(b).collect(),
            Self::Moved { leg, .. } => vec![leg],
            Self::End => vec![],
        }
    }
}
