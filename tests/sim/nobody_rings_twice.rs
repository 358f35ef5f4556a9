//! A call goes elsewhere only with evidence.

use ifbus_doubles::double::{Extensions as _, Mortal as _};
use std::time::Duration;

use ifbus_doubles::faults::Faults;
use ifbus_fleet::view::{ServerState, Status};

use crate::world::run;

#[test]
fn a_phone_that_is_unknown_on_one_server_is_found_on_the_other() {
    run(30, &["pbx1", "pbx2"], async |world| {
        // 1009 is not registered on either, so the call fails on both, and nobody rings at all.
        let id = world.place("1009", "1002").await.unwrap().id;
        world.until("over", |world| world.status(id).is_terminal()).await;
        let call = world.call(id);
        assert_eq!((call.status, call.attempts.len()), (Status::Failed, 2), "{call:?}");
        assert_eq!((world.rings("1009"), world.rings("1002")), (0, 0));
        assert!(world.has_event("call.retry"));
    });
}

#[test]
fn a_named_server_is_the_only_one_tried() {
    run(31, &["pbx1", "pbx2"], async |world| {
        let id = world.place_on("1009", "1002", Some("pbx1")).await.unwrap().id;
        world.until("over", |world| world.status(id).is_terminal()).await;
        assert_eq!(world.call(id).attempts.len(), 1);
    });
}

#[test]
fn a_busy_phone_is_not_tried_elsewhere() {
    run(32, &["pbx1", "pbx2"], async |world| {
        for server in ["pbx1", "pbx2"] {
            world.with(server, |pbx, _| pbx.plan("1001", ifbus_doubles::phone::Plan::busy()));
        }
        let id = world.place("1001", "1002").await.unwrap().id;
        world.until("over", |world| world.status(id).is_terminal()).await;
        assert_eq!((world.status(id), world.call(id).attempts.len()), (Status::Busy, 1));
        assert_eq!(world.rings("1001"), 1);
    });
}

#[test]
fn a_call_whose_fate_is_unknown_waits_and_rings_nobody_else() {
    run(33, &["pbx1", "pbx2"], async |world| {
        // The order reaches the server, its answer does not reach us, and the server stays away.
        let id = world.place_on("1001", "1002", None).await.unwrap().id;
        let first = world.call(id).server.clone().unwrap();
        world.network.cut_off(first.as_str(), true);
        world.until("down", |world| world.state(first.as_str()) == ServerState::Down).await;
        world.until("over", |world| world.status(id).is_terminal()).await;
        let call = world.call(id);
        assert_eq!((call.status, call.attempts.len()), (Status::Failed, 1), "{call:?}");
        assert!(world.rings("1001") <= 1);
        world.network.cut_off(first.as_str(), false);
        world.until("up", |world| world.state(first.as_str()) == ServerState::Up).await;
        world.until("its leg is ended", |world| world.channels(first.as_str()) == 0).await;
    });
}

#[test]
fn links_that_break_at_random_never_ring_a_phone_twice() {
    for seed in 0..40 {
        run(1_000 + seed, &["pbx1", "pbx2"], async |world| {
            let mut ids = Vec::new();
            for n in 0..20u64 {
                if let Ok(call) = world.place(&format!("{}", 2000 + n), &format!("{}", 2100 + n)).await {
                    ids.push(call.id);
                }
                let victim = if (seed + n) % 2 == 0 { "pbx1" } else { "pbx2" };
                match (seed * 7 + n) % 9 {
                    0 => world.with(victim, |pbx, now| {
                        pbx.set_faults(Faults { cut_next: true, ..Default::default() }, now)
                    }),
                    1 => world.with(victim, |pbx, now| {
                        pbx.set_faults(Faults { lose_replies: 0.3, ..Default::default() }, now)
                    }),
                    2 => world.with(victim, |pbx, now| {
                        pbx.set_faults(Faults { double_events: 0.5, ..Default::default() }, now)
                    }),
                    3 => world.with(victim, |pbx, now| pbx.garbage(now)),
                    4 => world.network.cut_off(victim, true),
                    5 => world.network.cut_off(victim, false),
                    _ => world.with(victim, |pbx, now| pbx.set_faults(Faults::default(), now)),
                }
                world.pass(Duration::from_millis(37 * (n % 11))).await;
            }
            for server in ["pbx1", "pbx2"] {
                world.network.cut_off(server, false);
                world.with(server, |pbx, now| pbx.set_faults(Faults::default(), now));
            }
            for server in ["pbx1", "pbx2"] {
                world.until("up", |world| world.state(server) == ServerState::Up).await;
            }
            for id in &ids {
                let _ = world.act(*id, ifbus_call::Verb::Hangup).await;
            }
            for id in &ids {
                world.until("over", |world| world.status(*id).is_terminal()).await;
                let ends = world
                    .events()
                    .iter()
                    .filter(|e| e.fact.call == Some(*id) && e.fact.kind == "call.ended")
                    .count();
                assert_eq!(ends, 1, "seed {seed}: a call ends exactly once");
            }
            for n in 0..20 {
                for number in [2000 + n, 2100 + n] {
                    assert!(world.rings(&number.to_string()) <= 1, "seed {seed}: {number} rang twice");
                }
            }
            world.until("no leg is left", |world| world.channels("pbx1") + world.channels("pbx2") == 0).await;
        });
    }
}
