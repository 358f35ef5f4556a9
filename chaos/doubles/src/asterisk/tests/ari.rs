//! HTTP, the WebSocket of events, its filter and its takeover.

use super::lab::Lab;
use crate::asterisk::{Door, HttpState, Link, Options, Profile};
use crate::double::{Double as _, Extensions as _, Mortal as _, Reachable as _};

pub(super) const AUTH: &str = "Authorization: Basic aWZidXM6aWZidXMtc2VjcmV0\r\n";

pub(super) fn get(lab: &mut Lab, path: &str, headers: &str) -> String {
    let link = lab.open(Door::Http);
    lab.send(link, format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"));
    lab.text(link)
}

fn put(lab: &mut Lab, path: &str, body: &str) -> String {
    let link = lab.open(Door::Http);
    let length = body.len();
    lab.send(link, format!("PUT {path} HTTP/1.1\r\nHost: x\r\n{AUTH}Content-Length: {length}\r\n\r\n{body}"));
    lab.text(link)
}

pub(super) fn socket(lab: &mut Lab, app: &str) -> Link {
    let link = lab.open(Door::Http);
    lab.send(
        link,
        format!(
            "GET /ari/events?api_key=ifbus:ifbus-secret&app={app}&subscribeAll=true HTTP/1.1\r\nHost: x\r\n\
             Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ),
    );
    let text = lab.text(link);
    assert!(text.starts_with("HTTP/1.1 101 "), "{text}");
    assert!(text.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    link
}

/// The payloads of the text frames received.
pub(super) fn frames(lab: &mut Lab, link: Link) -> Vec<serde_json::Value> {
    let bytes = lab.raw(link);
    let (mut at, mut events) = (0, vec![]);
    while at < bytes.len() {
        let (length, start) = match bytes[at + 1] {
            126 => (usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]])), at + 4),
            127 => panic!("no event is that long"),
            short => (usize::from(short), at + 2),
        };
        if bytes[at] == 0x81 {
            events.push(serde_json::from_slice(&bytes[start..start + length]).unwrap());
        }
        at = start + length;
    }
    events
}

fn kinds(events: &[serde_json::Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

const USEFUL: &str = r#"{"allowed":[{"type":"ChannelCreated"},{"type":"ChannelStateChange"},{"type":"ChannelDestroyed"},
    {"type":"ChannelEnteredBridge"},{"type":"ChannelLeftBridge"},{"type":"ApplicationReplaced"}]}"#;

#[test]
fn requests_are_answered_as_by_the_real_server() {
    let mut lab = Lab::new(Options::default());
    assert!(get(&mut lab, "/ari/asterisk/ping", "").starts_with("HTTP/1.1 401 Unauthorized\r\n"));
    assert!(get(&mut lab, "/ari/asterisk/ping", AUTH).contains("\"ping\":\"pong\""));
    let info = get(&mut lab, "/ari/asterisk/info?api_key=ifbus:ifbus-secret", "");
    assert!(info.contains("\"version\":\"22.10.1+dfsg+~cs6.17.60671434-1\",\"entity_id\":"), "{info}");
    assert!(get(&mut lab, "/ari/applications/x", AUTH).contains("{\"message\":\"Application not found\"}"));
    assert!(get(&mut lab, "/ari/events?app=x", AUTH).starts_with("HTTP/1.1 426 Upgrade Required\r\n"));
    assert!(get(&mut lab, "/ari/x", AUTH).starts_with("HTTP/1.1 404 Not Found\r\n"));
    let link = lab.login("ifbus", "off");
    lab.leg(link, "1001", "a");
    let channels = get(&mut lab, "/ari/channels", AUTH);
    assert!(
        channels.contains("[{\"id\":\"a\",\"name\":\"PJSIP/1001-00000000\",\"state\":\"Up\""),
        "{channels}"
    );
    assert!(get(&mut lab, "/ari/channels/a", AUTH).contains("\"id\":\"a\""));
}

#[test]
fn the_filter_is_set_on_a_living_application_and_holds() {
    let mut lab = Lab::new(Options::default());
    let path = "/ari/applications/bus/eventFilter";
    assert!(put(&mut lab, path, USEFUL).starts_with("HTTP/1.1 404"));
    let events = socket(&mut lab, "bus");
    assert!(put(&mut lab, path, "garbage").contains("Error parsing request body"));
    assert!(put(&mut lab, path, "{\"allowed\":1}").contains("Invalid format definition"));
    let set = put(&mut lab, path, USEFUL);
    assert!(set.contains("\"events_allowed\":[{\"type\":\"ChannelCreated\"},"), "{set}");
    assert!(set.contains("__AST_CHANNEL_ALL_TOPIC"));
    let link = lab.login("ifbus", "off");
    lab.pair(link);
    lab.act(link, "Action: Hangup\nChannel: a\nCause: 16");
    let heard = frames(&mut lab, events);
    assert_eq!(kinds(&heard)[..3], ["ChannelCreated", "ChannelStateChange", "ChannelStateChange"]);
    assert_eq!(kinds(&heard).iter().filter(|k| **k == "ChannelDestroyed").count(), 2);
    assert!(!kinds(&heard).contains(&"ChannelVarset"));
    assert!(heard.iter().all(|event| event["application"] == "bus"));
    let first = &heard[0]["channel"];
    assert_eq!((first["id"].as_str(), first["state"].as_str()), (Some("a"), Some("Down")));
}

