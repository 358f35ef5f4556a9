//! ESL, the event socket layer of FreeSWITCH: headers and a counted body each way, events as JSON inside.
//!
//! Only JSON events are read: their text cannot be cut in two by what a caller writes into his name, as a line of the
//! plain form could. Facts: sheet freeswitch, sections 1 and 6. Read [`decoder`] first, then [`event`] and [`command`].

pub mod command;
pub mod decoder;
pub mod event;
mod flat;

pub use command::{Command, Unfit, Uuid};
pub use decoder::{Broken, Decoder, Frame, Kind};
pub use event::Event;

#[cfg(test)]
mod tests;
