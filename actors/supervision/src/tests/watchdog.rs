//! The watchdog sees a handler that does not return. Real threads and real time; nothing is asserted on its length.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::*;
use crate::{Freeze, Options, Recipient, Universe, Watchdog, WhenFrozen};

const PATIENCE: Duration = Duration::from_secs(60);

/// Freezes an actor until the watchdog has reported it; returns what it said.
fn freeze(when_frozen: WhenFrozen, story: impl AsyncFnOnce(&Universe, &Address<Puppet>)) -> Vec<Freeze> {
    let reports = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::new(AtomicBool::new(false));
    let (kept, flag) = (reports.clone(), seen.clone());
    let report = move |freeze: Freeze| {
        let named = freeze.actor.is_some();
        lock(&kept).push(freeze);
        flag.store(named, Ordering::Release);
    };
    let watchdog = Watchdog {
        threshold: Duration::from_millis(200),
        when_frozen,
        report: Recipient::new("report", report),
    };
    let options = Options { watchdog: Some(watchdog), ..Options::default() };
    actix_rt::System::new().block_on(async {
        let universe = Universe::new(options);
        let backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(1), 1.0, 0.0).unwrap();
        let policy = Policy::new(backoff, 3, PATIENCE).unwrap();
        let actor = universe.kernel().supervise::<Puppet>("stuck", Script::default(), policy);
        let freezes = deed(move |puppet, _| {
            let since = Instant::now();
            while !seen.load(Ordering::Acquire) && since.elapsed() < PATIENCE {
                std::thread::yield_now();
            }
            puppet.count = 1;
        });
        assert_eq!(actor.ask(freezes, PATIENCE).await, Ok(1));
        story(&universe, &actor).await;
        universe.close().await;
    });
    let reports = lock(&reports).clone();
    reports.into_iter().filter(|freeze| freeze.actor.is_some()).collect()
}

#[test]
fn a_frozen_handler_is_reported_with_the_name_of_its_actor() {
    let before = Instant::now();
    let reports = freeze(WhenFrozen::Report, async |universe, actor| {
        assert_eq!(actor.observe(PATIENCE).await, Ok(1), "it goes on as it was");
        assert_eq!(universe.kernel().actors()[0].freezes, 1);
    });
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].actor.as_deref(), Some("stuck"));
    assert_eq!(reports[0].arbiter, "main");
    assert!(reports[0].since >= before && reports[0].since <= Instant::now());
}

#[test]
fn a_frozen_actor_can_be_made_to_restart_once_its_handler_returns() {
    let reports = freeze(WhenFrozen::Restart, async |universe, actor| {
        assert_eq!(actor.observe(PATIENCE).await, Ok(0), "a fresh instance");
        assert_eq!(universe.kernel().totals()["frozen"], 1);
    });
    assert_eq!(reports.len(), 1);
}

#[test]
fn an_arbiter_held_up_by_no_actor_is_reported_without_a_name() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let report = move |freeze: Freeze| sender.send(freeze).unwrap_or_default();
    let watchdog = Watchdog {
        threshold: Duration::from_millis(200),
        when_frozen: WhenFrozen::Report,
        report: Recipient::new("report", report),
    };
    let options = Options { watchdog: Some(watchdog), ..Options::default() };
    actix_rt::System::new().block_on(async {
        let universe = Universe::new(options);
        let freeze = receiver.recv_timeout(PATIENCE).unwrap();
        assert_eq!((freeze.arbiter.as_str(), freeze.actor), ("main", None));
        universe.close().await;
    });
}
