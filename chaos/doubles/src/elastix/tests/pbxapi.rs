//! What pbxapi does to calls, and its faults that an adapter has to live with.

use std::time::Duration;

use super::Rig;
use crate::double::{Extensions, Mortal};
use crate::phone::Plan;

fn calling() -> Rig {
    let mut rig = Rig::new();
    for number in ["1001", "1002"] {
        rig.machine.plan(number, Plan::answers(Duration::from_millis(200)));
    }
    let asked = "manager/originate?channel=SIP/1001&extension=1002&context=from-internal&priority=1&timeout=20000\
                 &callerid=Test <1002>&variable=__IFBUS_CALL=c1,IFBUS_LEG=l1";
    let got = rig.get(asked);
    assert_eq!(got.body, r#"{"status":"ok", "message":"Originate successfully queued"}"#);
    rig
}

#[test]
fn an_originate_blocks_until_the_first_party_answers_and_rings_the_second() {
    let mut rig = calling();
    assert!(rig.now >= Duration::from_millis(200));
    rig.wait(Duration::from_secs(1));
    assert_eq!((rig.machine.live("1001"), rig.machine.live("1002")), (1, 1));
    let list: serde_json::Value = serde_json::from_str(&rig.get("manager/status").body).expect("JSON");
    let list = list.as_array().expect("a list");
    assert_eq!(list.len(), 2);
    assert!(list.iter().all(|channel| channel["Event"] == "Status" && channel["ChannelState"] == "6"));
    assert!(list.iter().all(|channel| channel["DNID"] == false && channel["Seconds"].is_string()));
    assert_eq!(list[0]["BridgeID"], list[1]["BridgeID"]);
    assert_eq!(list[0]["Linkedid"], list[1]["Linkedid"]);
}

#[test]
fn a_variable_is_read_and_a_call_hung_up_by_the_channel_of_the_list() {
    let mut rig = calling();
    let list: serde_json::Value = serde_json::from_str(&rig.get("manager/status").body).expect("JSON");
    let first =
        list.as_array().expect("a list").iter().find(|channel| channel["Uniqueid"] == channel["Linkedid"]);
    let name = first.expect("it is there")["Channel"].as_str().expect("a name").to_owned();
    let value =
        rig.get(&format!("manager/getvar?channel={name}&variable=EVAL(${{IFBUS_CALL}}~${{IFBUS_LEG}})"));
    assert!(value.body.ends_with("\"value\":\"c1~l1\"}"), "{value:?}");
    let hangup = format!("manager/hangup?channel={name}&cause=16");
    assert_eq!(rig.get(&hangup).body, r#"{"status":"ok", "message":"Channel Hungup"}"#);
    assert_eq!(rig.get(&hangup).body, r#"{"status":"error", "message":"No such channel"}"#);
}

#[test]
fn a_line_that_is_injected_reaches_ami() {
    // the hole that an adapter must not fall into: what it sends is pasted as it is
    let mut rig = Rig::new();
    rig.machine.plan("1001", Plan::rings());
    let asked = "manager/hangup?channel=SIP/x\r\nAction: Ping\r\nActionID: pbxapi\r\n\r\n";
    assert!(rig.get(asked).body.contains("error"));
}

#[test]
fn a_write_without_the_word_blocks_for_a_reload() {
    let mut rig = Rig::new();
    let header = format!("Content-Type: application/json\r\nAuthorization: Bearer {}", rig.token);
    let before = rig.now;
    let got = rig.ask("PUT", "extensions/1020", &header, r#"{"name":"X","secret":"y","tech":"pjsip"}"#);
    assert_eq!(got.status, "201 Created");
    assert!(rig.now - before >= Duration::from_secs(5));
    assert!(rig.get("extensions/1020").body.contains(r#""dial":"PJSIP\/1020""#));
    assert_eq!(rig.get("extensions/1099").body, r#"{"status":"success","results":[]}"#);
    assert_eq!(rig.get("conferences/1099").status, "404 Not Found");
}

#[test]
fn a_login_is_read_as_json_whatever_its_type_says() {
    let mut rig = Rig::new();
    let body = r#"{"user":"admin","password":"admin-secret"}"#;
    let got = rig.ask("POST", "authenticate", "Content-Type: application/json; charset=utf-8", body);
    assert_eq!(got.status, "200 OK");
    let got = rig.ask("POST", "authenticate", "Content-Type: text/plain", "user=admin&password=wrong");
    assert_eq!((got.status.as_str(), got.body.as_str()), ("403 Forbidden", ""));
}

#[test]
fn what_a_real_one_says_where_there_is_nothing_to_say() {
    let mut rig = Rig::new();
    assert_eq!(rig.get("manager/dbget?family=AMPUSER&key=ifbus").body, r#"{"result":""}"#);
    assert_eq!(rig.get("manager/nosuch").body, rig.get("manager").body);
    assert_eq!(rig.get("authenticate").body, r#"{"status":"unauthorized"}"#);
    let renewed = rig.get("authenticate/renewtoken?refresh_token=x&access_token=x");
    assert_eq!((renewed.status.as_str(), renewed.body.as_str()), ("200 OK", r#"{"status": "unauthorized"}"#));
}

#[test]
fn an_account_that_may_not_log_in_is_a_connection_that_fails() {
    let mut rig = Rig::new();
    rig.machine.inside.refuse_actions(true);
    assert_eq!(rig.get("manager/status").body, r#"{"status":"error","reason":"Could not connect to AMI"}"#);
    rig.machine.inside.refuse_actions(false);
    rig.machine.restart(rig.now);
    assert_eq!(rig.get("manager/status").body, "[]");
}
