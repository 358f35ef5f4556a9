//! From nothing to ready and back to nothing.

use std::time::Duration;

use ifbus_call::order::{Done, Evidence, Verdict};
use ifbus_call::{Boot, Epoch, Interface, Order, Refused, Why};

use super::rig::{A, B, Rig, dial, native};
use crate::adapter::{Adapter, DownReason, Endpoint, Input, LinkError, LinkId, Output};
use crate::asterisk::machine::{COMMANDS, SIP, STREAM, TONES, WATCH};
use crate::trust::Trust;

#[test]
fn it_is_ready_when_it_is_logged_in_and_the_calls_are_listed() {
    let rig = Rig::ready(true);
    assert_eq!(rig.ready[0].boot, Boot("2026-11-24 08:03:18".to_owned()));
    assert_eq!(rig.ready[0].version, "22.10.1+dfsg");
    assert_eq!(rig.ready[0].epoch, Epoch(1));
    assert!(rig.warnings.is_empty(), "{:?}", rig.warnings);
}

#[test]
fn nothing_is_due_when_nothing_happens() {
    for ari in [true, false] {
        assert_eq!(Rig::ready(ari).machine.deadline(), None, "ari {ari}");
        assert_eq!(
            Rig::joined(ari).machine.deadline().map(|at| at.since_start() < Duration::from_secs(1)),
            None
        );
    }
}

#[test]
fn the_secret_is_never_sent_where_a_challenge_is_known() {
    let rig = Rig::ready(true);
    assert!(rig.sent.iter().all(|(_, text)| !text.contains("ifbus-secret")));
    // MD5 of `133931486ifbus-secret`
    let key = "Key: ".to_owned() + &crate::wire_format::md5::hex(b"133931486ifbus-secret");
    assert!(rig.sent.iter().any(|(_, text)| text.contains(&key)));
}

#[test]
fn no_action_comes_before_the_login() {
    let rig = Rig::ready(true);
    for slot in [COMMANDS, WATCH] {
        let first: Vec<&str> = rig
            .sent
            .iter()
            .filter(|(sent, _)| *sent == slot)
            .filter_map(|(_, text)| text.lines().next())
            .take(2)
            .collect();
        assert_eq!(first, ["Action: Challenge", "Action: Login"]);
    }
}

#[test]
fn a_refused_login_is_told_in_the_servers_words() {
    let mut rig = Rig::new(true);
    rig.server.refuses.insert("Login", "Authentication failed");
    rig.start();
    assert_eq!(rig.down.len(), 1);
    assert_eq!(rig.down[0].reason, DownReason::LoginRefused("Authentication failed".to_owned()));
    assert_eq!(rig.machine.deadline(), None);
}

#[test]
fn a_server_that_listens_and_is_silent_is_given_up() {
    let mut rig = Rig::new(true);
    rig.server.deaf = vec!["Challenge"];
    rig.start();
    rig.advance(Duration::from_secs(5));
    assert_eq!(rig.down[0].reason, DownReason::Silent(Duration::from_secs(5)));
}

#[test]
fn a_server_that_is_not_there_is_unreachable() {
    let mut rig = Rig::new(true);
    rig.dead = vec![COMMANDS, WATCH, STREAM];
    rig.start();
    assert_eq!(rig.down[0].reason, DownReason::Unreachable(LinkError::Refused));
    assert_eq!(rig.down.len(), 1);
}

#[test]
fn another_protocol_is_not_asterisk() {
    let mut rig = Rig::new(true);
    rig.server.greeting = "SSH-2.0-OpenSSH_9.6\r\n";
    rig.start();
    assert!(matches!(rig.down[0].reason, DownReason::NotTheKind(_)), "{:?}", rig.down);
}

#[test]
fn without_ari_it_goes_on_with_ami_alone_and_says_so() {
    let mut rig = Rig::new(true);
    rig.dead = vec![STREAM];
    rig.server.ari = false;
    rig.start();
    assert_eq!(rig.ready.len(), 1);
    assert_eq!(rig.warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(), ["ari_off"]);
    rig.proven(dial(A, "1001"));
    assert!(rig.events.contains(&ifbus_call::Event::Answered(A)));
}

