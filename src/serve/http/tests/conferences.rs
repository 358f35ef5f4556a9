//! Conferences and their members, foreign legs, drains: what is asked of the fleet, and what a client is told.

use ifbus_call::order::Direction;
use ifbus_call::{CallId, Role, Verb};
use ifbus_fleet::view::ConferenceView;
use ifbus_fleet::{Code, Problem};
use serde_json::json;

use super::fixture::{Asked, Served, leg, name, serve, view};

fn standup() -> ifbus_call::ConferenceId {
    "standup".parse().unwrap()
}

/// A conference with both legs of one call and one of another.
fn meeting(served: &Served) -> [CallId; 2] {
    let members = [(1, vec![leg(Role::A, "up"), leg(Role::B, "up")]), (2, vec![leg(Role::A, "up")])];
    members.map(|(born, legs)| {
        let mut call = view(born, u128::from(born) + 3);
        call.legs = legs;
        call.conference = Some(standup());
        served.fake.board.show_call(call.clone());
        call.id
    })
}

#[actix_web::test]
async fn a_conference_is_created_once_listed_shown_and_ended() {
    let served = serve();
    let body = json!({ "id": "Standup", "server": "pbx1" }).to_string();
    let created = served.ask("POST", "/v1/conferences", &body).await;
    assert_eq!((created.status, &*created.headers["location"]), (201, "/v1/conferences/standup"));
    assert_eq!(served.fake.asked(), [Asked::CreateConference(standup(), Some(name("pbx1")))]);
    assert_eq!(served.ask("POST", "/v1/conferences", &body).await.status, 200, "it is there already");
    let listed = served.ask("GET", "/v1/conferences", "").await.json();
    assert_eq!(listed["data"][0]["id"], "standup");
    meeting(&served);
    let shown: ConferenceView =
        serde_json::from_str(&served.ask("GET", "/v1/conferences/standup", "").await.text).unwrap();
    assert_eq!(shown.members.len(), 3);
    served.fake.asked();
    assert_eq!(served.ask("DELETE", "/v1/conferences/standup", "").await.status, 200);
    assert_eq!(served.fake.asked(), [Asked::EndConference(standup())]);
}

#[actix_web::test]
async fn a_conference_that_is_not_there_or_not_named_right_is_refused() {
    let served = serve();
    for (method, path) in [
        ("GET", "/v1/conferences/nobody"),
        ("DELETE", "/v1/conferences/nobody"),
        ("POST", "/v1/conferences/nobody/members"),
    ] {
        let answer = served.ask(method, path, "{}").await;
        assert_eq!(answer.problem(), "unknown_conference", "{path}");
    }
    for (body, code) in [
        (json!({ "id": "a b" }), "invalid_request"),
        (json!({ "id": "" }), "invalid_request"),
        (json!({ "id": "x".repeat(33) }), "invalid_request"),
        (json!({ "id": "standup", "server": "nobody" }), "unknown_server"),
        (json!({ "id": "standup", "sever": "pbx1" }), "invalid_request"),
    ] {
        assert_eq!(served.ask("POST", "/v1/conferences", &body.to_string()).await.problem(), code, "{body}");
    }
    assert!(served.fake.asked().is_empty(), "nothing was asked of the fleet");
}

#[actix_web::test]
async fn a_member_is_called_in_or_brought_with_its_call() {
    let served = serve();
    served.ask("POST", "/v1/conferences", &json!({ "id": "standup" }).to_string()).await;
    served.fake.asked();
    let members = "/v1/conferences/standup/members";
    let body = json!({ "to": "1003", "timeout_s": 12.0, "record": true }).to_string();
    let called = served.ask("POST", members, &body).await;
    assert_eq!(called.status, 202);
    assert!(called.headers["location"].starts_with("/v1/calls/c_"));
    let [Asked::Invite(id, invitation)] = &served.fake.asked()[..] else { panic!("not asked once") };
    assert_eq!(
        (id, invitation.to.as_str(), invitation.timeout.as_secs(), invitation.record),
        (&standup(), "1003", 12, true)
    );
    let call = view(5, 5);
    served.fake.board.show_call(call.clone());
    let brought = served.ask("POST", members, &json!({ "call": call.id }).to_string()).await;
    assert_eq!(brought.status, 202);
    assert_eq!(served.fake.asked(), [Asked::Enter(standup(), call.id)]);
    for body in
        [json!({}), json!({ "to": "1003", "call": call.id }), json!({ "to": "1003", "timeout_s": 0.5 })]
    {
        assert_eq!(
            served.ask("POST", members, &body.to_string()).await.problem(),
            "invalid_request",
            "{body}"
        );
    }
    assert!(served.fake.asked().is_empty());
}

