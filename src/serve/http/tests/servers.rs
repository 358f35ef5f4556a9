//! Servers: adding, listing, testing, removing; and that a secret never comes back.

use ifbus_adapters::adapter::Secret;
use ifbus_call::Kind;
use ifbus_fleet::view::{Origin, ServerState, ServerView, TestReport};
use ifbus_fleet::{Code, Problem};
use serde_json::json;

use super::fixture::{Asked, CANARY, OWN, name, serve, server};

fn body() -> serde_json::Value {
    json!({
        "name": "pbx9", "kind": "asterisk", "host": "192.0.2.9", "port": 5039,
        "auth": {"user": "ifbus", "secret": CANARY}, "set": {"tls": "pin"},
        "capacity": 20, "cps": 2.5, "tags": {"site": "north"},
    })
}

#[actix_web::test]
async fn a_server_is_added_as_it_is_described_and_then_changed() {
    let served = serve();
    let answer = served.ask("POST", "/v1/servers", &body().to_string()).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert_eq!(answer.headers["location"], "/v1/servers/pbx9");
    let [Asked::Add(spec, wait)] = &served.fake.asked()[..] else { panic!("not asked once") };
    assert_eq!((&spec.name, spec.kind, spec.origin), (&name("pbx9"), Kind::Asterisk, Origin::Cli));
    assert_eq!((spec.settings.host.as_str(), spec.settings.port), ("192.0.2.9", Some(5039)));
    assert_eq!(spec.settings.auth["secret"], Secret::new(CANARY));
    assert_eq!((spec.settings.set["tls"].as_str(), spec.tags["site"].as_str()), ("pin", "north"));
    assert_eq!((spec.capacity, spec.cps, wait.as_secs()), (20, 2.5, 10));
    let headers = [("Authorization", &*format!("Bearer {OWN}")), ("Prefer", "wait=3")];
    let again = served.ask_with("POST", "/v1/servers", &headers, body().to_string().as_bytes()).await;
    assert_eq!(again.status, 200, "{}", again.text);
    assert!(matches!(&served.fake.asked()[..], [Asked::Add(_, wait)] if wait.as_secs() == 3));
}

#[actix_web::test]
async fn servers_are_listed_and_shown() {
    let served = serve();
    served.fake.board.show_server(server("a1", ServerState::Down));
    let list = served.ask("GET", "/v1/servers", "").await.json();
    let names: Vec<_> =
        list["data"].as_array().unwrap().iter().map(|server| server["name"].clone()).collect();
    assert_eq!(names, ["a1", "pbx1"]);
    let shown: ServerView =
        serde_json::from_str(&served.ask("GET", "/v1/servers/a1", "").await.text).unwrap();
    assert_eq!(shown, server("a1", ServerState::Down));
    let unknown = served.ask("GET", "/v1/servers/pbx-1", "").await;
    assert_eq!(unknown.problem(), "unknown_server");
    assert!(unknown.detail().contains("did you mean pbx1?"));
    assert_eq!(served.ask("GET", "/v1/servers?limit=3", "").await.problem(), "invalid_request");
}

#[actix_web::test]
async fn a_server_is_tested_and_removed() {
    let served = serve();
    let report = served.ask("POST", "/v1/servers/pbx1/test", "").await;
    assert!(serde_json::from_str::<TestReport>(&report.text).unwrap().ok);
    assert_eq!(served.fake.asked(), [Asked::Test(name("pbx1"))]);
    let removed = served.ask("DELETE", "/v1/servers/pbx1", "").await;
    assert_eq!((removed.status, &removed.json()["removed"]), (200, &json!(true)));
    served.ask("DELETE", "/v1/servers/pbx1?even_with_calls=true", "").await;
    assert_eq!(served.fake.asked(), [Asked::Remove(name("pbx1"), false), Asked::Remove(name("pbx1"), true)]);
    assert_eq!(
        served.ask("DELETE", "/v1/servers/pbx1?even_with_call=true", "").await.problem(),
        "invalid_request"
    );
    served.fake.refuse(Problem::new(Code::ServerHasCalls, "pbx1 carries 3 calls"));
    assert_eq!(served.ask("DELETE", "/v1/servers/pbx1", "").await.problem(), "server_has_calls");
}

