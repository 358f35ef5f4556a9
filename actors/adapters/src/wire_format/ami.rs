//! AMI, the line protocol of Asterisk's manager interface: bytes to messages ([`Decoder`]) and back ([`Action`]).
//!
//! It does not know what an event means. Rules of real traffic (sheet asterisk, section 2): only CR LF ends a line, a
//! bare LF belongs to the value, surplus blank lines mean nothing, the last message before a close may be cut. A caller
//! can forge lines (section 11), so a field that occurs twice is flagged; see [`Message::is_ambiguous`].

mod decoder;
mod encoder;
mod message;

pub use decoder::{Broken, Decoder, Frame, LINE_MAX, MESSAGE_MAX};
pub use encoder::{Action, SENT_LINE_MAX, Unfit};
pub use message::{Field, Kind, Message};

#[cfg(test)]
mod tests;
