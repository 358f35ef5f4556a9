//! What a user can ask of a call, and when it is allowed.

use crate::address::Address;
use serde::{Deserialize, Serialize};

use crate::call::{By, Call, Cause, Ending, Goal, Leg, LegId, Nanos, Notice, Order, Role, Said};
use crate::id::{ConferenceId, RecordingId};
use crate::order::{Digits, Direction};

/// What a user asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verb {
    /// The call ends; before the answer this cancels it.
    Hangup,
    /// One party hears music.
    Hold {
        /// Who; the second party if nothing is said.
        role: Option<Role>,
    },
    /// The two talk again.
    Resume,
    /// Another party takes the place of the one that transfers.
    Transfer {
        /// The other party.
        to: Address,
        /// Whether the two are to talk first.
        mode: Mode,
        /// Who transfers and leaves; the first party if nothing is said.
        role: Option<Role>,
    },
    /// The attended transfer is completed: the transferring party leaves.
    CompleteTransfer,
    /// The transfer is taken back: the old pair talks, the target is released.
    CancelTransfer,
    /// A phone hears digits.
    Dtmf {
        /// Which digits.
        digits: Digits,
        /// Whose phone; the second party's if nothing is said.
        role: Option<Role>,
    },
    /// A direction of a party is silenced or opened.
    Mute {
        /// Who; the first party if nothing is said.
        role: Option<Role>,
        /// Which direction.
        direction: Direction,
        /// `true` silences.
        on: bool,
    },
    /// Both parties go into a conference.
    Enter {
        /// Which.
        conference: ConferenceId,
    },
    /// A party of a call in a conference is released; the call goes on while another party is there.
    Kick {
        /// Who; needed where the call has two parties.
        role: Option<Role>,
    },
    /// What the parties say is written down, from now or from the first talk, until it is stopped or the call is over.
    Record {
        /// The id it will have.
        recording: RecordingId,
    },
    /// The recording ends.
    StopRecord,
}

/// The two kinds of transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// The target is rung while the pair talks on, and takes over when it answers.
    Blind,
    /// The transferring party talks to the target first.
    Attended,
}

/// A verb was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accepted {
    /// It is under way; a notice tells how it ends.
    Underway,
    /// It is so already; nothing was sent.
    AlreadySo,
}

/// Why a verb is not possible now. The call is unchanged.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotNow {
    /// The verb does not fit where the call stands.
    #[error("the call is {state}: {need}")]
    WrongState {
        /// Where the call stands.
        state: &'static str,
        /// What the verb needs.
        need: &'static str,
    },
    /// Another verb is under way on this call.
    #[error("{0} is under way on this call")]
    Busy(&'static str),
    /// The call's server is not connected; only a hangup is remembered.
    #[error("the server of this call is not connected")]
    Disconnected,
    /// No leg of the call has this place.
    #[error("the call has no party {}", .0.letter())]
    NoParty(Role),
}

/// A verb without its arguments.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerbKind {
    /// Placing the call itself.
    Originate,
    /// See [`Verb::Hold`].
    Hold,
    /// See [`Verb::Resume`].
    Resume,
    /// See [`Verb::Transfer`], [`Mode::Blind`].
    BlindTransfer,
    /// See [`Verb::Transfer`], [`Mode::Attended`].
    AttendedTransfer,
    /// See [`Verb::CompleteTransfer`].
    CompleteTransfer,
    /// See [`Verb::CancelTransfer`].
    CancelTransfer,
    /// See [`Verb::Dtmf`].
    Dtmf,
    /// See [`Verb::Mute`].
    Mute,
    /// See [`Verb::Enter`].
    Enter,
    /// See [`Verb::Kick`].
    Kick,
    /// See [`Verb::Record`].
    Record,
    /// See [`Verb::StopRecord`].
    StopRecord,
    /// See [`Verb::Hangup`].
    Hangup,
}

impl VerbKind {
    /// The verb as users write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Originate => "placing the call",
            Self::Hold => "hold",
            Self::Resume => "resume",
            Self::BlindTransfer => "blind transfer",
            Self::AttendedTransfer => "attended transfer",
            Self::CompleteTransfer => "completing the transfer",
            Self::CancelTransfer => "canceling the transfer",
            Self::Dtmf => "dtmf",
            Self::Mute => "mute",
            Self::Enter => "entering a conference",
            Self::Kick => "kick",
            Self::Record => "record",
            Self::StopRecord => "stopping the recording",
            Self::Hangup => "hangup",
        }
    }
}

/// The end of a verb's check: nothing to do, or a new goal.
pub(super) type Checked = Result<Accepted, NotNow>;

