//! Conformance: kind x verb, one body for simulated and real servers, over real sockets.
//!
//! Every cell runs against the double of each kind in each of its versions, and against each real server that is named by
//! `IFBUS_REAL_<KIND>` (`IFBUS_REAL_ASTERISK=22=127.0.22.1,16=127.0.26.1`; tests/run starts those of Debian). A server that is not there is reported
//! as skipped with the reason and never counted as a pass. `IFBUS_ONLY=freeswitch` leaves out all other targets. Media is
//! proved by tone: who hears whom.
//!
//! A program of its own instead of the usual harness, because "skipped" has to be a third outcome.

#![expect(clippy::print_stdout, reason = "a test harness of its own tells what it saw")]

mod cells;
mod prove;
mod site;
mod sites;
mod stage;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use cells::CELLS;
use site::Target;
use sites::targets;
use stage::Stage;

/// How many targets are tried at the same time.
const AT_ONCE: usize = 4;

/// A target, the version it told, and its cells.
type Ran = (Target, Option<String>, Vec<(&'static str, Outcome)>);

/// How a cell ended.
enum Outcome {
    Pass(f64),
    Fail(String),
    Skip(String),
}

fn main() {
    // `cargo test` passes arguments of its harness; a word without dashes chooses cells by name.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    std::panic::set_hook(Box::new(|info| {
        let text = info.to_string();
        PANICS.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }));
    let mut targets = targets();
    if let Ok(only) = std::env::var("IFBUS_ONLY") {
        targets.retain(|target| target.name.starts_with(&only));
    }
    let waiting = Mutex::new(targets.into_iter());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let results: Vec<Ran> = std::thread::scope(|scope| {
        // Some cells make two hundred calls: a machine does not carry all targets at once.
        let workers: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                scope.spawn(|| {
                    let mut ran = Vec::new();
                    while let Some(target) = next() {
                        let (version, outcomes) = run(&target, &wanted);
                        ran.push((target, version, outcomes));
                    }
                    ran
                })
            })
            .collect();
        let joined = workers.into_iter();
        joined.flat_map(|thread| thread.join().expect("a target's thread catches its panics")).collect()
    });
    let failed = report(&results);
    if wanted.is_empty() {
        prove::write(results.iter().filter_map(proven).collect());
    }
    std::process::exit(i32::from(failed > 0));
}

static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn run(target: &Target, wanted: &[String]) -> (Option<String>, Vec<(&'static str, Outcome)>) {
    let chosen =
        CELLS.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|word| name.contains(word)));
    let stage = match Stage::open(target) {
        Ok(stage) => stage,
        Err(why) => return (None, chosen.map(|(name, _)| (*name, Outcome::Skip(why.clone()))).collect()),
    };
    let version = stage.server().version.clone();
    let mut outcomes = Vec::new();
    for (name, cell) in chosen {
        if let Some((_, why)) = stage.site.lacks().iter().find(|(lacking, _)| name.starts_with(lacking)) {
            outcomes.push((*name, Outcome::Skip((*why).to_owned())));
            continue;
        }
        let began = Instant::now();
        let outcome = match catch_unwind(AssertUnwindSafe(|| cell(&stage))) {
            Ok(()) => Outcome::Pass(began.elapsed().as_secs_f64()),
            Err(panic) => Outcome::Fail(words(panic.as_ref())),
        };
        say(target, name, stage.site.instead(name), &outcome);
        outcomes.push((*name, outcome));
        stage.clear();
    }
    (version, outcomes)
}

/// A target on which every cell passed, but for those that its kind lacks.
fn proven((target, version, outcomes): &Ran) -> Option<prove::Proven> {
    let failed = outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Fail(_)));
    let passed = outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Pass(_)));
    let cells: Vec<String> = passed.map(|(name, _)| (*name).to_owned()).collect();
    let server = if target.real { "real" } else { "simulated" };
    (!failed && !cells.is_empty()).then(|| prove::Proven {
        kind: target.kind.to_string(),
        server: server.to_owned(),
        version: version.clone().unwrap_or_default(),
        way: target.way.to_owned(),
        on: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
        cells,
    })
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text =
        panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}

/// Tells of a cell as soon as it is over.
fn say(target: &Target, name: &str, instead: Option<&str>, outcome: &Outcome) {
    let instead = instead.map(|words| format!(", promised: {words}")).unwrap_or_default();
    match outcome {
        Outcome::Pass(seconds) => println!("ok      {target:<24} {name:<44} {seconds:5.1} s{instead}"),
        Outcome::Fail(why) => {
            println!("FAILED  {target:<24} {name}\n        {}", why.replace('\n', "\n        "))
        }
        Outcome::Skip(_) => {}
    }
}

/// Tells what was skipped and why, and the sums. Says how many failed.
fn report(results: &[Ran]) -> usize {
    let count = |wanted: fn(&Outcome) -> bool| {
        results.iter().flat_map(|(_, _, outcomes)| outcomes).filter(|(_, outcome)| wanted(outcome)).count()
    };
    for (target, _, outcomes) in results {
        let mut reasons: Vec<&str> = outcomes
            .iter()
            .filter_map(|(_, outcome)| match outcome {
                Outcome::Skip(why) => Some(why.as_str()),
                Outcome::Pass(_) | Outcome::Fail(_) => None,
            })
            .collect();
        reasons.dedup();
        for why in reasons {
            println!("skipped {target:<24} {why}");
        }
    }
    let passed = count(|outcome| matches!(outcome, Outcome::Pass(_)));
    let failed = count(|outcome| matches!(outcome, Outcome::Fail(_)));
    let skipped = count(|outcome| matches!(outcome, Outcome::Skip(_)));
    // Again at the end, where a reader of a long run looks first.
    for (target, _, outcomes) in results {
        for (name, outcome) in outcomes {
            if matches!(outcome, Outcome::Fail(_)) {
                println!("failed  {target:<24} {name}");
            }
        }
    }
    if failed > 0 {
        for text in PANICS.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().take(10) {
            println!("panic: {text}");
        }
    }
    println!("conformance: {passed} passed, {failed} failed, {skipped} skipped");
    failed
}
