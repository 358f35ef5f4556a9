//! One connection of a client: what it has said so far, and what it is told.

use std::collections::{BTreeMap, BTreeSet};

use super::line::{Said, read};

/// A hook of a client.
#[derive(Clone, Debug)]
pub(super) struct Hook {
    pub(super) priority: String,
    pub(super) filter: Option<(String, String)>,
}

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Session {
    buffer: Vec<u8>,
    pub(super) connected: bool,
    pub(super) watches: BTreeSet<String>,
    pub(super) hooks: BTreeMap<String, Hook>,
    /// The longest line taken.
    bufsize: usize,
    pub(super) timebomb: bool,
    /// Questions that wait for its answer.
    pub(super) asked: BTreeSet<u64>,
}

/// What became of some bytes.
pub(super) enum Heard {
    Said(Said),
    /// It was no line of the protocol.
    Error(String),
    /// The connection is to be closed.
    Over,
}

impl Session {
    pub(super) fn new() -> Self {
        Self { bufsize: 8192, ..Self::default() }
    }

    pub(super) fn set_bufsize(&mut self, size: usize) {
        self.bufsize = size.clamp(2048, 65_536);
    }

    /// Takes bytes; call [`Session::next`] until it is empty.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    pub(super) fn next(&mut self) -> Option<Heard> {
        let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') else {
            return (self.buffer.len() >= self.bufsize).then_some(Heard::Over);
        };
        if end >= self.bufsize {
            return Some(Heard::Over);
        }
        let line: Vec<u8> = self.buffer.drain(..=end).collect();
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches(['\n', '\r']);
        if !self.connected {
            // anything else first is shown the door, without a word (seen)
            return match read(line) {
                Some(Said::Connect(role)) if role == "global" => {
                    self.connected = true;
                    self.next()
                }
                _ => Some(Heard::Over),
            };
        }
        match read(line) {
            Some(Said::Connect(_)) | None => Some(Heard::Error(format!("Error in: {line}"))),
            Some(said) => Some(Heard::Said(said)),
        }
    }
}
