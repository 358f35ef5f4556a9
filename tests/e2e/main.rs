//! End to end: the binary itself, as a user or a supervisor of processes sees it.
//!
//! Every test starts the real `ifbus` in a folder of its own and ends what it started. What makes sense for a server
//! runs against the double in both versions and against each real one that `IFBUS_REAL_ASTERISK` names; what is not
//! there is reported as skipped with the reason and never counted as a pass.
//!
//! Read `rig` first: the binary, its folder, a server with its phones. Then one file per theme.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a test harness of its own tells what it saw")]

mod api;
mod canary;
mod demo;
mod doctor;
mod exits;
mod injection;
mod json;
mod killed;
mod listeners;
mod pasted;
mod points;
mod process;
mod proxied;
mod reload;
mod rig;
mod rooms;
mod schema;
mod setup;
mod stopping;
mod streams;
mod target;
mod tls;
mod witnesses;
mod words;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use target::{Target, targets};

/// Why a test cannot be run here.
pub struct Skipped(pub String);

/// Which servers a test is run against.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// Every one.
    Each,
    /// One double: the server does not matter.
    OneDouble,
    /// Real ones.
    Real,
}

/// A test: its promise, what it runs against, its body.
pub type Test = (&'static str, On, fn(&Target) -> Result<(), Skipped>);

const THEMES: &[&[Test]] = &[
    killed::TESTS,
    proxied::TESTS,
    listeners::TESTS,
    words::TESTS,
    exits::TESTS,
    injection::TESTS,
    canary::TESTS,
    stopping::TESTS,
    tls::TESTS,
    demo::TESTS,
    json::TESTS,
    points::TESTS,
    rooms::TESTS,
    reload::TESTS,
    doctor::TESTS,
    setup::TESTS,
    pasted::TESTS,
    streams::TESTS,
    witnesses::TESTS,
];

enum Outcome {
    Pass,
    Fail,
    Skip,
}

static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn main() {
    // `cargo test` passes arguments of its harness; words without dashes choose tests by a part of their name.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        PANICS.lock().unwrap_or_else(PoisonError::into_inner).push(place);
    }));
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let run = |target| scope.spawn(|| run(target, &wanted));
        let running: Vec<_> = targets().into_iter().map(run).collect();
        running
            .into_iter()
            .flat_map(|thread| thread.join().expect("a target's thread catches its panics"))
            .collect()
    });
    let count = |of: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| of(outcome)).count();
    let failed = count(|outcome| matches!(outcome, Outcome::Fail));
    let passed = count(|outcome| matches!(outcome, Outcome::Pass));
    let skipped = count(|outcome| matches!(outcome, Outcome::Skip));
    if failed > 0 {
        for place in PANICS.lock().unwrap_or_else(PoisonError::into_inner).iter().take(10) {
            println!("panicked at {place}");
        }
    }
    println!("e2e: {passed} passed, {failed} failed, {skipped} skipped");
    std::process::exit(i32::from(failed > 0));
}

fn run(target: Target, wanted: &[String]) -> Vec<Outcome> {
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str()));
    let tests = THEMES.iter().copied().flatten();
    let chosen = tests.filter(|(name, on, _)| target.is_for(*on) && is_wanted(name));
    chosen.map(|test| one(&target, test)).collect()
}

/// Runs one test and tells how it ended.
fn one(target: &Target, (name, _, body): &Test) -> Outcome {
    let began = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| body(target)));
    let seconds = began.elapsed().as_secs_f64();
    match result {
        Ok(Ok(())) => {
            println!("ok      {target:<20} {name:<60} {seconds:5.1} s");
            Outcome::Pass
        }
        Ok(Err(Skipped(why))) => {
            println!("skipped {target:<20} {name}: {why}");
            Outcome::Skip
        }
        Err(panic) => {
            let why = words_of(panic.as_ref()).replace('\n', "\n        ");
            println!("FAILED  {target:<20} {name} ({seconds:.1} s)\n        {why}");
            Outcome::Fail
        }
    }
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text =
        panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}
