//! Tokens: asked for once, anew when they are over, and never renewed.

use std::time::Duration;

use super::rig::{EXTENSIONS, Rig, json, page};
use crate::adapter::{HttpReply, Input, LinkError};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn one_token_serves_many_questions_and_goes_into_the_header_alone() {
    let mut rig = Rig::ready(&[]);
    rig.advance(10 * MINUTE);
    assert_eq!(rig.web.logins, 1);
    let asked = rig.asked("dbget");
    assert!(!asked.is_empty());
    assert!(asked.iter().all(|ask| ask.bearer.as_ref().is_some_and(|token| token.expose() == "t1")));
    assert!(rig.web.asked.iter().all(|ask| !ask.path.contains("renewtoken") && !ask.path.contains("t1")));
    assert!(!format!("{:?}", rig.web.asked).contains("admin-secret\""), "the password is in a body alone");
}

#[test]
fn a_token_is_asked_for_anew_at_80_percent_of_its_life() {
    let mut rig = Rig::ready(&[]);
    rig.advance(47 * MINUTE);
    assert_eq!(rig.web.logins, 1);
    rig.advance(3 * MINUTE);
    assert_eq!(rig.web.logins, 2);
}

#[test]
fn an_expired_token_costs_one_login_and_the_question_is_asked_again() {
    let mut rig = Rig::ready(&[]);
    rig.web.expired = true;
    rig.advance(MINUTE);
    assert_eq!((rig.web.logins, rig.asked("dbget").len()), (2, 2));
    assert!(rig.warnings.is_empty());
}

#[test]
fn a_token_that_is_refused_costs_one_login_too() {
    let mut rig = Rig::ready(&[]);
    rig.web.instead.insert("dbget", [Ok(HttpReply { status: 403, body: Vec::new() })].into());
    rig.advance(MINUTE);
    assert_eq!((rig.web.logins, rig.codes()), (2, vec![]));
}

#[test]
fn a_server_that_takes_no_token_is_not_logged_into_without_end() {
    let mut rig = Rig::ready(&[]);
    let expired = || json(r#"{"status": "expired"}"#);
    rig.web.instead.insert("dbget", (0..10).map(|_| expired()).collect());
    rig.advance(MINUTE);
    assert_eq!((rig.web.logins, rig.codes()), (2, vec!["pbxapi_down"]));
    assert!(rig.warnings[0].text.contains("pbxapijwtsecret"));
}

#[test]
fn a_wrong_password_is_named_as_the_reason() {
    let mut rig = Rig::with(&[("api_secret", "wrong")]);
    rig.start();
    assert_eq!((rig.ready.len(), rig.codes()), (1, vec!["pbxapi_down"]));
    assert!(rig.warnings[0].text.contains("amiadminpwd"), "{:?}", rig.warnings);
    assert!(!rig.warnings[0].text.contains("wrong"));
}

#[test]
fn a_login_answered_by_junk_is_told_and_nothing_is_sent_with_it() {
    let bad = [
        page(200),
        page(500),
        json("{}"),
        json(r#"{"access_token":"a\r\nX: y","expires_in":3600}"#),
        json(r#"{"access_token":"","expires_in":3600}"#),
        Err(LinkError::Reset),
        Err(LinkError::Limit("size of an answer")),
    ];
    for answer in bad {
        let mut rig = Rig::with(&[]);
        rig.web.instead.insert("authenticate", [answer].into());
        rig.start();
        assert_eq!(
            (rig.ready.len(), rig.codes(), rig.asked("extensions").len()),
            (1, vec!["pbxapi_down"], 0)
        );
    }
}

#[test]
fn a_token_that_lives_no_time_is_good_for_half_a_minute() {
    let mut rig = Rig::with(&[]);
    rig.web.instead.insert("authenticate", [json(r#"{"access_token":"t0","expires_in":0}"#)].into());
    rig.start();
    assert_eq!(rig.ready.len(), 1);
    assert_eq!(rig.asked("authenticate").len(), 1);
}

#[test]
fn an_answer_of_an_older_life_changes_nothing() {
    let mut rig = Rig::ready(&[]);
    rig.web.deaf = Some("dbget");
    rig.advance(MINUTE);
    let (old, _) = rig.web.hanging.pop_front().expect("health was asked");
    rig.web.deaf = None;
    rig.start();
    rig.input(Input::Http(old, page(500)));
    rig.input(Input::Http(old, json(EXTENSIONS)));
    assert_eq!((rig.ready.len(), rig.codes()), (2, vec![]));
}