#[test]
fn noise_does_not_hide_that_nothing_is_answered() {
    let mut rig = Rig::ready(true);
    rig.server.deaf = vec!["Ping"];
    for _ in 0..11 {
        rig.give(Order::Probe);
        rig.feed(WATCH, b"Event: TestEvent\r\nState: x\r\n\r\n");
        rig.feed(COMMANDS, b"HTTP/1.1 200 OK\r\n\r\nResponse: Success\r\nActionID: 7\r\n\r\n");
        rig.advance(Duration::from_secs(1));
    }
    assert_eq!(rig.down[0].reason, DownReason::Silent(Duration::from_secs(10)));
}

#[test]
fn a_stream_that_falls_silent_is_given_up_although_it_is_asked_each_second() {
    let mut rig = Rig::ready(true);
    rig.echo = false;
    for _ in 0..11 {
        rig.give(Order::Probe);
        rig.advance(Duration::from_secs(1));
    }
    assert_eq!(rig.down[0].to_string(), "events: silent for 10s");
}

#[test]
fn somebody_else_at_the_port_of_ari_is_no_reason_to_go_on_with_the_weaker_way() {
    let mut rig = Rig::with(true, &[("tls", "pin")]);
    rig.dead = vec![STREAM];
    rig.why = LinkError::Tls("certificate changed: expected ab.., got cd..".to_owned());
    rig.start();
    assert_eq!(rig.down.len(), 1);
    assert_eq!(rig.down[0].to_string(), "events: certificate changed: expected ab.., got cd..");
    assert_eq!(rig.ready.len(), 0);
}

#[test]
fn every_link_and_request_of_a_server_with_tls_asks_for_the_same_trust() {
    let mut rig = Rig::with(true, &[("tls", "pin")]);
    rig.machine.handle(Input::Start(Epoch(1)), rig.now);
    let mut asked = Vec::new();
    let mut fed = false;
    loop {
        while let Some(output) = rig.machine.poll() {
            match output {
                Output::Open(_, Endpoint::Tcp { tls, port, .. }) => asked.push((port, tls)),
                Output::Open(_, Endpoint::WebSocket { tls, port, .. }) => asked.push((port, tls)),
                Output::Http(_, request) => asked.push((request.port, request.tls)),
                _ => {}
            }
        }
        if std::mem::replace(&mut fed, true) {
            break;
        }
        rig.machine.handle(Input::Opened(LinkId { epoch: Epoch(1), slot: STREAM }), rig.now);
    }
    let trust = Some(Trust::FirstUse("pbx".parse().expect("a name")));
    assert_eq!(asked, [5039, 5039, 8089, 8089].map(|port| (port, trust.clone())));
}

#[test]
fn a_peer_without_a_challenge_gets_the_secret_where_nobody_else_can_read_it_and_nowhere_else() {
    for (host, tls, given) in
        [("127.0.0.1", "off", true), ("192.0.2.10", "pin", true), ("192.0.2.10", "off", false)]
    {
        let mut rig = Rig::with(false, &[("ari_port", "0"), ("host", host), ("tls", tls)]);
        rig.server.refuses.insert("Challenge", "Invalid/unknown command");
        rig.start();
        let told = rig.sent.iter().any(|(_, text)| text.contains("Secret: ifbus-secret"));
        assert_eq!(told, given, "{host} {tls}");
        assert_eq!(rig.ready.len(), usize::from(given), "{host} {tls}: {:?}", rig.down);
    }
}

#[test]
fn a_filter_that_is_refused_costs_a_warning_only() {
    let mut rig = Rig::new(true);
    rig.status = 403;
    rig.start();
    assert_eq!(rig.ready.len(), 1);
    assert_eq!(rig.warnings[0].code, "ari_filter");
}

#[test]
fn a_lost_event_stream_ends_the_life_because_facts_are_missed() {
    let mut rig = Rig::ready(true);
    rig.close(STREAM, LinkError::Reset);
    assert_eq!(rig.down[0].interface, Interface::Events);
    assert!(rig.closed.contains(&COMMANDS) && rig.closed.contains(&WATCH));
}

