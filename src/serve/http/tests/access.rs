//! Who gets in: Host, Origin, token, right.

use ifbus_config::Scope;

use super::fixture::{OWN, serve, token_of};
use crate::serve::http::guard::Needs;
use crate::serve::http::routes::ENTRIES;

/// A path that the route takes, with things that are not there.
fn path(pattern: &str) -> String {
    pattern.replace("{id}", "NOSUCH").replace("{name}", "nosuch").replace("{code}", "nosuch")
}

#[actix_web::test]
async fn point_24_each_route_takes_the_tokens_with_its_right_and_no_other() {
    let served = serve();
    for entry in ENTRIES {
        let path = path(entry.path);
        if path == "/v1/events" {
            continue; // its answer does not end; the stream's own tests come in with the right alone
        }
        let anonymous = served.ask_with(entry.method, &path, &[], b"{}").await;
        let wrong =
            served.ask_with(entry.method, &path, &[("Authorization", "Bearer nonsense")], b"{}").await;
        let is_open = entry.needs == Needs::Nothing;
        for refused in [anonymous, wrong] {
            assert_eq!(refused.status == 401, !is_open, "{} {path}: {}", entry.method, refused.status);
            if !is_open {
                assert_eq!(refused.problem(), "unauthenticated");
                assert_eq!(refused.headers["www-authenticate"], "Bearer realm=\"ifbus\"");
            }
        }
        for scope in Scope::ALL {
            let token = format!("Bearer {}", token_of(scope));
            let answer = served.ask_with(entry.method, &path, &[("Authorization", &token)], b"{}").await;
            let may = match entry.needs {
                Needs::Right(right) => right == scope,
                Needs::Nothing | Needs::AnyToken => true,
            };
            assert_eq!(answer.status != 403, may, "{} {path} with {}", entry.method, scope.as_str());
            if !may {
                assert_eq!(answer.problem(), "missing_scope");
                let Needs::Right(right) = entry.needs else { panic!("{path} needs no right") };
                assert!(answer.detail().ends_with(right.as_str()), "{}", answer.detail());
            }
        }
        let own = served.ask(entry.method, &path, "{}").await;
        assert!(![401, 403].contains(&own.status), "{} {path}: {}", entry.method, own.status);
    }
    assert_eq!(served.fake.asked(), [], "nothing that was not there was asked of the fleet");
}

#[actix_web::test]
async fn point_24_a_token_is_taken_whole_or_not_at_all() {
    let served = serve();
    let longer = format!("Bearer {OWN}0");
    let shorter = format!("Bearer {}", &OWN[..OWN.len() - 1]);
    let basic = format!("Basic {OWN}");
    for (shown, status) in [
        (longer.as_str(), 401),
        (&shorter, 401),
        (&basic, 401),
        ("Bearer ", 401),
        ("Bearer", 401),
        (OWN, 401),
        (&format!("bearer {OWN}"), 200),
    ] {
        let answer = served.ask_with("GET", "/v1/summary", &[("Authorization", shown)], b"").await;
        assert_eq!(answer.status, status, "{shown}");
    }
}

#[actix_web::test]
async fn point_24_only_requests_to_our_own_names_are_taken() {
    let served = serve();
    let port = served.address.port();
    let token = format!("Bearer {OWN}");
    for (host, status) in [
        (format!("127.0.0.1:{port}"), 200),
        (format!("localhost:{port}"), 200),
        (format!("LocalHost:{port}"), 200),
        (format!("[::1]:{port}"), 200),
        ("ifbus.example.net".to_owned(), 200),
        ("127.0.0.1".to_owned(), 403),
        ("localhost".to_owned(), 403),
        (format!("127.0.0.1:{}", port ^ 1), 403),
        (format!("rebound.example:{port}"), 403),
        (format!("localhost.rebound.example:{port}"), 403),
        (format!("ifbus.example.net:{port}"), 403),
        (String::new(), 403),
    ] {
        for path in ["/v1/calls", "/metrics", "/healthz", "/nowhere"] {
            let headers = [("Host", host.as_str()), ("Authorization", &token)];
            let answer = served.ask_with("GET", path, &headers, b"").await;
            let expected = if path == "/nowhere" && status == 200 { 404 } else { status };
            assert_eq!(answer.status, expected, "{host} {path}");
            if status == 403 {
                assert_eq!(answer.problem(), "foreign_host");
            }
        }
    }
    let twice =
        [("Host", &*format!("127.0.0.1:{port}")), ("Host", "rebound.example"), ("Authorization", &token)];
    assert!([400, 403].contains(&served.ask_with("GET", "/v1/calls", &twice, b"").await.status));
    let absolute =
        served.ask_with("GET", "http://rebound.example/v1/calls", &[("Authorization", &token)], b"").await;
    assert_eq!(absolute.status, 403);
}

#[actix_web::test]
async fn point_24_requests_of_other_web_pages_are_refused_and_nothing_is_shared_with_them() {
    let served = serve();
    let token = format!("Bearer {OWN}");
    let own = format!("http://{}", served.address);
    for (origin, status) in [
        (own.as_str(), 200),
        ("https://ifbus.example.net", 200),
        ("https://rebound.example", 403),
        ("null", 403),
        ("file://", 403),
        ("", 403),
    ] {
        for path in ["/v1/calls", "/metrics", "/healthz"] {
            let headers = [("Origin", origin), ("Authorization", &token)];
            let answer = served.ask_with("GET", path, &headers, b"").await;
            assert_eq!(answer.status, status, "{origin} {path}");
            assert!(!answer.headers.keys().any(|name| name.starts_with("access-control-")));
        }
    }
    let headers = [("Origin", "https://rebound.example"), ("Access-Control-Request-Method", "POST")];
    assert_eq!(served.ask_with("OPTIONS", "/v1/calls", &headers, b"").await.status, 403);
}

#[actix_web::test]
async fn every_answer_wears_an_id_of_its_own_and_is_not_stored() {
    let served = serve();
    let mut ids = std::collections::BTreeSet::new();
    for path in ["/healthz", "/v1/calls", "/nowhere", "/v1/calls"] {
        let answer = served.ask("GET", path, "").await;
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert!(ids.insert(answer.headers["x-request-id"].clone()));
    }
}
