//! Two files of one leg, what it says and what it hears, made one: as their bytes come, whichever comes first.
//!
//! Sans-IO. What is kept is what one of the two is ahead of the other.

use std::collections::VecDeque;

use crate::wire_format::au::{Au, BadAu, Coding, HEADER};
use crate::wire_format::wav;

/// The largest file taken: nine hours of sound.
pub(super) const FILE_MAX: u64 = 512 * 1024 * 1024;

/// How many samples one file may be ahead of the other: both come from one server at one pace.
const AHEAD_MAX: usize = 32 * 1024 * 1024;

/// Why two files cannot be made one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unmixable {
    #[error("not an AU file of 8000 Hz, one channel")]
    OtherFormat,
    #[error("the file is larger than 512 MB")]
    TooLarge,
    #[error("the file is longer than its header says")]
    TooLong,
    #[error("one of the two files comes much faster than the other")]
    TooFarAhead,
}

/// One of the two.
#[derive(Debug, Default)]
pub(super) struct Side {
    state: State,
    /// Bytes that are no header and no whole sample yet.
    rest: Vec<u8>,
    samples: VecDeque<i16>,
}

/// How far one of them has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// Nothing is known of it.
    #[default]
    Header,
    /// Its length is not set: nothing of this try counts.
    Unfinished,
    /// So many bytes before the samples, and of samples, are still to come.
    Giving { au: Au, skip: usize, left: u64 },
    /// Nothing was recorded.
    Empty,
}

/// Both.
#[derive(Debug, Default)]
pub(super) struct Mixer {
    sides: [Side; 2],
    begun: bool,
}

impl Mixer {
    /// Takes bytes of one file; gives what can be handed on.
    pub(super) fn take(&mut self, side: usize, bytes: &[u8]) -> Result<Vec<u8>, Unmixable> {
        self.sides[side].take(bytes)?;
        if self.sides[side].samples.len() > AHEAD_MAX {
            return Err(Unmixable::TooFarAhead);
        }
        self.mixed()
    }

    /// Whether the try for a file was in vain: it is not whole, or holds nothing yet.
    pub(super) fn is_unfinished(&self, side: usize) -> bool {
        matches!(self.sides[side].state, State::Unfinished | State::Header)
    }

    /// Whether all of a file was taken.
    pub(super) fn is_whole(&self, side: usize) -> bool {
        matches!(self.sides[side].state, State::Giving { left: 0, .. } | State::Empty)
    }

    /// A file is asked for from its beginning.
    pub(super) fn again(&mut self, side: usize) {
        self.sides[side] = Side::default();
    }

    /// There is nothing in a file; gives what can be handed on.
    pub(super) fn empty(&mut self, side: usize) -> Result<Vec<u8>, Unmixable> {
        self.sides[side] = Side { state: State::Empty, ..Side::default() };
        self.mixed()
    }

    /// Whether nothing was recorded on either side.
    pub(super) fn is_empty(&self) -> bool {
        self.sides.iter().all(|side| side.state == State::Empty)
    }

    fn mixed(&mut self) -> Result<Vec<u8>, Unmixable> {
        let [Some(first), Some(second)] = [0, 1].map(|side| self.sides[side].length()) else {
            return Ok(Vec::new());
        };
        let mut out = Vec::new();
        if !std::mem::replace(&mut self.begun, true) {
            out.extend(wav::header(first.max(second)).ok_or(Unmixable::TooLarge)?);
        }
        let [a, b] = &mut self.sides;
        loop {
            let sample = match (a.samples.front(), b.samples.front()) {
                (Some(a), Some(b)) => a.saturating_add(*b),
                (Some(a), None) if b.is_over() => *a,
                (None, Some(b)) if a.is_over() => *b,
                _ => return Ok(out),
            };
            a.samples.pop_front();
            b.samples.pop_front();
            out.extend(sample.to_le_bytes());
        }
    }
}

impl Side {
    /// How many samples there will be, once that is known.
    const fn length(&self) -> Option<u64> {
        match self.state {
            State::Giving { au, .. } => Some(au.samples()),
            State::Empty => Some(0),
            State::Header | State::Unfinished => None,
        }
    }

    const fn is_over(&self) -> bool {
        matches!(self.state, State::Giving { left: 0, .. } | State::Empty)
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Unmixable> {
        self.rest.extend_from_slice(bytes);
        if self.state == State::Header
            && let Some(header) = self.rest.first_chunk::<HEADER>()
        {
            self.state = match Au::parse(header) {
                Ok(au) if au.length > FILE_MAX => return Err(Unmixable::TooLarge),
                Ok(au) => State::Giving { au, skip: au.offset, left: au.length },
                Err(BadAu::Unfinished) => State::Unfinished,
                Err(BadAu::OtherFormat) => return Err(Unmixable::OtherFormat),
            };
        }
        let State::Giving { au, skip, left } = &mut self.state else {
            // what is not a header yet is short; what does not count is not kept
            if self.state == State::Unfinished {
                self.rest.clear();
            }
            return Ok(());
        };
        let skipped = self.rest.len().min(*skip);
        self.rest.drain(..skipped);
        *skip -= skipped;
        let width = au.coding.width();
        let whole = self.rest.len() / width * width;
        *left = left.checked_sub(whole as u64).ok_or(Unmixable::TooLong)?;
        self.samples.extend(Coding::samples(au.coding, &self.rest[..whole]));
        self.rest.drain(..whole);
        Ok(())
    }
}
