//! How calls went lately on each server: attempts a second, answer-seizure ratio, post-dial delay.
//!
//! Windows that slide, for people who look now; a scraper has counters. Nothing that was not seen is told: without an
//! attempt there is no ratio. Definitions: docs/operating/metrics.md.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use ifbus_fleet::view::{FiguresView, ServerView};
use jiff::{SignedDuration, Timestamp};

/// The window of attempts a second.
const RATE: SignedDuration = SignedDuration::from_secs(10);
/// The window of everything else.
const WINDOW: SignedDuration = SignedDuration::from_mins(5);
/// The most that is kept of one server in one window: above it the oldest are forgotten, and the window is shorter.
const KEPT_MAX: usize = 50_000;

/// The windows.
#[derive(Debug, Default)]
pub(crate) struct Lately(Mutex<BTreeMap<String, Windows>>);

#[derive(Debug, Default)]
struct Windows {
    /// Attempts that began.
    begun: VecDeque<(Timestamp, ())>,
    /// Attempts that ended, and whether they were answered.
    ended: VecDeque<(Timestamp, bool)>,
    /// From dialing the second party to its ring, in seconds.
    delays: VecDeque<(Timestamp, f64)>,
}

impl Lately {
    pub(crate) fn begun(&self, server: &str, at: Timestamp) {
        self.with(server, |windows| push(&mut windows.begun, at, ()));
    }

    pub(crate) fn ended(&self, server: &str, answered: bool, at: Timestamp) {
        self.with(server, |windows| push(&mut windows.ended, at, answered));
    }

    pub(crate) fn rang(&self, server: &str, seconds: f64, at: Timestamp) {
        self.with(server, |windows| push(&mut windows.delays, at, seconds));
    }

    /// Forgets servers that left the fleet.
    pub(crate) fn keep(&self, present: &BTreeSet<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|server, _| present.contains(server));
    }

    /// How it went on a server until `now`.
    pub(crate) fn figures(&self, server: &str, now: Timestamp) -> FiguresView {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(windows) = all.get_mut(server) else { return FiguresView::default() };
        forget(&mut windows.begun, now, RATE);
        forget(&mut windows.ended, now, WINDOW);
        forget(&mut windows.delays, now, WINDOW);
        let ended = windows.ended.len();
        let answered = windows.ended.iter().filter(|(_, answered)| *answered).count();
        let mut delays: Vec<f64> = windows.delays.iter().map(|(_, seconds)| *seconds).collect();
        delays.sort_by(f64::total_cmp);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        FiguresView {
            cps: windows.begun.len() as f64 / RATE.as_secs_f64(),
            ended_5min: count(ended),
            asr_5min: (ended > 0).then(|| answered as f64 / ended as f64),
            pdd_p95_s: (!delays.is_empty()).then(|| delays[(delays.len() * 95).div_ceil(100) - 1]),
        }
    }

    /// The view with what is known of it lately.
    pub(crate) fn onto(&self, server: &ServerView) -> ServerView {
        ServerView { figures: self.figures(server.name.as_str(), Timestamp::now()), ..server.clone() }
    }

    fn with(&self, server: &str, work: impl FnOnce(&mut Windows)) {
        work(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(server.to_owned()).or_default());
    }
}

fn push<T>(window: &mut VecDeque<(Timestamp, T)>, at: Timestamp, what: T) {
    if window.len() == KEPT_MAX {
        window.pop_front();
    }
    window.push_back((at, what));
}

fn forget<T>(window: &mut VecDeque<(Timestamp, T)>, now: Timestamp, length: SignedDuration) {
    while window.front().is_some_and(|(at, _)| now.duration_since(*at) >= length) {
        window.pop_front();
    }
}
