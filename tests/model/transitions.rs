//! What can happen to a call.

use proptest::prelude::*;

/// One thing that happens. Numbers choose among what is there, modulo its count.
#[derive(Debug, Clone)]
pub enum Step {
    /// The server carries out one of its open orders and says so.
    Carry(usize),
    /// The server refuses one of its open orders.
    Refuse(usize),
    /// The server carries it out, but no proof reaches us in time.
    CarryUnproven(usize),
    /// An event reaches us, not necessarily the oldest of another leg.
    Deliver(usize),
    /// An event reaches us and stays in the queue.
    Double(usize),
    /// An event is lost.
    Lose(usize),
    /// A phone does something.
    Phone(usize, Act),
    /// A user asks for something.
    Verb(Ask),
    /// The link breaks; the number says which open orders took effect.
    LinkDown(u8),
    /// The link is back and the server's list was read.
    LinkUp,
    /// The server's list is read while the link is up.
    Reconcile,
    /// The server is started anew, all legs are gone.
    Reboot,
    /// Time passes, in seconds.
    Wait(u64),
}

/// What a phone does.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    Ring,
    Answer,
    Busy,
    HangUp,
    /// Its own transfer key: to somebody who is called, or to one it talks to in a second call of its own.
    TransferBlind,
    TransferAttended,
    /// The one it was sent to by that key answers, or is gone.
    GuestAnswers,
    GuestLeaves,
}

/// What a user asks for.
#[derive(Debug, Clone, Copy)]
pub enum Ask {
    Hangup,
    Hold,
    Resume,
    Blind,
    Attended,
    Complete,
    Cancel,
    Dtmf,
    Mute,
    Enter,
    Record,
    StopRecord,
    Kick,
}

fn ask() -> impl Strategy<Value = Ask> {
    prop_oneof![
        1 => Just(Ask::Hangup),
        4 => Just(Ask::Hold),
        4 => Just(Ask::Resume),
        4 => Just(Ask::Blind),
        4 => Just(Ask::Attended),
        4 => Just(Ask::Complete),
        4 => Just(Ask::Cancel),
        1 => Just(Ask::Dtmf),
        1 => Just(Ask::Mute),
        4 => Just(Ask::Enter),
        2 => Just(Ask::Record),
        1 => Just(Ask::StopRecord),
        1 => Just(Ask::Kick),
    ]
}

fn keys() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => Just(Act::TransferBlind),
        2 => Just(Act::TransferAttended),
        3 => Just(Act::GuestAnswers),
        1 => Just(Act::GuestLeaves),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![3 => Just(Act::Ring), 12 => Just(Act::Answer), 1 => Just(Act::Busy), 1 => Just(Act::HangUp), 2 => keys()]
}

/// Anything at all.
pub fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        30 => (0usize..4).prop_map(Step::Carry),
        2 => (0usize..4).prop_map(Step::Refuse),
        1 => (0usize..4).prop_map(Step::CarryUnproven),
        30 => (0usize..4).prop_map(Step::Deliver),
        3 => (0usize..4).prop_map(Step::Double),
        1 => (0usize..4).prop_map(Step::Lose),
        20 => (0usize..3, act()).prop_map(|(leg, act)| Step::Phone(leg, act)),
        8 => ask().prop_map(Step::Verb),
        1 => any::<u8>().prop_map(Step::LinkDown),
        4 => Just(Step::LinkUp),
        1 => Just(Step::Reconcile),
        1 => Just(Step::Reboot),
        2 => (1u64..200).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..most)
}

/// Transfers and holds that fail in every way, but no party hangs up and no server dies.
pub fn transfers(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let verb = prop_oneof![
        Just(Ask::Blind),
        Just(Ask::Attended),
        Just(Ask::Cancel),
        Just(Ask::Complete),
        Just(Ask::Hold),
        Just(Ask::Resume),
        Just(Ask::Enter),
        Just(Ask::Record),
        Just(Ask::StopRecord),
    ];
    let step = prop_oneof![
        10 => (0usize..4).prop_map(Step::Carry),
        3 => (0usize..4).prop_map(|_| Step::Refuse(usize::MAX)),
        10 => (0usize..4).prop_map(Step::Deliver),
        2 => (0usize..4).prop_map(Step::Double),
        4 => Just(Step::Phone(usize::MAX, Act::Busy)),
        4 => Just(Step::Phone(usize::MAX, Act::Answer)),
        2 => Just(Step::Phone(usize::MAX, Act::HangUp)),
        6 => verb.prop_map(Step::Verb),
        1 => any::<u8>().prop_map(Step::LinkDown),
        3 => Just(Step::LinkUp),
    ];
    prop::collection::vec(step, 0..most)
}

/// A phone's own transfer amid what shapes a call of two; nobody hangs up, no word is lost. Who is asked by an attended
/// transfer of ours is no party yet, and is released with it.
pub fn keys_and_verbs(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let verb = prop_oneof![
        Just(Ask::Blind),
        Just(Ask::Cancel),
        Just(Ask::Hold),
        Just(Ask::Resume),
        Just(Ask::Record),
        Just(Ask::Mute),
    ];
    let key = prop_oneof![Just(Act::TransferBlind), Just(Act::TransferAttended), Just(Act::GuestAnswers)];
    let step = prop_oneof![
        10 => (0usize..4).prop_map(Step::Carry),
        10 => (0usize..4).prop_map(Step::Deliver),
        2 => (0usize..4).prop_map(Step::Double),
        4 => (0usize..3, key).prop_map(|(leg, key)| Step::Phone(leg, key)),
        2 => Just(Step::Phone(usize::MAX, Act::Answer)),
        6 => verb.prop_map(Step::Verb),
        1 => any::<u8>().prop_map(Step::LinkDown),
        3 => Just(Step::LinkUp),
        1 => Just(Step::Reconcile),
    ];
    prop::collection::vec(step, 0..most)
}
