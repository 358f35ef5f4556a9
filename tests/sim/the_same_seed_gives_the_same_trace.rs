//! The whole fleet is deterministic.

use ifbus_doubles::double::Mortal as _;
use std::time::Duration;

use ifbus_call::Verb;
use ifbus_doubles::faults::Faults;

use crate::world::run;

fn trace(seed: u64) -> String {
    run(seed, &["pbx1", "pbx2"], async |world| {
        for n in 0..30 {
            let call = world.place(&format!("{}", 2000 + n), &format!("{}", 2100 + n)).await;
            world.pass(Duration::from_millis(20 + n * 7 % 130)).await;
            if n == 10 {
                world.with("pbx2", |pbx, now| {
                    pbx.set_faults(Faults { freeze: true, ..Default::default() }, now)
                });
            }
            if n == 20 {
                world.with("pbx2", |pbx, now| pbx.set_faults(Faults::default(), now));
                world.pass(Duration::from_secs(20)).await;
            }
            if let (Ok(call), true) = (call, n % 3 == 0) {
                let _ = world.act(call.id, Verb::Hangup).await;
            }
        }
        world.pass(Duration::from_secs(60)).await;
        world.trace()
    })
}

#[test]
fn two_runs_are_alike_to_the_letter_and_another_seed_is_another_history() {
    let first = trace(7);
    assert!(first.lines().count() > 100, "{first}");
    assert_eq!(first, trace(7));
    assert_ne!(first, trace(8));
}
