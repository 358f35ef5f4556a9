//! A web server that says whatever it likes: nothing panics, every order is answered once, nothing leaves its line.

use ifbus_call::{Cause, Order, Role};
use proptest::prelude::*;

use super::rig::{A, B, Rig, dial, json, page};
use crate::adapter::{HttpReply, Input, LinkError};
use std::time::Duration;

fn answer() -> impl Strategy<Value = Result<HttpReply, LinkError>> {
    let bodies = prop_oneof![
        Just(r#"{"status": "expired"}"#.to_owned()),
        Just(r#"{"status":"ok", "message":"Channel Hungup"}"#.to_owned()),
        Just(r#"{"access_token":"t9","expires_in":1}"#.to_owned()),
        Just("[]".to_owned()),
        Just("[{}]".to_owned()),
        Just(
            r#"[{"Channel":false,"Uniqueid":"1.1","ChannelState":"6","BridgeID":"x"},{"Uniqueid":"1.1"}]"#
                .to_owned()
        ),
        Just(r#"[{"Channel":"SIP\/1-\r\nAsync: true","Uniqueid":"2.2","Linkedid":"1.1"}]"#.to_owned()),
        Just("<html>".to_owned()),
        "[\\[\\]{}\":,a-z0-9 ]{0,60}",
    ];
    prop_oneof![
        (prop_oneof![Just(200_u16), Just(201), Just(403), Just(404), Just(500)], bodies)
            .prop_map(|(status, body)| Ok(HttpReply { status, body: body.into_bytes() })),
        Just(Err(LinkError::Reset)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_pbxapi_says_every_order_is_answered_once(
        answers in proptest::collection::vec(answer(), 0..30),
        closed: bool,
    ) {
        let mut rig = Rig::with(&[]);
        rig.ami = closed.then_some(LinkError::Refused);
        rig.web.instead.insert("/pbxapi", answers.into());
        rig.start();
        let mut tickets = Vec::new();
        for order in [
            dial(A, Role::A, "1001", None),
            dial(B, Role::B, "1002", Some(A)),
            Order::Join { a: A, b: B },
            Order::List,
            Order::Inspect,
            Order::Probe,
            Order::Drop { leg: A, cause: Cause::Canceled },
        ] {
            tickets.push(rig.give(order));
            rig.advance(Duration::from_secs(1));
        }
        while let Some((id, _)) = rig.web.hanging.pop_front() {
            rig.input(Input::Http(id, Err(LinkError::TimedOut)));
        }
        rig.advance(Duration::from_secs(60));
        rig.input(Input::Stop);
        for ticket in tickets {
            prop_assert!(rig.answers.contains_key(&ticket), "{ticket}");
        }
        for request in &rig.web.asked {
            prop_assert!(request.path.bytes().all(|byte| byte.is_ascii_graphic()), "{}", request.path);
            prop_assert!(!request.path.contains("%0D") && !request.path.contains("%0A"));
        }
    }
}

#[test]
fn an_extension_list_that_would_run_a_dialplan_is_not_dialled() {
    let mut rig = Rig::with(&[]);
    let list = r#"{"status":"success","results":[{"dial":"Local\/9@from-internal","extension":"1001"},{"dial":"SIP\/1&SIP\/2","extension":"1002"}]}"#;
    rig.web.instead.insert("extensions", [json(list)].into());
    rig.start();
    rig.give(dial(A, Role::A, "1001", None));
    let sent = rig.sent.iter().find(|text| text.starts_with("Action: Originate")).expect("it was sent");
    assert!(sent.contains("\r\nChannel: SIP/1001\r\n"), "{sent}");
}

#[test]
fn a_page_is_never_shown_raw() {
    let mut rig = Rig::with(&[]);
    rig.web.instead.insert("extensions", [page(500)].into());
    rig.start();
    assert!(rig.warnings.iter().all(|warning| !warning.text.contains('<')));
}