#[test]
fn a_rival_with_our_name_ends_the_life() {
    let mut rig = Rig::ready(true);
    rig.server.json(r#"{"type":"ApplicationReplaced"}"#);
    rig.pump();
    assert_eq!(rig.down[0].interface, Interface::Events);
    assert_eq!(rig.warnings[0].code, "ari_replaced");
}

#[test]
fn a_dropped_link_answers_every_open_order() {
    for slot in [COMMANDS, WATCH] {
        let mut rig = Rig::ready(true);
        rig.server.deaf = vec!["Originate", "Status", "Ping", "ListCommands"];
        let tickets =
            [dial(A, "1001"), Order::List, Order::Probe, Order::Inspect].map(|order| rig.give(order));
        // waits for the dial of the same leg: not a byte of it has left us
        let behind = rig.give(Order::Drop { leg: A, cause: ifbus_call::Cause::Canceled });
        rig.close(slot, LinkError::Reset);
        for ticket in tickets {
            assert_eq!(rig.answers[&ticket], Err(Refused::link_lost()), "ticket {ticket}");
        }
        assert_eq!(rig.answers[&behind], Err(Refused::unsent(Why::LinkLost)));
        assert_eq!(rig.down[0].reason, DownReason::Lost(LinkError::Reset));
        assert_eq!(rig.machine.deadline(), None);
    }
}

#[test]
fn a_stop_answers_every_order_says_goodbye_and_closes_every_link() {
    let mut rig = Rig::joined(true);
    rig.server.deaf = vec!["Hangup"];
    let ticket = rig.give(Order::Drop { leg: A, cause: ifbus_call::Cause::Answered });
    rig.input(Input::Stop);
    assert_eq!(rig.answers[&ticket], Err(Refused::link_lost()));
    assert_eq!(rig.count("Logoff"), 2);
    assert_eq!(rig.closed, [COMMANDS, WATCH, STREAM]);
    assert_eq!(rig.down[0].reason, DownReason::Stopped);
}

#[test]
fn orders_before_ready_are_refused_and_not_kept() {
    let mut rig = Rig::new(true);
    let ticket = rig.give(Order::List);
    assert_eq!(rig.answers[&ticket], Err(Refused::unsent(Why::NotReady)));
}

#[test]
fn nothing_of_an_older_life_is_believed() {
    let mut rig = Rig::joined(true);
    let old = LinkId { epoch: rig.epoch, slot: STREAM };
    rig.input(Input::Stop);
    rig.start();
    let events = rig.events.len();
    let gone = format!(r#"{{"type":"ChannelDestroyed","cause":16,"channel":{{"id":"{}"}}}}"#, native(A));
    rig.input(Input::Bytes(old, gone.as_bytes()));
    rig.input(Input::Closed(old, LinkError::Reset));
    rig.input(Input::Start(Epoch(1)));
    assert_eq!(rig.events.len(), events);
    assert_eq!(rig.down.len(), 1, "only the stop");
    rig.proven(Order::Join { a: A, b: B });
}

#[test]
fn a_goodbye_is_believed_when_the_connection_closes() {
    let mut rig = Rig::ready(false);
    let goodbye = b"Event: Shutdown\r\nPrivilege: system,all\r\nShutdown: Cleanly\r\nRestart: False\r\n\r\n";
    rig.feed(WATCH, goodbye);
    assert!(rig.down.is_empty(), "a caller can write this word");
    rig.close(WATCH, LinkError::Closed);
    assert_eq!(rig.down[0].reason, DownReason::ShuttingDown);
}

#[test]
fn a_goodbye_that_nothing_follows_is_forgotten() {
    let mut rig = Rig::ready(false);
    rig.feed(WATCH, b"Event: Shutdown\r\nShutdown: Cleanly\r\n\r\n");
    rig.advance(Duration::from_secs(60));
    rig.close(WATCH, LinkError::Reset);
    assert_eq!(rig.down[0].reason, DownReason::Lost(LinkError::Reset));
}

#[test]
fn a_reload_loses_nothing() {
    let mut rig = Rig::joined(true);
    let (sent, events) = (rig.sent.len(), rig.events.len());
    rig.feed(WATCH, b"Event: Reload\r\nPrivilege: system,all\r\nModule: All\r\nStatus: 0\r\n\r\n");
    assert_eq!((rig.sent.len(), rig.events.len()), (sent, events));
    rig.proven(Order::Join { a: A, b: B });
}

#[test]
fn a_message_that_was_cut_by_the_close_changes_nothing() {
    let mut rig = Rig::ready(false);
    rig.proven(dial(A, "1001"));
    let events = rig.events.len();
    rig.feed(WATCH, format!("Event: Hangup\r\nUniqueid: {}\r\nCause: 16\r\n", native(A)).as_bytes());
    rig.close(WATCH, LinkError::Closed);
    assert_eq!(rig.events.len(), events);
}

#[test]
fn a_half_open_connection_is_found_by_the_ping() {
    let mut rig = Rig::ready(true);
    rig.server.deaf = vec!["Ping"];
    let Ok(Done::Probed(probed)) = rig.outcome(Order::Probe) else { panic!("a probe reports") };
    let line = probed.iter().find(|line| line.interface == Interface::Management).expect("it was asked");
    assert!(line.answered.is_err(), "{line:?}");
    assert!(rig.down.is_empty());
    rig.advance(Duration::from_secs(10));
    assert_eq!(rig.down[0].reason, DownReason::Silent(Duration::from_secs(10)));
}

#[test]
fn a_probe_times_orders_and_events_and_does_not_wait_for_sip() {
    let mut rig = Rig::ready(true);
    let Ok(Done::Probed(probed)) = rig.outcome(Order::Probe) else { panic!("a probe reports") };
    let answered: Vec<(Interface, bool)> =
        probed.iter().map(|line| (line.interface, line.answered.is_ok())).collect();
    assert_eq!(answered, [(Interface::Management, true), (Interface::Events, true)]);
}

#[test]
fn sip_that_stays_silent_is_told_and_ends_no_life() {
    let mut rig = Rig::ready(true);
    let ticket = rig.give(Order::ProbeSip);
    assert!(!rig.answers.contains_key(&ticket), "SIP has not answered");
    while !rig.answers.contains_key(&ticket) {
        rig.tick();
    }
    let Ok(Done::Probed(probed)) = rig.answers[&ticket].clone() else { panic!("a probe reports") };
    assert!(matches!(&probed[..], [line] if line.interface == Interface::Sip && line.answered.is_err()));
    rig.close(SIP, LinkError::Refused);
    assert!(rig.down.is_empty(), "SIP is dead, management is not");
}

#[test]
fn an_inspection_names_what_is_missing_and_what_to_do() {
    let mut rig = Rig::ready(true);
    let Ok(Done::Inspected(findings)) = rig.outcome(Order::Inspect) else { panic!("an inspection reports") };
    let of = |area: &str| -> Vec<(Verdict, &str)> {
        findings
            .iter()
            .filter(|line| line.area == area)
            .map(|line| (line.verdict, line.text.as_str()))
            .collect()
    };
    assert_eq!(of("version"), [(Verdict::Ok, "22.10.1+dfsg")]);
    assert_eq!(of("events").len(), 1);
    assert_eq!(of("events")[0].0, Verdict::Ok);
    let missing = (Verdict::Fail, "not permitted: MixMonitor, Redirect, Status, UserEvent");
    assert_eq!(of("rights"), [missing, (Verdict::Ok, "the ends of calls are heard")]);
    let dialplan = of("dialplan");
    assert_eq!(dialplan.iter().filter(|(verdict, _)| *verdict == Verdict::Ok).count(), 3);
    assert!(dialplan.contains(&(Verdict::Fail, "hold@ifbus is missing")), "{dialplan:?}");
    assert!(findings.iter().filter(|line| line.verdict == Verdict::Fail).all(|line| line.fix.is_some()));
}

#[test]
fn lost_tones_are_answered_and_end_nothing_else() {
    let mut rig = Rig::joined(true);
    rig.server.deaf = vec!["PlayDTMF"];
    let ticket = rig.give(Order::Dtmf { leg: A, digits: "12".parse().expect("digits") });
    let behind = rig.give(Order::Dtmf { leg: A, digits: "3".parse().expect("digits") });
    rig.close(TONES, LinkError::Reset);
    assert_eq!(rig.answers[&ticket], Err(Refused::link_lost()));
    let unsent = Refused { evidence: Evidence::NothingSent, ..Refused::link_lost() };
    assert_eq!(rig.answers[&behind], Err(unsent));
    assert!(rig.down.is_empty());
    rig.server.deaf.clear();
    rig.proven(Order::Dtmf { leg: A, digits: "1".parse().expect("digits") });
}

#[test]
fn a_stream_that_the_server_forgot_at_birth_is_opened_again() {
    for replies in [vec![404], vec![200, 404], vec![404, 200, 404]] {
        let mut rig = Rig::new(true);
        rig.replies = replies.clone().into();
        rig.start();
        assert!(rig.ready.is_empty());
        rig.advance(Duration::from_secs(2));
        assert_eq!(rig.ready.len(), 1, "{replies:?}");
        assert!(rig.closed.contains(&STREAM) && rig.warnings.is_empty());
        rig.proven(dial(A, "1001"));
        assert_eq!(rig.machine.deadline(), None);
    }
}

#[test]
fn a_stream_on_which_nothing_comes_back_is_not_relied_on() {
    let mut rig = Rig::new(true);
    rig.echo = false;
    rig.server.ari = false;
    rig.start();
    assert!(rig.ready.is_empty(), "it is not proven");
    rig.advance(Duration::from_secs(5));
    assert_eq!(rig.ready.len(), 1);
    assert_eq!(rig.warnings[0].code, "ari_off");
    rig.proven(dial(A, "1001"));
}

#[test]
fn a_stream_that_the_server_forgets_later_is_found_by_the_probe() {
    let mut rig = Rig::ready(true);
    rig.replies = [404].into();
    let ticket = rig.give(Order::Probe);
    assert!(rig.answers.contains_key(&ticket));
    assert_eq!(rig.down[0].interface, Interface::Events);
}

#[test]
fn a_stream_that_falls_silent_is_found_by_the_probe() {
    let mut rig = Rig::ready(true);
    rig.echo = false;
    let Ok(Done::Probed(probed)) = rig.outcome(Order::Probe) else { panic!("a probe reports") };
    assert!(probed.iter().any(|line| line.interface == Interface::Events && line.answered.is_err()));
    rig.advance(Duration::from_secs(10));
    assert_eq!(rig.down[0].reason, DownReason::Silent(Duration::from_secs(10)));
    assert_eq!(rig.down[0].interface, Interface::Events);
}

#[test]
fn an_ari_user_that_may_only_read_is_not_dead() {
    let mut rig = Rig::ready(true);
    rig.status = 403;
    let Ok(Done::Probed(probed)) = rig.outcome(Order::Probe) else { panic!("a probe reports") };
    assert!(probed.iter().any(|line| line.interface == Interface::Events && line.answered.is_ok()));
    rig.advance(Duration::from_secs(30));
    assert!(rig.down.is_empty());
}

#[test]
fn a_rival_that_comes_while_the_list_is_made_ends_the_life_and_nothing_follows() {
    let mut rig = Rig::new(true);
    rig.server.deaf = vec!["Status"];
    rig.start();
    rig.server.json(r#"{"type":"ApplicationReplaced"}"#);
    rig.server.json(&format!(r#"{{"type":"ChannelCreated","channel":{{"id":"{}"}}}}"#, native(A)));
    rig.pump();
    rig.server.deaf.clear();
    let (_, text) = rig.sent.iter().rfind(|(_, text)| text.contains("Status")).cloned().expect("asked");
    rig.server.take(WATCH, text.as_bytes());
    rig.pump();
    assert_eq!(rig.down.len(), 1);
    assert!(rig.events.is_empty(), "{:?}", rig.events);
}

#[test]
fn a_join_that_still_looks_at_its_legs_has_sent_nothing() {
    let mut rig = Rig::ready(true);
    for leg in [A, B] {
        rig.proven(dial(leg, "1001"));
    }
    rig.server.deaf = vec!["Status"];
    let ticket = rig.give(Order::Join { a: A, b: B });
    rig.close(COMMANDS, LinkError::Reset);
    let unsent = Refused { evidence: Evidence::NothingSent, ..Refused::link_lost() };
    assert_eq!(rig.answers[&ticket], Err(unsent));
}
