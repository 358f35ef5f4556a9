//! Draining: no new calls from us or from the phones, those that are there go on.

use ifbus_call::Inbound;
use ifbus_fleet::Code;
use ifbus_fleet::view::ServerState;

use crate::stage::Stage;

/// Its name.
pub const NAME: &str = "drain and undrain";

/// Closed on both sides, also after a kill of ours, and open again.
pub fn drain_and_undrain(stage: &Stage) {
    let id = stage.talk("1001", "1002");
    stage.drain(true);
    let drained = stage.server();
    assert_eq!(drained.state, ServerState::Draining);
    let inbound = drained.drain.as_ref().and_then(|drain| drain.inbound.clone());
    let open = stage.site.instead(NAME);
    match (open, &inbound) {
        (None, inbound) => {
            assert_eq!(*inbound, Some(Inbound::Closed), "the lab has what is needed: {drained:?}")
        }
        (Some(words), Some(Inbound::Open { need: Some(need) })) => assert!(need.contains(words), "{need}"),
        (Some(words), _) => panic!("nobody says that {words}: {drained:?}"),
    }
    let refused = stage.place("1003", "1004").expect_err("no new call of ours");
    assert_eq!(refused.code, Code::NoEligibleServer);
    assert_eq!(refused.skipped.iter().map(|skip| &*skip.reason).collect::<Vec<_>>(), ["draining"]);
    assert_eq!(stage.site.lets_in(), open.is_some(), "no new call from outside, or that is said");
    stage.hear_each_other("1001", "1002");
    stage.kill_and_restart_as(ServerState::Draining);
    stage.hang_up(id);
    stage.until("the last one has gone", |stage| stage.state() == ServerState::Drained);
    stage.drain(false);
    assert_eq!(stage.state(), ServerState::Up);
    assert!(stage.site.lets_in(), "calls from outside again");
    let id = stage.talk("1003", "1004");
    stage.hang_up(id);
}
