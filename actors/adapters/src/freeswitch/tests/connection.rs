use std::time::Duration;

use ifbus_call::order::{Done, Evidence, Probed};
use ifbus_call::{Cause, Event, Interface, Order, Refused, Why};

use super::pretend::commands;
use super::rig::{A, B, Rig, dial};
use crate::adapter::{DownReason, Input, LinkError};
use crate::freeswitch::machine::{COMMANDS, EVENTS, FILES, SILENT_MAX, SIP};

fn reason(rig: &Rig) -> &DownReason {
    assert_eq!(rig.down.len(), 1, "{:?}", rig.down);
    &rig.down[0].reason
}

#[test]
fn it_is_ready_when_events_flow_and_calls_are_listed() {
    let mut rig = Rig::new();
    rig.start();
    assert!(rig.ready.is_empty(), "the lists are late: they are asked for a little later");
    assert!(!commands(&rig.sent).contains(&"api show channels as json"));
    rig.advance(Duration::from_secs(1));
    let ready = &rig.ready[0];
    assert_eq!((ready.version.as_str(), ready.boot.0.as_str()), ("1.10.12", "core-1"));
    assert_eq!(rig.machine_deadline(), None, "idle costs nothing");
    let events = rig.sent.iter().find(|(_, text)| text.starts_with("event json ")).expect("a subscription");
    assert_eq!(events.0, EVENTS);
    assert!(rig.sent.iter().all(|(slot, text)| *slot == COMMANDS || !text.starts_with("api")));
}

#[test]
fn a_directory_user_logs_in_as_one() {
    let mut rig = Rig::with(&[("user", "ifbus@lab")]);
    rig.server.rights = Some("bgapi originate");
    rig.start();
    assert!(rig.sent.iter().any(|(_, text)| text == "userauth ifbus@lab:ifbus-secret\n\n"));
    rig.advance(Duration::from_secs(1));
    let Ok(Done::Inspected(findings)) = rig.outcome(Order::Inspect) else { panic!("an inspection") };
    let rights = findings.iter().find(|finding| finding.area == "rights").expect("rights are looked at");
    assert!(rights.text.contains("uuid_bridge") && !rights.text.contains("originate"), "{rights:?}");
}

#[test]
fn a_wrong_password_is_said_so() {
    let mut rig = Rig::new();
    rig.server.password = "another";
    rig.start();
    assert_eq!(*reason(&rig), DownReason::LoginRefused("invalid".to_owned()));
    assert_eq!(rig.closed, [COMMANDS, EVENTS]);
}