impl Call {
    /// Takes a verb. `fresh` becomes the id of a leg, if the verb makes one. How the verb ends comes as a notice.
    ///
    /// # Errors
    /// The verb does not fit where the call stands; nothing was changed.
    pub fn verb(&mut self, verb: Verb, fresh: LegId, now: Nanos) -> Checked {
        let accepted = match verb {
            Verb::Hangup => Ok(self.hangup()),
            Verb::Hold { role } => self.hold(role),
            Verb::Resume => self.resume(),
            Verb::Transfer { to, mode, role } => self.transfer(to, mode, role, fresh, now),
            Verb::CompleteTransfer => self.complete(),
            Verb::CancelTransfer => self.cancel(),
            Verb::Dtmf { digits, role } => self.dtmf(digits, role, now),
            Verb::Mute { role, direction, on } => self.mute(role, direction, on, now),
            Verb::Enter { conference } => self.enter(conference),
            Verb::Kick { role } => self.kick(role),
            Verb::Record { recording } => self.record(recording),
            Verb::StopRecord => self.stop_record(),
        }?;
        self.settle(now);
        Ok(accepted)
    }

    pub(super) fn hangup(&mut self) -> Accepted {
        if self.goal == Goal::End {
            return Accepted::AlreadySo;
        }
        let cause = if self.talked { Cause::Answered } else { Cause::Canceled };
        self.end(Ending { cause, by: By::Us, role: None, said: Said::default() });
        Accepted::Underway
    }

    fn hold(&mut self, role: Option<Role>) -> Checked {
        if let Goal::Hold { .. } = self.goal {
            self.ready("hold needs two parties that talk")?;
            return Ok(Accepted::AlreadySo);
        }
        let (first, second) = self.talking("hold needs two parties that talk")?;
        let held = match role {
            None => second,
            Some(role) => self.party(role, [first, second])?,
        };
        let other = if held == first { second } else { first };
        self.aim(Goal::Hold { held, other }, Some(VerbKind::Hold));
        Ok(Accepted::Underway)
    }

    fn resume(&mut self) -> Checked {
        let need = "resume needs a call on hold, or one with two parties in a conference";
        self.ready(need)?;
        match self.goal {
            Goal::Hold { held, other } => {
                self.aim(Goal::Talk { a: other, b: held }, Some(VerbKind::Resume));
                Ok(Accepted::Underway)
            }
            Goal::Talk { .. } => Ok(Accepted::AlreadySo),
            Goal::Meet { a, b: Some(b), .. } => {
                self.aim(Goal::Talk { a, b }, Some(VerbKind::Resume));
                Ok(Accepted::Underway)
            }
            _ => Err(self.wrong_state(need)),
        }
    }

    fn transfer(&mut self, to: Address, mode: Mode, role: Option<Role>, fresh: LegId, now: Nanos) -> Checked {
        let need = "a transfer needs two parties that talk or are on hold";
        self.ready(need)?;
        let (default, was_held) = match self.goal {
            Goal::Talk { a, b } => (self.in_order(a, b).0, false),
            Goal::Hold { other, .. } => (other, true),
            _ => return Err(self.wrong_state(need)),
        };
        let [first, second] = self.pair().ok_or_else(|| self.wrong_state(need))?;
        let leaves = match role {
            Some(role) => self.party(role, [first, second])?,
            None => default,
        };
        let stays = if leaves == first { second } else { first };
        let free = Role::free(&self.legs).ok_or(NotNow::Busy("releasing a party"))?;
        self.legs.push(Leg::planned(fresh, free, to.clone(), now));
        let (goal, verb) = match mode {
            Mode::Blind => (Goal::Blind { stays, leaves, target: fresh, was_held }, VerbKind::BlindTransfer),
            Mode::Attended => {
                (Goal::Consult { asks: leaves, waits: stays, target: fresh }, VerbKind::AttendedTransfer)
            }
        };
        self.aim(goal, Some(verb));
        self.notice(Notice::TransferStarted { to });
        Ok(Accepted::Underway)
    }

    fn complete(&mut self) -> Checked {
        let need = "there is no attended transfer whose target has answered";
        self.ready(need)?;
        match self.goal {
            Goal::Consult { asks, waits, target } => {
                self.aim(Goal::Complete { asks, waits, target }, Some(VerbKind::CompleteTransfer));
                Ok(Accepted::Underway)
            }
            _ => Err(self.wrong_state(need)),
        }
    }

    /// May come while the target still rings, so a transfer under way is no obstacle.
    fn cancel(&mut self) -> Checked {
        if !self.connected {
            return Err(NotNow::Disconnected);
        }
        let back = match self.goal {
            Goal::Consult { asks, waits, .. } => Goal::Talk { a: asks, b: waits },
            Goal::Blind { stays, leaves, target, was_held } if !self.is_up(target) => {
                Goal::of_pair(stays, leaves, was_held)
            }
            _ => return Err(self.wrong_state("there is no transfer under way")),
        };
        self.aim(back, Some(VerbKind::CancelTransfer));
        Ok(Accepted::Underway)
    }

