//! What every double has in common: the contract between a sans-IO machine and its shell.
//!
//! [`Double::handle`] takes one [`Input`] and the time since the caller's zero; then [`Double::poll`] is called until it
//! gives nothing more; [`Double::deadline`] says when the next [`Input::Tick`] is due at the latest. Controls (plans of
//! phones, faults, `kill`, …) may produce output too: poll after them. Time must not run backwards. The same options and
//! the same inputs at the same times give the same outputs. Nothing is sent on a link after its [`Output::Close`] or
//! [`Output::Reset`]; a shell that closes a link by itself says [`Input::Closed`].
//!
//! [`crate::socket`] is the shell with real sockets; the simulation has its own.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::time::Duration;

use crate::faults::Faults;
use crate::phone::{Act, Plan, Tone};

/// One connection, numbered by the shell; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link(pub u64);

/// What the shell tells the machine. A door is a port that the machine serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<Door> {
    /// A connection was accepted.
    Opened(Link, Door),
    /// Bytes arrived.
    Bytes(Link, Vec<u8>),
    /// The client has taken nothing for the write timeout while something was waiting for it.
    Stalled(Link),
    /// The connection is gone.
    Closed(Link),
    /// A datagram arrived from this address.
    Datagram(Door, SocketAddr, Vec<u8>),
    /// Time has passed.
    Tick,
}

/// What the machine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<Door> {
    /// Send.
    Bytes(Link, Vec<u8>),
    /// Close after what was sent.
    Close(Link),
    /// Close now, with a reset.
    Reset(Link),
    /// Send a datagram from this door to this address.
    Datagram(Door, SocketAddr, Vec<u8>),
}

/// A simulated server.
pub trait Double: Debug + Send + 'static {
    /// The ports it serves.
    type Door: Copy + Debug + Eq + Send + Sync + 'static;

    /// Takes one input.
    fn handle(&mut self, input: Input<Self::Door>, now: Duration);

    /// The next thing to do.
    fn poll(&mut self) -> Option<Output<Self::Door>>;

    /// When to come back at the latest.
    fn deadline(&self) -> Option<Duration>;

    /// Whether a port is open. Where it is not, nobody listens.
    fn is_open(&self, door: Self::Door) -> bool;
}

/// A double that can be made to fail.
pub trait Mortal: Double {
    /// The faults in force.
    fn faults(&self) -> &Faults;

    /// Changes the faults. Taking `freeze` or `black_hole` back lets everything through that waited.
    fn set_faults(&mut self, faults: Faults, now: Duration);

    /// Sends random bytes on every connection.
    fn garbage(&mut self, now: Duration);

    /// The process dies: connections are reset, calls are gone, new connections are refused until
    /// [`Mortal::restart`].
    fn kill(&mut self, now: Duration);

    /// Boots again, with a new boot, no calls, and no faults but those in force.
    fn restart(&mut self, now: Duration);

    /// A graceful end, as the server itself does it; then as dead as after a kill.
    fn shut_down(&mut self, now: Duration);
}

/// A double with telephones of its own inside, addressed by number; see [`crate::phone::Phones`] for what each means.
pub trait Extensions: Double {
    /// What the phone of this number does with calls from now on.
    fn plan(&mut self, number: &str, plan: Plan);
    /// What the phone hears.
    fn heard(&self, number: &str) -> BTreeSet<Tone>;
    /// Invitations that reached the phone.
    fn rings(&self, number: &str) -> u32;
    /// Digits the phone received.
    fn digits(&self, number: &str) -> String;
    /// Answered calls of the phone.
    fn live(&self, number: &str) -> usize;
    /// Caller in the last invitation.
    fn caller_seen(&self, number: &str) -> Option<String>;
    /// The phone does something in all its answered calls; a hang-up also refuses what rings.
    fn act(&mut self, number: &str, act: &Act, now: Duration);
    /// The phone sends its partner in its first answered call to `to`: REFER.
    fn transfer(&mut self, number: &str, to: &str, now: Duration);
    /// The phone joins its partners in its first and second answered call: REFER with Replaces.
    fn transfer_attended(&mut self, number: &str, now: Duration);
    /// The SIP status that the phone last heard of a transfer: 202 while it is under way.
    fn transferred(&self, number: &str) -> Option<u16>;
}

/// A double that people call who are none of ours.
pub trait Reachable: Double {
    /// A call between two phones that nobody ordered; the server's own name for the caller's leg.
    fn foreign_call(&mut self, from: &str, to: &str, now: Duration) -> String;

    /// A hostile call from outside to a waiting extension, with these bytes as the caller's number. Says whether it was
    /// let in.
    fn hostile_call(&mut self, raw_caller: &str, now: Duration) -> bool;
}