#[test]
fn created_is_first_and_destroyed_last_whatever_the_order_in_ami() {
    for seed in 0..40 {
        let mut lab = Lab::new(Options::default().with_seed(seed));
        let events = socket(&mut lab, "bus");
        let link = lab.login("ifbus", "off");
        lab.machine.plan("1001", crate::phone::Plan::declines());
        lab.leg(link, "1001", "a");
        let heard = frames(&mut lab, events);
        let of_leg: Vec<&serde_json::Value> =
            heard.iter().filter(|e| e["channel"]["id"] == "a" || e["peer"]["id"] == "a").collect();
        assert_eq!(of_leg[0]["type"], "ChannelCreated");
        let last = of_leg.last().unwrap();
        assert_eq!((last["type"].as_str(), last["cause"].as_u64()), (Some("ChannelDestroyed"), Some(21)));
        assert_eq!(last["tech_cause"], 603);
    }
}

#[test]
fn a_second_connection_takes_the_application_over() {
    let mut lab = Lab::new(Options::default());
    let first = socket(&mut lab, "bus");
    let second = socket(&mut lab, "bus");
    assert_eq!(kinds(&frames(&mut lab, first)), ["ApplicationReplaced"]);
    let link = lab.login("ifbus", "off");
    lab.leg(link, "1001", "a");
    assert!(frames(&mut lab, first).is_empty());
    assert!(!frames(&mut lab, second).is_empty());
    let other = socket(&mut lab, "other");
    lab.leg(link, "1002", "b");
    assert!(!frames(&mut lab, other).is_empty() && !frames(&mut lab, second).is_empty());
}

#[test]
fn an_application_outlives_its_connection_on_16_and_not_on_22() {
    for (profile, survives) in [(Profile::V16, true), (Profile::V22, false)] {
        let mut lab = Lab::new(Options::new(profile));
        let events = socket(&mut lab, "bus");
        put(&mut lab, "/ari/applications/bus/eventFilter", USEFUL);
        lab.machine.handle(crate::asterisk::Input::Closed(events), lab.now);
        let after = get(&mut lab, "/ari/applications/bus", AUTH);
        assert_eq!(after.contains("\"events_allowed\":[{"), survives, "{after}");
    }
}

#[test]
fn a_forged_caller_stays_a_string() {
    let mut lab = Lab::new(Options::default());
    let events = socket(&mut lab, "bus");
    let raw = "7\r\n\r\nEvent: Hangup\r\n\"}{";
    lab.machine.hostile_call(raw, lab.now);
    lab.collect();
    let heard = frames(&mut lab, events);
    assert!(heard.iter().any(|e| e["type"] == "ChannelCreated" && e["channel"]["caller"]["number"] == raw));
}

#[test]
fn pings_are_answered_and_a_close_is_returned() {
    let mut lab = Lab::new(Options::default());
    let link = socket(&mut lab, "bus");
    lab.send(link, [0x89, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2]);
    assert_eq!(lab.raw(link), b"\x8a\x02hi");
    lab.send(link, [0x88, 0x80, 0, 0, 0, 0]);
    assert_eq!(lab.raw(link), b"\x88\x00");
    assert!(lab.ended.contains_key(&link));
    let other = socket(&mut lab, "bus");
    lab.send(other, [0x81, 0x01, b'x']);
    assert!(lab.ended.contains_key(&other), "an unmasked frame ends the connection");
}

#[test]
fn http_can_be_switched_off_and_on() {
    let mut lab = Lab::new(Options::default());
    let events = socket(&mut lab, "bus");
    let mut faults = lab.machine.faults().clone();
    faults.http = HttpState::Unavailable;
    lab.machine.set_faults(faults.clone(), lab.now);
    lab.collect();
    assert!(lab.ended.contains_key(&events));
    assert!(get(&mut lab, "/ari/asterisk/ping", AUTH).starts_with("HTTP/1.1 503 "));
    faults.http = HttpState::Closed;
    lab.machine.set_faults(faults.clone(), lab.now);
    let refused = lab.open(Door::Http);
    assert!(lab.ended.contains_key(&refused));
    faults.http = HttpState::On;
    lab.machine.set_faults(faults, lab.now);
    assert!(get(&mut lab, "/ari/asterisk/ping", AUTH).contains("pong"));
}