    fn dtmf(&mut self, digits: Digits, role: Option<Role>, now: Nanos) -> Checked {
        let leg = self.one_party(role, 1, "digits need a party that has answered")?;
        self.verb = Some(VerbKind::Dtmf);
        self.give(Order::Dtmf { leg, digits }, now);
        Ok(Accepted::Underway)
    }

    fn mute(&mut self, role: Option<Role>, direction: Direction, on: bool, now: Nanos) -> Checked {
        let leg = self.one_party(role, 0, "mute needs a party that has answered")?;
        if self.leg(leg).is_some_and(|leg| leg.is_muted(direction) == on) {
            return Ok(Accepted::AlreadySo);
        }
        self.verb = Some(VerbKind::Mute);
        self.give(Order::Mute { leg, direction, on }, now);
        Ok(Accepted::Underway)
    }

    // --- what verbs need ---

    /// Nothing is under way and the server is there.
    pub(super) fn ready(&self, need: &'static str) -> Result<(), NotNow> {
        if self.goal == Goal::End {
            return Err(self.wrong_state(need));
        }
        if !self.connected {
            return Err(NotNow::Disconnected);
        }
        match self.verb {
            Some(VerbKind::Originate) => Err(self.wrong_state(need)),
            Some(verb) => Err(NotNow::Busy(verb.as_str())),
            None => Ok(()),
        }
    }

    /// The two parties, first and second, if they talk.
    fn talking(&self, need: &'static str) -> Result<(LegId, LegId), NotNow> {
        self.ready(need)?;
        match self.goal {
            Goal::Talk { a, b } => Ok(self.in_order(a, b)),
            _ => Err(self.wrong_state(need)),
        }
    }

    /// The leg in this place, or the first (0) or second (1) party, answered.
    fn one_party(&self, role: Option<Role>, default: usize, need: &'static str) -> Result<LegId, NotNow> {
        self.ready(need)?;
        let leg = match role {
            Some(role) => self.legs.iter().find(|leg| leg.role == role).ok_or(NotNow::NoParty(role))?.id,
            None => {
                if let Goal::Meet { a, b: None, .. } | Goal::Moved { leg: a, .. } = self.goal {
                    return if self.is_up(a) { Ok(a) } else { Err(self.wrong_state(need)) };
                }
                let [first, second] = self.pair().ok_or_else(|| self.wrong_state(need))?;
                let (first, second) = self.in_order(first, second);
                [first, second][default]
            }
        };
        if self.is_up(leg) { Ok(leg) } else { Err(self.wrong_state(need)) }
    }

    fn party(&self, role: Role, among: [LegId; 2]) -> Result<LegId, NotNow> {
        let found = among.into_iter().find(|id| self.leg(*id).is_some_and(|leg| leg.role == role));
        found.ok_or(NotNow::NoParty(role))
    }

    /// The two parties of the call, when there are just two that matter.
    pub(super) const fn pair(&self) -> Option<[LegId; 2]> {
        match self.goal {
            Goal::Talk { a, b } => Some([a, b]),
            Goal::Hold { held, other } => Some([other, held]),
            Goal::Blind { stays, leaves, .. } => Some([leaves, stays]),
            Goal::Consult { asks, waits, .. } | Goal::Complete { asks, waits, .. } => Some([asks, waits]),
            Goal::Meet { a, b: Some(b), .. } => Some([a, b]),
            Goal::Meet { b: None, .. } | Goal::Moved { .. } | Goal::End => None,
        }
    }

    /// By their places: the first party is the one with the lower letter.
    fn in_order(&self, a: LegId, b: LegId) -> (LegId, LegId) {
        let role = |id| self.leg(id).map(|leg| leg.role);
        if role(a) <= role(b) { (a, b) } else { (b, a) }
    }

    pub(super) fn wrong_state(&self, need: &'static str) -> NotNow {
        let need = if self.is_moved() { super::moved::NEED } else { need };
        let state = match &self.goal {
            Goal::End => "ending",
            _ if !self.talked => "not answered yet",
            Goal::Talk { .. } => "in progress",
            Goal::Hold { .. } => "on hold",
            Goal::Meet { .. } => "in a conference",
            Goal::Moved { .. } => "moved by a phone",
            Goal::Blind { .. } | Goal::Consult { .. } | Goal::Complete { .. } => "being transferred",
        };
        NotNow::WrongState { state, need }
    }
}
