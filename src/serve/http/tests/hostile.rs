//! Bodies and paths that nobody sends in good faith.

use ifbus_fleet::Problem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::fixture::{GUARD, OWN, answer, serve};

#[actix_web::test]
async fn a_body_that_is_no_valid_request_is_refused_with_the_place() {
    let served = serve();
    let deep = format!(r#"{{"from":{}"#, "[".repeat(60_000));
    for (body, param, hint) in [
        ("not json", None, "line 1, column 2"),
        ("[]", None, "expected struct PlaceBody"),
        ("null", None, "expected struct PlaceBody"),
        ("\"x\"", None, "expected struct PlaceBody"),
        ("{}", Some("from"), "missing field `from`"),
        (r#"{"from":"1001"}"#, Some("to"), "missing field `to`"),
        (r#"{"from":"1001","to":"1002"} x"#, None, "not JSON"),
        (r#"{"from":"1001","to":"1002","to":"1003"}"#, Some("to"), "duplicate field"),
        (r#"{"form":"1001","to":"1002"}"#, Some("form"), "did you mean `from`?"),
        (r#"{"from":"1001","to":"1002","timeout":5}"#, Some("timeout"), "did you mean `timeout_s`?"),
        (r#"{"from":"1001","to":"1002","timeout_s":0}"#, Some("timeout_s"), "between 1 and 120"),
        (r#"{"from":"1001","to":"1002","timeout_s":1e308}"#, Some("timeout_s"), "between 1 and 120"),
        (r#"{"from":1001,"to":"1002"}"#, Some("from"), "expected a string"),
        (r#"{"from":"","to":"1002"}"#, Some("from"), "cannot be empty"),
        ("{\"from\":\"1001\\r\\nAction: Originate\",\"to\":\"1002\"}", Some("from"), "cannot contain '\\r'"),
        (r#"{"from":"1001","to":"\u0000"}"#, Some("to"), "cannot contain '\\0'"),
        (r#"{"from":"1001","to":"\u001b[2J"}"#, Some("to"), "cannot contain"),
        (r#"{"from":"1001","to":"1002,1003"}"#, Some("to"), "cannot contain ','"),
        (r#"{"from":"1001","to":"1002","caller_id":"a b"}"#, Some("caller_id"), "cannot contain ' '"),
        ("{\"from\":\"\\ud800\",\"to\":\"1002\"}", None, "not JSON"),
        (&deep, Some("from"), "expected a string"),
    ] {
        let answer = served.ask("POST", "/v1/calls", body).await;
        let shown = body.chars().take(60).collect::<String>();
        assert_eq!(answer.problem(), "invalid_request", "{shown}");
        assert!(answer.detail().contains(hint), "{shown}: {}", answer.text);
        if let Some(param) = param {
            assert_eq!(answer.json()["param"], *param, "{shown}");
        }
    }
    let token = format!("Bearer {OWN}");
    let not_utf8 =
        served.ask_with("POST", "/v1/calls", &[("Authorization", &token)], b"{\"from\":\"\xff\xfe\"}").await;
    assert_eq!(not_utf8.problem(), "invalid_request");
    let long = format!(r#"{{"from":"{}","to":"1002"}}"#, "1".repeat(201));
    assert!(served.ask("POST", "/v1/calls", &long).await.detail().contains("at most 200 bytes"));
    assert_eq!(served.fake.asked(), [], "nothing reached the fleet");
}

#[actix_web::test]
async fn a_body_that_is_too_large_is_refused_announced_or_not() {
    let served = serve();
    let huge = format!(r#"{{"from":"1001","to":"1002","server":"{}"}}"#, "x".repeat(70_000));
    let announced = served.ask("POST", "/v1/calls", &huge).await;
    assert_eq!(announced.problem(), "invalid_request");
    assert!(announced.detail().contains("65536 bytes"), "{}", announced.text);
    let token = format!("Bearer {OWN}");
    let headers = [("Authorization", token.as_str()), ("Transfer-Encoding", "chunked")];
    let mut connection = served.begin("POST", "/v1/calls", &headers, None).await;
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    for _ in 0..8 {
        let _ = connection.write_all(chunk.as_bytes()).await; // the refusal may close the connection before the end
    }
    // The client never ends its body, so the connection stays; the answer comes all the same.
    let (mut bytes, mut more) = (Vec::new(), [0; 4096]);
    while !bytes.ends_with(b"}") {
        let read = timeout(GUARD, connection.read(&mut more)).await.expect("an answer").unwrap();
        assert!(read > 0, "an answer before the end");
        bytes.extend_from_slice(&more[..read]);
    }
    assert_eq!(answer(&bytes).problem(), "invalid_request");
    assert_eq!(served.fake.asked(), []);
}

#[actix_web::test]
async fn a_verbs_body_is_looked_at_as_strictly() {
    let served = serve();
    let call = super::fixture::view(1_000, 1);
    let id = call.id;
    served.fake.board.show_call(call);
    for (path, body, param, hint) in [
        ("hangup", r#"{"cause":"busy"}"#, "cause", "no field `cause`"),
        ("hold", r#"{"leg":"d"}"#, "leg", "a, b or c"),
        ("hold", r#"{"legs":"a"}"#, "legs", "did you mean `leg`?"),
        ("mute", r#"{"direction":"up"}"#, "direction", "in, what"),
        ("dtmf", r#"{"digits":"12x"}"#, "digits", "0-9, A-D"),
        ("dtmf", r#"{"digits":""}"#, "digits", "1 to 32"),
        ("transfer", r#"{"to":"1003","mode":"warm"}"#, "mode", "blind or attended"),
        ("transfer", r#"{"to":"10\n03"}"#, "to", "cannot contain"),
    ] {
        let answer = served.ask("POST", &format!("/v1/calls/{id}/{path}"), body).await;
        assert_eq!(answer.problem(), "invalid_request", "{path} {body}");
        assert_eq!(answer.json()["param"], param, "{path} {body}");
        assert!(answer.detail().contains(hint), "{path} {body}: {}", answer.text);
    }
    assert_eq!(served.fake.asked(), []);
}

#[actix_web::test]
async fn point_7_text_of_a_request_or_server_comes_back_harmless() {
    let served = serve();
    for path in
        ["/v1/calls/%1b%5B2J", "/v1/servers/%1b%5B2J%0d%0a", "/problems/%1b", "/%1b%5B2J", "/v1/calls?%1b=1"]
    {
        let answer = served.ask("GET", path, "").await;
        assert!(answer.status >= 400, "{path}");
        answer.problem();
    }
    served.fake.refuse(Problem::new(ifbus_fleet::Code::ServerRefused, "said \u{1b}[2J\u{202e}\r\nX"));
    let answer = served.ask("POST", "/v1/calls", r#"{"from":"1001","to":"1002"}"#).await;
    assert_eq!(answer.detail(), "said \\u{1b}[2J\\u{202e}\\r\\nX");
}
