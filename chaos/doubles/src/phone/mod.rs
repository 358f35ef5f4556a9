//! Phones: plans, the tones they play and hear, and [`Phones`], the witness that the conformance suite
//! asks in both worlds, simulated and real.
//!
//! Not here: registration, video, any codec but PCMU. Read [`plan`] first, then [`tone`].

pub mod line;
pub mod plan;
pub mod shell;
pub mod sip;
pub mod tone;

use std::collections::BTreeSet;

pub use plan::{Act, Decision, Plan};
pub use tone::Tone;

/// A set of phones, addressed by number, that do what they are told and testify what they heard.
/// Numbers nobody planned for answer after 100 ms.
pub trait Phones: Send + Sync {
    /// What the phone does with calls that reach it from now on.
    fn plan(&self, number: &str, plan: Plan);
    /// What the phone hears now, in all its calls together (over the last 300 ms where sound is real).
    fn heard(&self, number: &str) -> BTreeSet<Tone>;
    /// Invitations that ever reached the phone.
    fn rings(&self, number: &str) -> u32;
    /// Digits ever received.
    fn digits(&self, number: &str) -> String;
    /// Calls of the phone that are answered and not over.
    fn live(&self, number: &str) -> usize;
    /// The caller's number in the last invitation.
    fn caller_seen(&self, number: &str) -> Option<String>;
    /// Whether calls that begin from now on are without sound, so that there can be very many. Where sound is not real there
    /// is nothing to leave out.
    fn silence(&self, _on: bool) {}
    /// Ends all calls of the phone; refuses (486) those that only ring.
    fn hang_up(&self, number: &str);
    /// Presses digits in all answered calls of the phone.
    fn press(&self, number: &str, digits: &str);
    /// Puts all answered calls of the phone on hold.
    fn hold(&self, number: &str);
    /// Takes all held calls of the phone back.
    fn resume(&self, number: &str);
    /// Asks the server to send the partner in the phone's first answered call to `to` (REFER).
    fn transfer(&self, number: &str, to: &str);
    /// Asks the server to join the partners in the phone's first and second answered call (REFER with
    /// Replaces).
    fn transfer_attended(&self, number: &str);
    /// The last status that the phone heard of a transfer of its own: 202 while it is under way.
    fn transferred(&self, number: &str) -> Option<u16>;
}
