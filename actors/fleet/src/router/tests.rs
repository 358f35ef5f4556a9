//! Choosing: pure cases. The actor itself is shown in `tests/sim`.

use std::collections::BTreeMap;
use std::sync::Arc;

use ifbus_call::{Cause, Kind, ServerName};

use super::{Journey, choose, refused, skip};
use crate::control::PlaceCall;
use crate::view::{AttemptView, EndView, LinkView, Origin, ServerState, ServerView};

fn server(name: &str, state: ServerState, calls: u32, capacity: u32) -> Arc<ServerView> {
    Arc::new(ServerView {
        name: name.parse().unwrap(),
        object: "server".into(),
        kind: Kind::Asterisk,
        host: "127.0.0.1".into(),
        port: 5038,
        origin: Origin::Cli,
        version: None,
        state,
        note: None,
        interfaces: vec![],
        calls,
        drain: None,
        foreign: 0,
        capacity,
        cps_max: 50.0,
        load: Default::default(),
        figures: Default::default(),
        link: LinkView { epoch: 1, up_since: None },
        warnings: vec![],
        certificates: vec![],
    })
}

fn chosen(servers: &[Arc<ServerView>]) -> Result<String, Vec<String>> {
    choose(servers, &BTreeMap::new()).map(|choice| choice.server.to_string()).map_err(|skipped| {
        skipped.into_iter().map(|skip| format!("{} {}", skip.server, skip.reason)).collect()
    })
}

#[test]
fn the_server_with_the_smallest_share_in_use_is_chosen() {
    let up = ServerState::Up;
    assert_eq!(chosen(&[server("a", up, 10, 20), server("b", up, 20, 100)]), Ok("b".into()));
    assert_eq!(chosen(&[server("b", up, 0, 10), server("a", up, 0, 10)]), Ok("a".into()));
}

#[test]
fn the_choice_tells_who_was_passed_over_and_why() {
    let servers = [
        server("a", ServerState::Up, 0, 1),
        server("b", ServerState::Down, 0, 1),
        server("c", ServerState::Up, 1, 1),
    ];
    let choice = choose(&servers, &BTreeMap::new()).unwrap();
    assert_eq!(choice.why, "the only eligible one (b down, c at_capacity)");
}

#[test]
fn a_server_without_room_is_not_chosen_even_alone() {
    assert_eq!(chosen(&[server("a", ServerState::Up, 5, 5)]), Err(vec!["a at_capacity".into()]));
}

#[test]
fn point_22_every_server_is_named_once_when_none_can_take_the_call() {
    let servers = [server("a", ServerState::Down, 0, 1), server("b", ServerState::Connecting, 0, 1)];
    assert_eq!(chosen(&servers), Err(vec!["a down".into(), "b connecting".into()]));
}

#[test]
fn suspected_servers_are_used_only_when_there_are_no_others() {
    let suspect = server("a", ServerState::Suspect, 0, 10);
    assert_eq!(chosen(&[Arc::clone(&suspect), server("b", ServerState::Up, 9, 10)]), Ok("b".into()));
    assert_eq!(chosen(&[suspect, server("c", ServerState::Down, 0, 10)]), Ok("a".into()));
}

#[test]
fn a_refused_server_keeps_its_own_reason() {
    let servers = [server("a", ServerState::Up, 0, 1)];
    let name: ServerName = "a".parse().unwrap();
    let refused = BTreeMap::from([(name, skip(&servers[0], "tried", None))]);
    assert_eq!(choose(&servers, &refused).unwrap_err()[0].reason, "tried");
}

#[test]
fn point_22_each_reason_to_pass_a_server_over_is_told() {
    let states = [
        (ServerState::Down, "down"),
        (ServerState::Connecting, "connecting"),
        (ServerState::Suspect, "suspect"),
    ];
    for (state, reason) in states {
        let servers = [server("a", state, 0, 1), server("b", ServerState::Up, 0, 1)];
        let skipped = choose(&servers, &BTreeMap::new()).unwrap().skipped;
        assert_eq!((skipped.len(), skipped[0].reason.as_str()), (1, reason));
    }
    // Those that lie with the call, not with the server: asked for as the router asks.
    let servers = ["named", "tried", "passed", "other"].map(|name| server(name, ServerState::Up, 0, 1));
    let at = jiff::Timestamp::UNIX_EPOCH;
    let journey = Journey {
        call: ifbus_call::CallId::new(1, 1),
        request: PlaceCall {
            from: "1001".parse().unwrap(),
            to: "1002".parse().unwrap(),
            server: Some("named".parse().unwrap()),
            caller_id: None,
            timeout: std::time::Duration::from_secs(1),
            record: false,
            conference: None,
            id: None,
        },
        created: at,
        attempts: vec![AttemptView {
            server: "tried".parse().unwrap(),
            chosen: String::new(),
            at,
            ended: Some(EndView {
                class: Cause::Congestion,
                by: ifbus_call::By::Server,
                role: None,
                server_said: ifbus_call::Said::default(),
            }),
        }],
        chosen: String::new(),
        passed: vec![skip(&servers[2], "removed", None)],
        seq: 0,
        answer: None,
    };
    let choice = choose(&servers, &refused(&journey, &servers)).unwrap();
    assert_eq!(choice.server.as_str(), "named");
    let told: Vec<String> =
        choice.skipped.iter().map(|skip| format!("{} {}", skip.server, skip.reason)).collect();
    assert_eq!(told, ["tried tried", "passed removed", "other not_named"]);
    assert_eq!(choice.skipped[0].detail.as_deref(), Some("congestion"));
}
