//! The wall clock of the fleet: the time of day when the kernel started, and the time since then.
//!
//! Nothing else reads the time of day, so a simulation shows the same times in every run.

use std::time::Duration;

use jiff::Timestamp;

/// Turns time since the kernel's start into time of day.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Timestamp,
}

impl Clock {
    /// A clock whose kernel started at `start`.
    #[must_use]
    pub const fn new(start: Timestamp) -> Self {
        Self { start }
    }

    /// The time of day `since_start` after the kernel's start, in whole milliseconds.
    #[must_use]
    pub fn at(&self, since_start: Duration) -> Timestamp {
        let ms = self
            .start
            .as_millisecond()
            .saturating_add(i64::try_from(since_start.as_millis()).unwrap_or(i64::MAX));
        Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
    }

    /// The same in milliseconds after 1970.
    #[must_use]
    pub fn unix_ms(&self, since_start: Duration) -> u64 {
        u64::try_from(self.at(since_start).as_millisecond()).unwrap_or(0)
    }
}
