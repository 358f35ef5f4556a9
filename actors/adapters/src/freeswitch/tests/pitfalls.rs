//! Pitfalls that other clients of the event socket fell into, and those of the server itself (sheet freeswitch, sections
//! 0, 9 and 13), each by what it would have done.

use ifbus_call::order::{Done, ParkReason};
use ifbus_call::{Address, Cause, Event, Order, Why};

use super::pretend::{commands, event_frame};
use super::rig::{A, B, C, Rig, dial, native};
use crate::freeswitch::machine::EVENTS;
use crate::wire_format::esl::{Command, Unfit};

/// What breaks a line, begins a command, or means something inside an originate.
const BREAKS: [&str; 12] =
    ["\n", "\r\n", "\n\napi shutdown", "\0", " ", ",", "}", "${system(x)}", "'", "\"", "\\", "\u{7f}"];

#[test]
fn no_address_can_hold_what_breaks_a_line() {
    for broken in BREAKS {
        for text in [format!("10{broken}01"), format!("sip:a{broken}b@h"), format!("+49{broken}30")] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }
}

#[test]
fn no_value_that_breaks_a_line_is_sent() {
    for broken in BREAKS {
        let value = format!("a{broken}b");
        assert!(Command::api("originate").leg(&[("v", &value)], "user/1").finish().is_err(), "{broken:?}");
        assert!(Command::api("originate").leg(&[], &value).finish().is_err(), "{broken:?}");
    }
}

#[test]
fn an_address_that_makes_the_server_reload_its_socket_is_not_dialled() {
    let mut rig = Rig::ready();
    let refused =
        rig.outcome(dial(A, "reload_mod_event_socket")).expect_err("the server replaces such a line");
    assert_eq!(refused.why, Why::Refused);
    assert!(refused.said.expect("a reason").text.contains("reload"));
    assert!(rig.sent.is_empty());
    assert_eq!(Command::api("x").word("unload").word("mod_event_socket").finish(), Err(Unfit::Reload));
}

#[test]
fn every_command_is_one_of_those_that_were_meant() {
    let mut rig = Rig::joined();
    rig.proven(Order::Park { held: B, other: A, why: ParkReason::Consult });
    rig.proven(dial(C, "sip:1003@h"));
    rig.proven(Order::Join { a: A, b: C });
    rig.proven(Order::Dtmf { leg: A, digits: "1*#D".parse().expect("digits") });
    for order in [Order::List, Order::Load, Order::Probe, Order::Inspect] {
        // How it ends is another test's; what it sends is this one's.
        let _ = rig.outcome(order);
    }
    rig.proven(Order::Drop { leg: A, cause: Cause::Answered });
    for line in commands(&rig.sent) {
        let mut words = line.split(' ');
        let (form, name) = (words.next().expect("a word"), words.next().expect("a name"));
        assert!(matches!(form, "api" | "bgapi"), "{line}");
        let known = super::super::inspect::RIGHTS.contains(&name) || matches!(name, "echo" | "module_exists");
        assert!(known, "{line}: not among the rights that are asked for");
        assert!(!line.contains("uuid_hold") && !line.ends_with("fsctl pause"), "{line}");
    }
}

#[test]
fn usage_is_no_success() {
    let mut rig = Rig::joined();
    for said in ["-USAGE: <uuid> <dtmf_data>\n", "-ERR Operation failed\n", "ok\n", "-ERROR\n", ""] {
        rig.server.says.insert("api uuid_send_dtmf", said);
        assert!(
            rig.outcome(Order::Dtmf { leg: A, digits: "1".parse().expect("digits") }).is_err(),
            "{said:?}"
        );
    }
}

#[test]
fn a_taken_command_is_not_a_done_one() {
    let mut rig = Rig::joined();
    rig.server.idle = vec!["uuid_kill"];
    let ticket = rig.give(Order::Drop { leg: A, cause: Cause::Answered });
    assert!(!rig.answers.contains_key(&ticket), "+OK alone proves nothing");
    rig.server.end(&native(A), "NORMAL_CLEARING", &[]);
    rig.pump();
    assert_eq!(rig.answers[&ticket], Ok(Done::Proven));
}

#[test]
fn lengths_are_bytes_and_an_inner_length_splits_nothing() {
    let mut rig = Rig::joined();
    let a = native(A);
    let name = "\u{fc}ml\u{e4}ut \u{1f600}";
    let first =
        format!("{{\"Event-Name\":\"DTMF\",\"Unique-ID\":\"{a}\",\"DTMF-Digit\":\"1\",\"x\":\"{name}\"}}");
    let job = "{\"Event-Name\":\"BACKGROUND_JOB\",\"Job-UUID\":\"x\",\"Content-Length\":\"2000\",\"_body\":\"+OK\\n\"}";
    let last = format!("{{\"Event-Name\":\"DTMF\",\"Unique-ID\":\"{a}\",\"DTMF-Digit\":\"2\"}}");
    let bytes = [event_frame(&first), event_frame(job), event_frame(&last)].concat();
    rig.feed(EVENTS, &bytes);
    assert_eq!(rig.events, [Event::Digit(A, '1'), Event::Digit(A, '2')]);
}

#[test]
fn an_event_larger_than_any_buffer_is_read() {
    let mut rig = Rig::joined();
    let json = format!(
        "{{\"Event-Name\":\"DTMF\",\"x\":\"{}\",\"Unique-ID\":\"{}\",\"DTMF-Digit\":\"9\"}}",
        "y".repeat(300_000),
        native(A)
    );
    for piece in event_frame(&json).chunks(4096) {
        rig.feed(EVENTS, piece);
    }
    assert_eq!(rig.events, [Event::Digit(A, '9')]);
}

#[test]
fn an_event_between_command_and_answer_is_no_answer() {
    let mut rig = Rig::new();
    rig.start();
    rig.feed(EVENTS, &event_frame("{\"Event-Name\":\"HEARTBEAT\"}"));
    rig.advance(std::time::Duration::from_secs(1));
    assert_eq!(rig.ready.len(), 1);
}

#[test]
fn a_leg_that_was_never_answered_is_not_muted() {
    let mut rig = Rig::ready();
    rig.server.idle = vec!["originate"];
    rig.give(dial(A, "1001"));
    let uuid = native(A);
    rig.server.legs.insert(uuid.clone(), super::pretend::Leg::default());
    rig.server.tell("CHANNEL_CREATE", &uuid, &[("variable_ifbus_owner", "123456789abcdef0")]);
    rig.pump();
    let mute = Order::Mute { leg: A, direction: ifbus_call::order::Direction::In, on: true };
    assert!(rig.outcome(mute).is_err(), "it would raise a false CHANNEL_PROGRESS_MEDIA");
}
