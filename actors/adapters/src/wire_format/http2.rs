//! HTTP/2 as a server that is told small things: requests in, a bare `200` for each (RFC 9113).
//!
//! Made for one kind of client, which posts small JSON bodies and puts a path on the wire that no library for URIs takes
//! (sheet flexisip, sections 4 and 9), but strict and bounded against everybody else. Never sends DATA, never pushes, has
//! no send windows, no priorities and no encoder of headers. No socket, no clock: whoever owns it moves the bytes.
//!
//! Read [`Connection`]; then `hpack.rs`, how headers are packed, and `frame.rs`, where they are in the bytes.

mod budget;
mod connection;
mod frame;
pub mod hpack;
mod huffman;

pub use connection::{Connection, Request};

/// Why a connection cannot go on. It is told to the peer by [`Connection::output`] and then to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It does not begin like HTTP/2.
    #[error("not http/2: it does not begin with its preface")]
    Preface,
    /// A frame that is wrong where it stands.
    #[error("http/2 protocol broken: {0}")]
    Protocol(&'static str),
    /// A frame of a wrong length, or longer than we allow.
    #[error("http/2 frame of a wrong size: {0}")]
    FrameSize(&'static str),
    /// Headers that cannot be unpacked.
    #[error("http/2 headers: {0}")]
    Compression(#[from] hpack::BadBlock),
    /// More than our limits allow.
    #[error("http/2 limit exceeded: {0}")]
    Limit(&'static str),
    /// The peer said that it ends.
    #[error("the peer ended the connection")]
    GoneAway,
}

impl Broken {
    /// The error code that the peer is told (RFC 9113, section 7).
    const fn code(self) -> u32 {
        match self {
            Self::GoneAway => 0x0,
            Self::Preface | Self::Protocol(_) => 0x1,
            Self::FrameSize(_) => 0x6,
            Self::Compression(_) => 0x9,
            Self::Limit(_) => 0xb,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
