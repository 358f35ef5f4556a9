//! Subscriptions, heartbeats, and life without them.

use std::time::Duration;

use super::rig::Rig;
use crate::adapter::{Endpoint, Input};
use crate::opensips::events::{END, HEARTBEAT, STATE};
use crate::opensips::machine::EVENTS;

const HERE: &[(&str, &str)] = &[("events", "127.0.0.1:8449")];
const BEAT: &str = r#"{"jsonrpc":"2.0","method":"E_IFBUS_HEARTBEAT"}"#;

/// Time goes on, with a heartbeat every five seconds.
fn alive(rig: &mut Rig, seconds: u64) {
    for _ in 0..seconds / 5 {
        rig.pass(Duration::from_secs(5));
        rig.event(BEAT);
    }
}

#[test]
fn all_wanted_events_are_subscribed_to_before_the_list() {
    let rig = Rig::ready(HERE);
    let at = "127.0.0.1:8449".parse().expect("an address");
    assert!(rig.opened.contains(&Endpoint::Listen { at, from: "127.0.0.1".to_owned() }));
    let socket = "udp:127.0.0.1:8449".to_owned();
    let wanted = [STATE, END, HEARTBEAT].map(|event| (event.to_owned(), socket.clone(), 120));
    assert_eq!(rig.server.subscriptions, wanted);
    let list = rig.asked.iter().position(|asked| asked.contains("dlg_list"));
    assert!(rig.asked.iter().rposition(|asked| asked.contains("event_subscribe")) < list);
    assert_eq!(rig.warned("events_off"), 0);
}

#[test]
fn subscriptions_are_renewed_and_made_again_when_forgotten() {
    let mut rig = Rig::ready(HERE);
    alive(&mut rig, 45);
    assert_eq!((rig.count("event_subscribe"), rig.warned("events_forgotten")), (6, 0));
    rig.server.subscriptions.clear();
    alive(&mut rig, 40);
    assert_eq!((rig.server.subscriptions.len(), rig.warned("events_forgotten")), (3, 1));
}

#[test]
fn a_missing_heartbeat_counts_as_lost_events() {
    let mut rig = Rig::ready(HERE);
    alive(&mut rig, 60);
    assert_eq!((rig.warned("events_off"), rig.count("uptime")), (0, 1));
    rig.pass(Duration::from_secs(16));
    assert_eq!(rig.warned("events_off"), 1);
    assert!(rig.count("uptime") >= 2, "it is asked instead");
    rig.pass(Duration::from_secs(10));
    alive(&mut rig, 30);
    assert_eq!((rig.warned("events_off"), rig.down.len()), (1, 0), "tried again, and well");
}

#[test]
fn without_the_printed_script_there_are_built_in_events() {
    let mut rig = Rig::new(HERE);
    rig.server.events = vec!["E_DLG_STATE_CHANGED"];
    rig.start();
    assert_eq!((rig.ready.len(), rig.server.subscriptions.len(), rig.warned("no_heartbeat")), (1, 1, 1));
    rig.pass(Duration::from_secs(60));
    assert_eq!((rig.warned("events_off"), rig.down.len()), (0, 0), "no heartbeat is expected");
}

#[test]
fn life_goes_on_without_events() {
    for case in 0..3 {
        let mut rig = Rig::new(HERE);
        match case {
            0 => rig.unbindable = true,
            1 => rig.server.events.clear(),
            _ => rig.server.deaf = vec!["event_subscribe"],
        }
        rig.start();
        rig.pass(Duration::from_secs(20));
        assert_eq!(rig.ready.len(), 1, "{case}: {:?}", rig.down);
        assert!(rig.warned("events_off") >= 1, "{case}");
    }
}

#[test]
fn nothing_is_heard_after_the_end() {
    let mut rig = Rig::ready(HERE);
    let events = rig.link(EVENTS);
    rig.give(Input::Stop);
    assert!(rig.closed.contains(&EVENTS));
    let asked = rig.asked.len();
    rig.give(Input::Bytes(events, BEAT.as_bytes()));
    assert_eq!((rig.asked.len(), rig.unknown), (asked, 0));
}
