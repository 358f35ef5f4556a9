//! How often an actor may die, and how long it rests between two lives.
//!
//! Pure: time and randomness are handed in. Next: `supervised.rs`, which obeys it.

use std::collections::VecDeque;
use std::time::Duration;

use rand::{Rng, RngExt};

/// No rest may be longer: a longer one is an outage nobody asked for.
const REST_MAX: Duration = Duration::from_secs(3600);

/// A delay that grows with each attempt and is spread by chance. Cannot be built invalid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    factor: f64,
    jitter: f64,
}

/// Why a backoff was refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum BadPolicy {
    /// A delay of zero would turn a panic at birth into a hot loop.
    #[error("the shortest delay must be at least a millisecond, not {0:?}")]
    TooShort(Duration),
    /// The longest delay is below the shortest or above an hour.
    #[error("the longest delay must be between {min:?} and one hour, not {max:?}")]
    Longest {
        /// The shortest delay.
        min: Duration,
        /// The longest delay that was refused.
        max: Duration,
    },
    /// Delays must not shrink.
    #[error("the factor must be between 1 and 100, not {0}")]
    Factor(f64),
    /// The part of a delay that chance may take away.
    #[error("the jitter must be between 0 and 1, not {0}")]
    Jitter(f64),
    /// Restarts counted in no time at all are never counted.
    #[error("the window must be longer than zero")]
    Window,
}

impl Backoff {
    /// Delays of `min`, `min * factor`, `min * factor^2` and so on up to `max`; of each, chance takes away up to the
    /// part `jitter` (0 none, 1 all but a millisecond).
    pub fn new(min: Duration, max: Duration, factor: f64, jitter: f64) -> Result<Self, BadPolicy> {
        if min < Duration::from_millis(1) {
            return Err(BadPolicy::TooShort(min));
        }
        if max < min || max > REST_MAX {
            return Err(BadPolicy::Longest { min, max });
        }
        if !(1.0..=100.0).contains(&factor) {
            return Err(BadPolicy::Factor(factor));
        }
        if !(0.0..=1.0).contains(&jitter) {
            return Err(BadPolicy::Jitter(jitter));
        }
        Ok(Backoff { min, max, factor, jitter })
    }

    /// The delay before the given attempt, counted from 0. Between one millisecond and `max`.
    pub fn delay(&self, attempt: u32, rng: &mut impl Rng) -> Duration {
        let exponent = i32::try_from(attempt).unwrap_or(i32::MAX);
        let grown = self.min.as_secs_f64() * self.factor.powi(exponent);
        let capped = grown.min(self.max.as_secs_f64());
        let spread = capped * (1.0 - self.jitter * rng.random::<f64>());
        Duration::from_secs_f64(spread).clamp(Duration::from_millis(1), self.max)
    }
}

impl Default for Backoff {
    /// 200 ms to 30 s, doubling, a third left to chance so that a fleet does not come back in step.
    fn default() -> Self {
        Backoff { min: Duration::from_millis(200), max: Duration::from_secs(30), factor: 2.0, jitter: 0.33 }
    }
}

/// How an actor is restarted: after which rest, and how often within a window before it gives up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    backoff: Backoff,
    restarts_max: u32,
    window: Duration,
}

impl Policy {
    /// Allows `restarts_max` restarts within any `window`; the death after that makes the actor give up. Zero restarts
    /// is a valid choice.
    pub fn new(backoff: Backoff, restarts_max: u32, window: Duration) -> Result<Self, BadPolicy> {
        if window.is_zero() {
            return Err(BadPolicy::Window);
        }
        Ok(Policy { backoff, restarts_max, window })
    }
}

impl Default for Policy {
    /// Five restarts within a minute.
    fn default() -> Self {
        Policy { backoff: Backoff::default(), restarts_max: 5, window: Duration::from_secs(60) }
    }
}

/// What a death costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Be born again after this rest.
    Rest(Duration),
    /// Give up.
    GiveUp,
}

/// The deaths of one actor within the sliding window of its policy.
#[derive(Debug)]
pub(crate) struct Window {
    policy: Policy,
    deaths: VecDeque<Duration>,
}

impl Window {
    pub(crate) fn new(policy: Policy) -> Self {
        Window { policy, deaths: VecDeque::new() }
    }

    /// Counts a death at `now` (time since the kernel's start) and judges it.
    pub(crate) fn judge(&mut self, now: Duration, rng: &mut impl Rng) -> Verdict {
        while self.deaths.front().is_some_and(|death| now.saturating_sub(*death) >= self.policy.window) {
            self.deaths.pop_front();
        }
        let earlier = u32::try_from(self.deaths.len()).unwrap_or(u32::MAX);
        if earlier >= self.policy.restarts_max {
            return Verdict::GiveUp;
        }
        self.deaths.push_back(now);
        Verdict::Rest(self.policy.backoff.delay(earlier, rng))
    }
}