#[actix_web::test]
async fn a_wrong_description_names_its_field() {
    let served = serve();
    for (field, value, hint) in [
        ("name", json!("a b"), "a server name is"),
        ("kind", json!("asterix"), "did you mean `asterisk`?"),
        ("kind", json!("nortel"), "known: asterisk, freeswitch"),
        ("host", json!("192.0.2.9:5038"), "a field of its own"),
        ("host", json!(""), "a name or address"),
        ("port", json!(0), "between 1 and 65535"),
        ("port", json!(70_000), "expected u16"),
        ("port", json!("5038"), "expected u16"),
        ("capacity", json!(0), "at least 1"),
        ("cps", json!(-1.0), "above 0"),
        ("hots", json!("x"), "did you mean `host`?"),
        ("auth", json!({"secret": format!("{CANARY}\r\nAction: Command")}), "control character"),
        ("auth", json!({"secret": "x".repeat(20_000)}), "longer than"),
        ("auth", json!({"secret": [CANARY]}), "expected a string"),
        ("auth", json!(CANARY), "expected a map"),
        ("set", json!({"a\nb": "x"}), "a key has"),
        ("tags", json!({"site": 5}), "expected a string"),
    ] {
        let mut body = body();
        body[field] = value.clone();
        let answer = served.ask("POST", "/v1/servers", &body.to_string()).await;
        assert_eq!(answer.problem(), "invalid_request", "{field} {value}");
        let param = answer.json()["param"].as_str().unwrap().to_owned();
        assert!(param.starts_with(field), "{field}: {}", answer.text);
        assert!(answer.detail().contains(hint), "{field}: {}", answer.text);
        assert!(!answer.text.contains(CANARY), "{}", answer.text);
    }
    assert_eq!(served.fake.asked(), [], "nothing reached the fleet");
}

#[actix_web::test]
async fn point_8_a_secret_is_in_no_answer() {
    let served = serve();
    let mut texts = Vec::new();
    let add = served.ask("POST", "/v1/servers", &body().to_string()).await;
    texts.push(add.text);
    // Also where it is put by mistake, and in bodies that are cut off or wrong.
    for text in [
        body().to_string().replace('}', ""),
        format!(r#"{{"name":"{CANARY}""#),
        format!(r#"{{"name":["{CANARY}"]}}"#),
        format!(r#""{CANARY}""#),
        format!(r#"{{"port":"{CANARY}"}}"#),
        CANARY.to_owned(),
    ] {
        let answer = served.ask("POST", "/v1/servers", &text).await;
        assert_eq!(answer.problem(), "invalid_request");
        texts.push(answer.text);
    }
    served.fake.refuse(Problem::new(Code::ServerRefused, "login refused: Authentication failed"));
    texts.push(served.ask("POST", "/v1/servers", &body().to_string()).await.text);
    served.fake.script.lock().unwrap().refuse = None;
    for path in ["/v1/servers", "/v1/servers/pbx9", "/v1/summary", "/metrics", "/v1/calls"] {
        texts.push(served.ask("GET", path, "").await.text);
    }
    let debug = format!("{:?}", served.fake.asked());
    assert!(debug.contains("pbx9"), "the fleet was asked");
    texts.push(debug);
    for text in texts {
        assert!(!text.contains(CANARY) && !text.contains(OWN), "{text}");
    }
}

#[actix_web::test]
async fn what_is_asked_of_the_machine_itself_is_answered_or_refused_in_its_form() {
    let served = serve();
    // This one uses no file.
    assert_eq!(served.ask("POST", "/v1/config/reload", "").await.problem(), "bad_configuration");
    assert_eq!(served.ask("POST", "/v1/config/reload", r#"{"file":"x"}"#).await.problem(), "invalid_request");
    let matrix = served.ask("GET", "/v1/matrix?kind=asterisk", "").await.json();
    assert_eq!(
        (&matrix["kinds"], matrix["verbs"].as_array().map(Vec::len)),
        (&json!(["asterisk"]), Some(20))
    );
    let unknown = served.ask("GET", "/v1/matrix?kind=astersik", "").await;
    assert_eq!(unknown.problem(), "invalid_request");
    assert!(unknown.detail().contains("did you mean `asterisk`?"), "{}", unknown.text);
    for body in [r#"{"host":""}"#, r#"{"host":"a b"}"#, r#"{"host":"127.0.0.1","port":0}"#, r#"{"hst":"x"}"#]
    {
        assert_eq!(served.ask("POST", "/v1/detect", body).await.problem(), "invalid_request", "{body}");
    }
}