#[test]
fn an_access_list_that_does_not_name_us_is_said_so() {
    let mut rig = Rig::new();
    rig.dead = vec![];
    rig.start();
    let mut rig = Rig::new();
    rig.server.mute = vec!["auth"];
    rig.start();
    rig.feed(COMMANDS, b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n");
    assert!(matches!(reason(&rig), DownReason::LoginRefused(why) if why.contains("apply-inbound-acl")));
}

#[test]
fn events_that_may_not_be_heard_are_no_login() {
    let mut rig = Rig::new();
    rig.server.says.insert("event", "-ERR permission denied");
    rig.start();
    assert!(matches!(reason(&rig), DownReason::LoginRefused(why) if why.contains("esl-allowed-events")));
    assert_eq!(rig.down[0].interface, Interface::Events);
}

#[test]
fn nobody_there_is_unreachable() {
    for slot in [COMMANDS, EVENTS] {
        let mut rig = Rig::new();
        rig.dead = vec![slot];
        rig.start();
        assert_eq!(*reason(&rig), DownReason::Unreachable(LinkError::Refused));
    }
}

#[test]
fn another_protocol_is_not_the_kind() {
    let mut rig = Rig::new();
    rig.server.mute = vec!["auth"];
    rig.start();
    let mut other = Rig::new();
    other.server.out.clear();
    other.epoch = rig.epoch;
    rig.feed(COMMANDS, b"HTTP/1.1 400 Bad Request\r\n\r\n");
    assert!(matches!(reason(&rig), DownReason::NotTheKind(_) | DownReason::Protocol(_)));
}

#[test]
fn a_login_without_an_answer_is_given_up() {
    for muted in ["auth", "event", "api json", "api global_getvar core", "api show"] {
        let mut rig = Rig::new();
        rig.server.mute = vec![muted];
        rig.start();
        rig.advance(Duration::from_secs(30));
        // with one answer missing, the next one is taken for it
        let given_up = matches!(reason(&rig), DownReason::Silent(_) | DownReason::LoginRefused(_));
        assert!(given_up, "{muted}: {:?}", rig.down);
    }
}

#[test]
fn a_dropped_link_answers_every_open_order() {
    for slot in [COMMANDS, EVENTS] {
        let mut rig = Rig::joined();
        rig.server.mute = vec!["api", "bgapi"];
        let tickets = [
            rig.give(Order::Park { held: B, other: A, why: ifbus_call::order::ParkReason::Hold }),
            rig.give(Order::Drop { leg: A, cause: Cause::Answered }),
            rig.give(Order::List),
            rig.give(Order::Probe),
        ];
        rig.close(slot, LinkError::Reset);
        for ticket in tickets {
            let refused = rig.answers[&ticket].clone().expect_err("the link is lost");
            assert_eq!(refused.why, Why::LinkLost);
        }
        let waited = rig.answers[&tickets[1]].clone().expect_err("it waited for the first");
        assert_eq!(waited.evidence, Evidence::NothingSent);
        assert_eq!(*reason(&rig), DownReason::Lost(LinkError::Reset));
        assert_eq!(rig.machine_deadline(), None);
    }
}

#[test]
fn nothing_of_an_older_life_is_believed() {
    let mut rig = Rig::joined();
    let old = rig.link(EVENTS);
    rig.close(COMMANDS, LinkError::Reset);
    rig.start();
    rig.advance(Duration::from_secs(1));
    let before = rig.events.len();
    let event = super::pretend::event_frame(&format!(
        "{{\"Event-Name\":\"CHANNEL_HANGUP_COMPLETE\",\"Unique-ID\":\"{}\",\"Hangup-Cause\":\"X\"}}",
        super::rig::native(A)
    ));
    rig.input(Input::Bytes(old, &event));
    assert_eq!(rig.events.len(), before);
    rig.input(Input::Closed(old, LinkError::Reset));
    assert_eq!(rig.down.len(), 1);
}

#[test]
fn an_answer_that_nobody_asked_for_ends_the_life() {
    let mut rig = Rig::ready();
    rig.feed(COMMANDS, b"Content-Type: api/response\nContent-Length: 4\n\n+OK\n");
    assert!(matches!(reason(&rig), DownReason::Protocol(_)));
}

#[test]
fn answers_out_of_step_are_found_out_by_the_probe() {
    let mut rig = Rig::joined();
    rig.server.mute = vec!["api uuid_audio"];
    rig.give(Order::Mute { leg: A, direction: ifbus_call::order::Direction::In, on: true });
    rig.server.mute.clear();
    // the answer to the echo is taken for that of the mute, and the next one for the echo's
    rig.give(Order::Load);
    rig.give(Order::Probe);
    rig.advance(Duration::from_secs(30));
    assert!(matches!(reason(&rig), DownReason::Protocol(_) | DownReason::Silent(_)), "{:?}", rig.down);
}

#[test]
fn a_server_that_goes_down_is_told_so() {
    let mut rig = Rig::ready();
    rig.feed(
        EVENTS,
        b"Content-Type: text/disconnect-notice\nContent-Length: 31\n\nThe system is being shut down.\n",
    );
    assert_eq!(*reason(&rig), DownReason::ShuttingDown);
    let mut rig = Rig::ready();
    rig.feed(EVENTS, &super::pretend::event_frame("{\"Event-Name\":\"SHUTDOWN\"}"));
    assert!(rig.down.is_empty(), "the word alone is not the end");
    rig.close(COMMANDS, LinkError::Closed);
    assert_eq!(*reason(&rig), DownReason::ShuttingDown);
}

#[test]
fn a_client_that_was_too_slow_has_lost_its_link() {
    let mut rig = Rig::ready();
    rig.feed(EVENTS, b"Content-Type: text/disconnect-notice\nContent-Length: 23\n\nDisconnected, goodbye.\n");
    assert!(matches!(reason(&rig), DownReason::Lost(_)));
}

#[test]
fn both_connections_are_probed_and_told_apart() {
    let mut rig = Rig::ready();
    let Ok(Done::Probed(probed)) = rig.outcome(Order::Probe) else { panic!("a probe") };
    let up: Vec<(Interface, bool)> = probed.iter().map(|p| (p.interface, p.answered.is_ok())).collect();
    assert_eq!(up, [(Interface::Management, true), (Interface::Events, true)]);
    assert_eq!(rig.machine_deadline(), None);

    rig.server.mute = vec!["bgapi echo"];
    let Ok(Done::Probed(probed)) = rig.outcome(Order::Probe) else { panic!("a probe") };
    assert!(probed[0].answered.is_ok() && probed[1].answered.is_err(), "{probed:?}");
    rig.advance(SILENT_MAX);
    assert_eq!(*reason(&rig), DownReason::Silent(SILENT_MAX));
}

#[test]
fn silence_on_the_events_alone_is_noticed() {
    let mut rig = Rig::ready();
    rig.server.says.insert("bgapi echo", "+OK Job-UUID: x");
    rig.give(Order::Probe);
    rig.advance(SILENT_MAX + Duration::from_secs(1));
    assert_eq!((rig.down[0].interface, reason(&rig)), (Interface::Events, &DownReason::Silent(SILENT_MAX)));
}

#[test]
fn sip_is_asked_again_and_answered_once_for_all() {
    let mut rig = Rig::ready();
    let tickets = [rig.give(Order::ProbeSip), rig.give(Order::ProbeSip)];
    assert_eq!(rig.datagrams, 1);
    rig.advance(Duration::from_millis(600));
    assert_eq!(rig.datagrams, 2);
    rig.advance(Duration::from_secs(2));
    for ticket in tickets {
        let Ok(Done::Probed(probed)) = &rig.answers[&ticket] else { panic!("a probe") };
        assert!(
            matches!(&probed[..], [Probed { interface: Interface::Sip, answered: Err(_) }]),
            "{probed:?}"
        );
    }
    rig.advance(Duration::from_secs(5));
    assert_eq!(rig.machine_deadline(), None, "nobody asks for nobody");
    rig.close(SIP, LinkError::Refused);
    let mut off = Rig::with(&[("sip", "off")]).up();
    assert_eq!(off.outcome(Order::ProbeSip), Ok(Done::Probed(Vec::new())));
}

#[test]
fn orders_before_ready_are_refused() {
    let mut rig = Rig::new();
    assert_eq!(rig.outcome(Order::List), Err(Refused::unsent(Why::NotReady)));
    rig.start();
    assert_eq!(rig.outcome(dial(A, "1001")), Err(Refused::unsent(Why::NotReady)));
}

#[test]
fn a_stop_closes_everything_and_says_goodbye() {
    let mut rig = Rig::ready();
    rig.input(Input::Stop);
    assert_eq!(*reason(&rig), DownReason::Stopped);
    assert_eq!(rig.sent.iter().filter(|(_, text)| text == "exit\n\n").count(), 2);
    assert_eq!(rig.closed, [COMMANDS, EVENTS]);
    assert_eq!(rig.machine_deadline(), None);
}

#[test]
fn files_have_a_connection_that_may_break() {
    let mut rig = Rig::with(&[("fetch", "socket")]).up();
    rig.server.mute = vec!["api system"];
    let ticket = rig.give(Order::Fetch { recording: ifbus_call::RecordingId::new(1, 2), segment: 0 });
    rig.close(FILES, LinkError::Reset);
    assert_eq!(rig.answers[&ticket].clone().expect_err("lost").why, Why::LinkLost);
    assert!(rig.down.is_empty() && rig.events.iter().all(|event| !matches!(event, Event::Vanished(_))));
}