#[actix_web::test]
async fn a_member_is_named_by_its_call_where_that_is_enough() {
    let served = serve();
    served.ask("POST", "/v1/conferences", &json!({ "id": "standup" }).to_string()).await;
    let [pair, single] = meeting(&served);
    served.fake.asked();
    let path = |member: &str| format!("/v1/conferences/standup/members/{member}");
    let muted = served.ask("PATCH", &path(&single.ending()), "{\"muted\":true}").await;
    assert_eq!((muted.status, &muted.json()["verb"]), (202, &json!("mute")));
    let mute = |on| Verb::Mute { role: Some(Role::A), direction: Direction::In, on };
    assert_eq!(served.fake.asked(), [Asked::Act(single, mute(true))]);
    served.ask("PATCH", &path(&format!("{single}.a")), "{\"muted\":false}").await;
    assert_eq!(served.fake.asked(), [Asked::Act(single, mute(false))]);
    let ambiguous = served.ask("DELETE", &path(&pair.to_string()), "").await;
    assert_eq!(ambiguous.problem(), "unknown_call");
    assert!(ambiguous.json()["suggestions"].as_array().unwrap().contains(&json!(format!("{pair}.b"))));
    assert_eq!(served.ask("DELETE", &path(&format!("{pair}.b")), "").await.status, 202);
    assert_eq!(served.fake.asked(), [Asked::Act(pair, Verb::Kick { role: Some(Role::B) })]);
    assert_eq!(served.ask("PATCH", &path("nobody"), "{\"muted\":true}").await.problem(), "unknown_call");
    assert_eq!(served.ask("PATCH", &path(&single.ending()), "{}").await.problem(), "invalid_request");
}

#[actix_web::test]
async fn a_server_drains_and_takes_calls_again() {
    let served = serve();
    assert_eq!(served.ask("POST", "/v1/servers/pbx1/drain", "").await.status, 200);
    assert_eq!(served.ask("POST", "/v1/servers/pbx1/undrain", "").await.status, 200);
    assert_eq!(served.fake.asked(), [Asked::Drain(name("pbx1"), true), Asked::Drain(name("pbx1"), false)]);
    assert_eq!(served.ask("POST", "/v1/servers/nobody/drain", "").await.problem(), "unknown_server");
    served.fake.refuse(Problem::new(Code::ServerRefused, "it did not take the order"));
    assert_eq!(served.ask("POST", "/v1/servers/pbx1/drain", "").await.problem(), "server_refused");
}

#[actix_web::test]
async fn a_foreign_leg_is_hung_up_by_its_id_and_by_nothing_else() {
    let served = serve();
    let id = "0123456789abcdef0123456789abcdef";
    let ended = served.ask("POST", &format!("/v1/foreign/{id}/hangup"), "").await;
    assert_eq!((ended.status, &ended.json()["id"]), (200, &json!(id)));
    assert_eq!(served.fake.asked(), [Asked::HangUpForeign(id.parse().unwrap())]);
    for bad in ["1007", "c_01KAQ4ZT8M3XHWE9P6S2K5DQ2M", "%2FPJSIP%2F"] {
        let path = format!("/v1/foreign/{bad}/hangup");
        assert_eq!(served.ask("POST", &path, "").await.problem(), "invalid_request", "{bad}");
    }
    assert!(served.fake.asked().is_empty());
}
