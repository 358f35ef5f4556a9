//! The recorded shapes, and what must never leave or be believed.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

#[test]
fn a_request_has_a_number_as_id_and_an_array_as_params() {
    let sent = |params: &[Param<'_>]| {
        String::from_utf8(request("dispatcher.set_state", params, 7).expect("it is fit")).expect("text")
    };
    assert_eq!(
        sent(&[Param::Text("d"), Param::Number(1), Param::Text("sip:gw:5060")]),
        r#"{"jsonrpc":"2.0","method":"dispatcher.set_state","params":["d",1,"sip:gw:5060"],"id":7}"#
    );
    assert_eq!(sent(&[]), r#"{"jsonrpc":"2.0","method":"dispatcher.set_state","id":7}"#);
    assert_eq!(
        sent(&[Param::Text("1\"\\{")]),
        r#"{"jsonrpc":"2.0","method":"dispatcher.set_state","params":["1\"\\{"],"id":7}"#
    );
}

#[test]
fn control_characters_and_long_texts_do_not_leave() {
    for (text, why) in [
        ("a\r\nb", Unfit::Control),
        ("a\u{0}", Unfit::Control),
        ("\u{85}", Unfit::Control),
        (&"x".repeat(TEXT_MAX + 1), Unfit::TooLong),
    ] {
        assert_eq!(request("m", &[Param::Text(text)], 1), Err(why));
    }
}

#[test]
fn the_recorded_answers_are_told_apart() {
    let text = |status, body: &str| reply::<Value>(status, body.as_bytes(), 1);
    assert_eq!(
        text(200, r#"{"jsonrpc":"2.0","result":"kamailio 5.6.3 (x86_64/linux) ","id":1}"#),
        Ok(Value::from("kamailio 5.6.3 (x86_64/linux) "))
    );
    assert_eq!(text(200, r#"{"jsonrpc":"2.0","result":{},"id":1}"#), Ok(serde_json::json!({})));
    let error = |code, message: &str| Err(Failure::Error { code, message: message.to_owned() });
    assert_eq!(
        text(404, r#"{"jsonrpc":"2.0","error":{"code":404,"message":"Dialog not found"},"id":1}"#),
        error(404, "Dialog not found")
    );
    let missing = text(500, r#"{"jsonrpc":"2.0","error":{"code":500,"message":"Method Not Found"},"id":1}"#);
    assert!(missing.as_ref().is_err_and(Failure::is_no_method), "{missing:?}");
    assert_eq!(text(401, "denied\n"), Err(Failure::Denied(401)));
    assert_eq!(text(404, "no such path\n"), Err(Failure::NotJsonRpc(404)));
    assert_eq!(text(200, "<html>"), Err(Failure::NotJsonRpc(200)));
    assert_eq!(text(200, r#"{"jsonrpc":"2.0","result":{},"id":2}"#), Err(Failure::WrongId));
    // a batch is answered so, with nothing done
    assert_eq!(text(200, r#"{"jsonrpc":"2.0","result":{}}"#), Err(Failure::NotJsonRpc(200)));
    assert!(matches!(text(200, r#"{"jsonrpc":"2.0","id":1}"#), Err(Failure::NotUnderstood(_))));
}

#[test]
fn a_result_of_another_form_is_no_result() {
    let body = br#"{"jsonrpc":"2.0","result":{"a":[1,2]},"id":1}"#;
    assert!(matches!(reply::<String>(200, body, 1), Err(Failure::NotUnderstood(_))));
}

#[test]
fn what_a_server_says_is_cut_and_made_harmless() {
    let long = format!(r#"{{"error":{{"code":500,"message":"\u001b[31m{}"}},"id":1}}"#, "x".repeat(5000));
    let Err(Failure::Error { message, .. }) = reply::<Value>(500, long.as_bytes(), 1) else {
        panic!("an error");
    };
    assert!(message.len() <= MESSAGE_MAX && !message.chars().any(char::is_control));
}

#[test]
fn names_and_lists_are_said_as_opensips_takes_them() {
    let said = |sent: Result<Vec<u8>, Unfit>| String::from_utf8(sent.expect("it is fit")).expect("text");
    assert_eq!(
        said(request_by_name("dlg_list", &[("index", Param::Number(0)), ("counter", Param::Number(100))], 7)),
        r#"{"jsonrpc":"2.0","method":"dlg_list","params":{"index":0,"counter":100},"id":7}"#
    );
    assert_eq!(
        said(request("get_statistics", &[Param::Texts(&["active_dialogs", "a\"b"])], 8)),
        r#"{"jsonrpc":"2.0","method":"get_statistics","params":[["active_dialogs","a\"b"]],"id":8}"#
    );
    assert_eq!(request_by_name("m", &[("n", Param::Texts(&["a\r\nb"]))], 1), Err(Unfit::Control));
}

#[test]
fn a_method_that_is_not_there_is_known_on_both() {
    let body = br#"{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"},"id":1}"#;
    assert!(reply::<Value>(200, body, 1).is_err_and(|failure| failure.is_no_method()));
}

#[test]
fn a_notification_is_told_from_an_answer() {
    let event =
        br#"{"jsonrpc":"2.0","method":"E_DLG_STATE_CHANGED","params":{"callid":"a@b","new_state":5}}"#;
    let (name, params) = notice::<Value>(event).expect("a notification");
    assert_eq!((name.as_str(), &params["callid"]), ("E_DLG_STATE_CHANGED", &Value::from("a@b")));
    assert_eq!(answers(event), None);
    // as the server was seen to say it
    let bare = notice::<Value>(br#"{"jsonrpc":"2.0","method":"E_IFBUS_HEARTBEAT"}"#).expect("a notification");
    assert_eq!(bare, ("E_IFBUS_HEARTBEAT".to_owned(), Value::Null));
    let answer = br#"{"jsonrpc":"2.0","result":"OK","id":27}"#;
    assert!(notice::<Value>(answer).is_err());
    assert_eq!(answers(answer), Some(27));
    assert_eq!(answers(b"500 Internal error"), None);
}

proptest! {
    #[test]
    fn what_is_sent_is_read_back(text in "[^\\p{Cc}]{0,100}", number: i64, id: u64) {
        let sent = request("m", &[Param::Text(&text), Param::Number(number)], id).expect("fit");
        let read: Value = serde_json::from_slice(&sent).expect("it is JSON");
        prop_assert_eq!(&read["params"][0], &Value::from(text));
        prop_assert_eq!(&read["params"][1], &Value::from(number));
        prop_assert_eq!(&read["id"], &Value::from(id));
    }

    #[test]
    fn no_answer_panics(status: u16, body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = reply::<Value>(status, &body, 1);
    }
}
