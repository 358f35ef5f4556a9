//! Every way to say no: an object, a status, a page.

use std::collections::BTreeSet;

use ifbus_fleet::{Code, Problem};

use super::fixture::{OWN, serve, token_of, view};
use crate::serve::http::problems::{OF_THE_COMMAND_LINE, page};

#[actix_web::test]
async fn point_23_each_code_is_told_with_its_status_and_has_a_page() {
    let served = serve();
    let mut told = BTreeSet::new();
    let call = view(1_000, 1);
    served.fake.board.show_call(call.clone());
    // Those that the API itself finds.
    let metrics = format!("Bearer {}", token_of(ifbus_config::Scope::Metrics));
    let own = format!("Bearer {OWN}");
    for (method, path, headers, code) in [
        ("POST", "/v1/calls", vec![("Authorization", own.as_str())], Code::InvalidRequest),
        ("GET", "/v1/calls", vec![], Code::Unauthenticated),
        ("GET", "/v1/calls", vec![("Authorization", metrics.as_str())], Code::MissingScope),
        ("GET", "/v1/calls", vec![("Host", "elsewhere")], Code::ForeignHost),
        ("GET", "/v1/servers/nosuch", vec![("Authorization", own.as_str())], Code::UnknownServer),
        ("GET", "/v1/calls/nosuch", vec![("Authorization", own.as_str())], Code::UnknownCall),
        ("GET", "/v1/nosuch", vec![("Authorization", own.as_str())], Code::UnknownPath),
        ("DELETE", "/v1/calls", vec![("Authorization", own.as_str())], Code::MethodNotAllowed),
    ] {
        let answer = served.ask_with(method, path, &headers, b"").await;
        assert_eq!((answer.status, answer.problem().as_str()), (code.status(), code.as_str()));
        told.insert(code);
    }
    // Those that the fleet gives, handed on as they are.
    for code in Code::ALL {
        served.fake.refuse(Problem::new(code, "as the test asked").about("x").of_call(call.id));
        let answer = served.ask("POST", &format!("/v1/calls/{}/hold", call.id), "{}").await;
        assert_eq!((answer.status, answer.problem().as_str()), (code.status(), code.as_str()));
        let body = answer.json();
        assert_eq!((&body["title"], &body["exit"]), (&code.title().into(), &code.exit().into()));
        assert_eq!((&body["call"], &body["param"]), (&call.id.to_string().into(), &"x".into()));
        let page = served.ask("GET", body["help"].as_str().unwrap(), "").await;
        assert_eq!(page.status, 200, "{code:?}");
        assert_eq!(page.headers["content-type"], "text/markdown; charset=utf-8");
        assert!(page.text.starts_with(&format!("## {}\n", code.as_str())), "{}", page.text);
        assert_eq!(page.text.matches("\n## ").count(), 0, "one page, one section: {}", page.text);
        told.insert(code);
    }
    assert_eq!(told.len(), Code::ALL.len());
}

#[test]
fn point_23_there_is_a_page_for_each_code_and_for_nothing_else() {
    let text = include_str!("../../../../docs/operating/problems.md");
    let headings: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let codes: Vec<&str> = Code::ALL.map(Code::as_str).into_iter().chain(OF_THE_COMMAND_LINE).collect();
    assert_eq!(headings, codes);
    for code in codes {
        assert!(page(code).is_some_and(|page| page.len() > 80), "{code}");
    }
    assert_eq!(page("nosuch"), None);
}

#[actix_web::test]
async fn a_wrong_path_or_method_is_told_what_there_is() {
    let served = serve();
    let near = served.ask("GET", "/v1/call", "").await;
    assert_eq!(near.problem(), "unknown_path");
    assert_eq!(near.json()["suggestions"], serde_json::json!(["/v1/calls"]));
    let method = served.ask("PUT", "/v1/calls", "{}").await;
    assert_eq!(method.problem(), "method_not_allowed");
    assert_eq!(method.headers["allow"], "POST, GET");
    let code = served.ask("GET", "/problems/unknown_cal", "").await;
    assert_eq!(code.json()["suggestions"], serde_json::json!(["/problems/unknown_call"]));
}

#[actix_web::test]
async fn a_panic_is_a_problem_of_one_request() {
    let served = serve();
    served.fake.script.lock().unwrap().panic = true;
    let answer = served.ask("POST", "/v1/servers/pbx1/test", "").await;
    assert_eq!((answer.status, answer.problem().as_str()), (500, "internal"));
    assert_eq!(served.ask("GET", "/v1/servers/pbx1", "").await.status, 200);
}
