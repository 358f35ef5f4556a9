//! What is sent, byte for byte, and what was recorded, read back.

use ifbus_call::Order;
use ifbus_call::order::Done;
use serde::de::DeserializeOwned;

use super::rig::Rig;
use crate::opensips::shapes::{Figures, One, Page, Stage, Subscribers, Uptime, Variable};
use crate::wire_format::jsonrpc;

#[test]
fn every_question_is_as_the_server_takes_it() {
    let mut rig = Rig::ready(&[("events", "127.0.0.1:8449")]);
    let _ = rig.outcome(Order::Load);
    let _ = rig.outcome(Order::Drain { on: true });
    let subscribed =
        |event: &str| format!(r#""event_subscribe","params":["{event}","udp:127.0.0.1:8449",120]"#);
    let said = [
        r#""version""#.to_owned(),
        r#""which""#.to_owned(),
        r#""uptime""#.to_owned(),
        r#""events_list""#.to_owned(),
        subscribed("E_DLG_STATE_CHANGED"),
        subscribed("E_IFBUS_END"),
        subscribed("E_IFBUS_HEARTBEAT"),
        r#""dlg_list","params":{"index":0,"counter":100}"#.to_owned(),
        r#""get_statistics","params":{"statistics":["active_dialogs","early_dialogs","processed_dialogs"]}"#
            .to_owned(),
        r#""shv_get","params":["ifbus_drain"]"#.to_owned(),
        r#""shv_set","params":["ifbus_drain","int",1]"#.to_owned(),
    ];
    for (place, said) in said.iter().enumerate() {
        let whole = format!(r#"{{"jsonrpc":"2.0","method":{said},"id":{}}}"#, place + 1);
        assert_eq!(rig.asked[place], whole);
    }
    assert_eq!(rig.asked.len(), said.len());
}

#[test]
fn one_after_the_other_by_http() {
    let mut rig = Rig::ready(&[]);
    rig.server.deaf = vec!["get_statistics"];
    let first = rig.order(Order::Load);
    assert!(rig.answers[&first].is_err());
    assert!(matches!(rig.outcome(Order::List), Ok(Done::Listed(_))));
}

/// A recorded answer, by its result.
fn recorded<T: DeserializeOwned>(result: &str) -> T {
    let body = format!(r#"{{"jsonrpc":"2.0","result":{result},"id":1}}"#);
    jsonrpc::reply(200, body.as_bytes(), 1).expect("it is read")
}

/// As recorded, the descriptions shortened.
const DIALOG: &str = r#"{"Dialog":{"ID":"0a5.a7c10985","db_id":"6186238745722","state":4,"user_flags":"",
"timestart":1795340891,"datestart":"2026-11-22 09:48:11","timeout":1795362491,"dateout":"2026-11-22 15:48:11",
"callid":"zmc0idmwmcszs295@127.0.40.2","from_uri":"sip:alice@127.0.40.1","to_uri":"sip:ans-bob@127.0.40.1",
"caller_tag":"ceqei1am","caller_contact":"sip:ua@127.0.40.2:5060","callee_cseq":"0","caller_route_set":"",
"caller_bind_addr":"udp:127.0.40.1:5060","caller_sdp":"v=0\r\n","CALLEES":[{"callee_tag":"nbtxof2z",
"callee_contact":"sip:ua@127.0.40.3:5060","caller_cseq":"1","callee_route_set":"",
"callee_bind_addr":"udp:127.0.40.1:5060","callee_sdp":"v=0\r\n"}]}}"#;

#[test]
fn the_recorded_answers_are_read() {
    let since = "Sun Nov 22 09:46:08 2026";
    let uptime: Uptime = recorded(&format!(
        r#"{{"Now":"Sun Nov 22 09:46:19 2026","Up since":"{since}","Up time":"11 [sec]"}}"#
    ));
    assert_eq!(uptime.up_since, since);
    let one: One = recorded(DIALOG);
    assert_eq!((one.dialog.id.as_str(), one.dialog.stage()), ("0a5.a7c10985", Stage::Up));
    assert_eq!(one.dialog.callid, "zmc0idmwmcszs295@127.0.40.2");
    assert_eq!(one.dialog.caller_tag, "ceqei1am");
    let page: Page = recorded(r#"{"count":0,"Dialogs":[]}"#);
    assert_eq!((page.count, page.dialogs.len()), (0, 0));
    let told: Subscribers = recorded(
        r#"{"Event":{"name":"E_CALL_HOLD","id":21,"Subscribers":[{"socket":"udp:127.0.40.20:9001","expire":0,"ttl":"expired"}]}}"#,
    );
    assert_eq!(told.event.subscribers[0].ttl, "expired");
    let variable: Variable = recorded(r#"{"VAR":{"type":"integer","value":0}}"#);
    assert_eq!(variable.var.value, 0);
    // what it does not know is left out
    let figures: Figures = recorded(r#"{"dialog:active_dialogs":0,"load:load":0}"#);
    assert_eq!((figures.active, figures.processed), (Some(0), None));
}
