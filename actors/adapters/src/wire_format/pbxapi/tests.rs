use proptest::prelude::*;

use super::*;

const LIST: &[u8] = br#"{"status":"success","results":[{"dial":"SIP\/200","secret":"alicepw1","context":"from-internal","extension":"200","name":"Alice","tech":"sip","voicemail":[],"followme":[],"dictation":[]},{"dial":"PJSIP\/201","secret":"bobpw1","extension":201,"name":false}]}"#;
const STATUS: &[u8] = br#"[{"Event":"Status","Channel":"SIP\/201-00000001","ChannelState":"6","CallerIDNum":"201","AccountCode":false,"Exten":false,"Uniqueid":"1795341302.3","Linkedid":"1795341300.0","BridgeID":"b72a6520","Seconds":"2"},{"Channel":"SIP\/200-00000000","Uniqueid":"1795341300.0","BridgeID":false}]"#;

#[test]
fn an_expired_token_is_known_by_its_body_alone() {
    assert_eq!(answer(200, b"{\"status\": \"expired\"}"), Answer::Expired);
    assert_eq!(answer(200, b"{\"status\":\"expired\",\"type\":\"refresh\"}\n"), Answer::Expired);
    assert_eq!(
        answer(200, b"{\"status\":\"success\",\"results\":[]}"),
        Answer::Body(b"{\"status\":\"success\",\"results\":[]}")
    );
}

#[test]
fn a_token_that_is_over_for_weeks_is_known_in_the_error_page() {
    let page = b"<!DOCTYPE html>\n<html>\n<head><title>500 Internal Server Error</title></head>\n<body>\n\
        <h1>Internal Server Error</h1>\n<p>Expired token [/var/www/html/pbxapi/models/Firebase/JWT/JWT.php:123]</p>";
    assert_eq!(answer(500, page), Answer::Expired);
    assert_eq!(answer(502, page), Answer::Page(502));
}

#[test]
fn a_page_is_known_by_its_first_character_whatever_its_status() {
    let page = b"\n<!DOCTYPE html>\n<html><head><title>500 Internal Server Error</title>";
    for status in [200, 403, 405, 500, 502] {
        assert_eq!(answer(status, page), Answer::Page(status));
    }
    assert_eq!(answer(404, page), Answer::Absent);
    assert_eq!(answer(404, b""), Answer::Absent);
    assert_eq!(answer(403, b""), Answer::Forbidden);
    assert_eq!(answer(201, b""), Answer::Empty);
    assert_eq!(answer(500, b"{\"status\":\"error\"}"), Answer::Status(500));
}

#[test]
fn a_token_that_could_leave_its_header_is_refused() {
    let good =
        br#"{"access_token":"eyJ0eXAi.abc-_.x","expires_in":3600,"refresh_token":"r","token_type":"Bearer"}"#;
    assert_eq!(token(good), Ok(Token { access: "eyJ0eXAi.abc-_.x".to_owned(), expires_in: 3600 }));
    for bad in [
        r#"{"access_token":"a\r\nHost: x"}"#,
        r#"{"access_token":""}"#,
        "{}",
        "[]",
        "null",
        "{\"access_token\":7}",
    ] {
        assert!(token(bad.as_bytes()).is_err(), "{bad}");
    }
    let long = format!("{{\"access_token\":\"{}\"}}", "a".repeat(TOKEN_MAX + 1));
    assert_eq!(token(long.as_bytes()), Err(BadAnswer::Limit("length of the token")));
}

#[test]
fn extensions_say_how_they_are_dialled() {
    let known = extensions(LIST).expect("it was recorded");
    let pairs: Vec<(&str, &str)> = known.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(pairs, [("200", "SIP/200"), ("201", "PJSIP/201")]);
}

#[test]
fn an_extension_that_would_run_a_dialplan_is_left_out() {
    for dial in [
        "Local/200@from-internal",
        "SIP/200&SIP/201",
        "SIP/",
        "200",
        "AsyncGoto/SIP",
        "SIP/a\\r\\nX: y",
        "SIP/x/y",
        "",
    ] {
        let list = format!(r#"{{"status":"success","results":[{{"dial":"{dial}","extension":"200"}}]}}"#);
        assert_eq!(extensions(list.as_bytes()), Ok(BTreeMap::new()), "{dial}");
    }
    assert!(matches!(extensions(br#"{"status":"fail","errors":[]}"#), Err(BadAnswer::Refused(_))));
    assert_eq!(extensions(b"[]"), Err(BadAnswer::Form));
}

#[test]
fn an_empty_value_of_a_channel_is_false_and_reads_as_nothing() {
    let found = channels(STATUS).expect("it was recorded");
    assert_eq!(found[0].name.0, "SIP/201-00000001");
    assert_eq!((found[1].bridge.0.as_str(), found[1].state.0.as_str()), ("", ""));
    assert_eq!(channels(b"[]"), Ok(Vec::new()));
}

#[test]
fn an_asterisk_that_is_down_is_told_with_status_200() {
    let body = br#"{"status":"error","reason":"Could not connect to AMI"}"#;
    let refused = BadAnswer::Refused("Could not connect to AMI".to_owned());
    assert_eq!(channels(body), Err(refused.clone()));
    assert_eq!(manager(body), Err(refused));
    assert_eq!(manager(br#"{"status":"ok", "message":"Channel Hungup"}"#), Ok("Channel Hungup".to_owned()));
}

#[test]
fn a_value_is_read_though_the_server_does_not_escape_it() {
    let said = |value: &str| format!("{{\"status\":\"ok\", \"variable\":\"X\",\"value\":\"{value}\"}}");
    for text in ["", "s", "1|c_X|a|1001", "\"Bob\" <201>", "a\",\"b"] {
        assert_eq!(value(said(text).as_bytes()).as_deref(), Ok(text));
    }
    assert!(matches!(
        value(br#"{"status":"error", "message":"No such channel"}"#),
        Err(BadAnswer::Refused(_))
    ));
    assert_eq!(value(b"{\"status\":\"ok\"}"), Err(BadAnswer::Form));
}

#[test]
fn what_could_inject_a_line_never_reaches_the_wire() {
    for bad in ["a\r\nAsync: true", "a\nb", "\0", "\u{85}", "\u{1b}[2J"] {
        assert_eq!(question("manager/hangup", &[("channel", bad)]), Err(Unfit));
    }
    assert_eq!(question("manager/hangup", &[("channel", &"a".repeat(VALUE_MAX + 1))]), Err(Unfit));
}

proptest! {
    #[test]
    fn a_value_stays_in_its_place(value in ".*", other in "[a-z0-9&=?#/% ]{0,20}") {
        if let Ok(path) = question("manager/x", &[("a", &value), ("b", &other)]) {
            let query = path.split_once('?').expect("it has one").1;
            prop_assert_eq!(query.matches('=').count(), 2);
            prop_assert_eq!(query.matches('&').count(), 1);
            prop_assert!(path.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }

    #[test]
    fn no_answer_panics(status in 100_u16..600, body in proptest::collection::vec(any::<u8>(), 0..200)) {
        crate::fuzz::pbxapi(&[&status.to_be_bytes()[..], &body].concat());
    }

    #[test]
    fn no_text_panics(body in "[\\[\\]{}\":,a-zA-Z0-9<>\\\\ ]{0,200}") {
        crate::fuzz::pbxapi(&[&200_u16.to_be_bytes()[..], body.as_bytes()].concat());
    }
}
