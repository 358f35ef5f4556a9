//! The acceptance list of third-party call control (sheet sip-3pcc, section 10), item by item, on the double and on a real
//! Kamailio where `IFBUS_REAL_KAMAILIO` names one.
//!
//! Item 8 speaks of a REFER of ours; we send none (ADR 0011), so it is the phone's: a guest who comes, one who is not
//! known, one who says nothing. Item 9 needs a server with media: the conformance cells `conference-control` on the
//! anchored proxies are its proof, and here is what the proxy alone says. Real phones (item 1): `tests/sip`,
//! `IFBUS_REAL_PHONES`.

use ifbus_adapters::adapter::Secret;
use ifbus_call::order::{Evidence, ParkReason};
use ifbus_call::{Cause, Event, LegId, Order, Why};
use ifbus_doubles::kamailio::Profile;
use ifbus_doubles::phone::{Phones, Plan};

use crate::rig::{A, B, C, Lab, Rig, each, run};

/// Once on the double, once on a real server: for what takes long.
fn once<F: Future<Output = ()>>(promise: impl Fn(Lab) -> F) {
    run(async {
        promise(Lab::simulated(Profile::V56, |_| {})).await;
        if let Some(lab) = Lab::real() {
            promise(lab).await;
        }
    });
}

async fn hold(rig: &Rig) {
    rig.done(Order::Park { held: B, other: A, why: ParkReason::Hold }).await;
}

async fn resume(rig: &Rig) {
    rig.done(Order::Join { a: A, b: B }).await;
}

async fn hang_up(lab: &Lab, rig: &Rig) {
    rig.drop_leg(A).await;
    rig.drop_leg(B).await;
    lab.lives("1001", 0).await;
    lab.lives("1002", 0).await;
    assert!(rig.out.borrow().store.is_empty(), "nothing is left to be remembered");
}

/// Why a leg that was dialled did not come up.
async fn failure(rig: &Rig, order: Order, leg: LegId) -> Cause {
    match rig.outcome(order).await {
        Err(refused) => refused.cause,
        Ok(_) => rig.ended(leg).await,
    }
}

/// Waits for the last word that a phone hears of its transfer.
async fn told(lab: &Lab, rig: &Rig, status: u16) {
    let until = tokio::time::Instant::now() + crate::rig::GUARD;
    while lab.phones.transferred("1002") != Some(status) {
        let heard = lab.phones.transferred("1002");
        assert!(tokio::time::Instant::now() < until, "{heard:?} {:?}", rig.out.borrow().events);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[test]
fn item_01_two_phones_are_joined_with_sound_both_ways() {
    each(async |lab| {
        let rig = lab.joined().await;
        rig.event(Event::Joined(A, B)).await;
        assert_eq!((lab.phones.live("1001"), lab.phones.live("1002")), (1, 1));
        hang_up(&lab, &rig).await;
    });
}

#[test]
fn item_02_each_server_has_its_own_credentials() {
    run(async {
        let users = |password: &str| Some([("lab".to_owned(), password.to_owned())].into());
        for password in ["one", "two"] {
            let mut lab = Lab::simulated(Profile::V61, |options| options.users = users(password));
            lab.settings.auth.insert("sip_user".to_owned(), Secret::new("lab"));
            lab.settings.auth.insert("sip_secret".to_owned(), Secret::new(password));
            let rig = lab.joined().await;
            hang_up(&lab, &rig).await;
            drop(rig);
            let other = if password == "one" { "two" } else { "one" };
            lab.settings.auth.insert("sip_secret".to_owned(), Secret::new(other));
            lab.instance.0 += 1;
            let rig = lab.ready().await;
            assert_eq!(failure(&rig, lab.dial(A, "1001", None), A).await, Cause::ServerFailure);
        }
        // the laboratory asks for a password, too
        if let Some(lab) = Lab::real() {
            let rig = lab.joined().await;
            hang_up(&lab, &rig).await;
        }
    });
}

#[test]
fn item_03_busy_silent_ringing_then_canceled_and_503() {
    each(async |lab| {
        let rig = lab.ready().await;
        for (number, plan, cause) in [
            ("1003", Plan::busy(), Cause::Busy),
            ("1004", Plan::silent(), Cause::Unreachable),
            ("1005", Plan::congested(), Cause::Congestion),
        ] {
            lab.phones.plan(number, plan);
            assert_eq!(failure(&rig, lab.dial(A, number, None), A).await, cause, "{number}");
            rig.out.borrow_mut().events.clear();
        }
        lab.phones.plan("1006", Plan::rings());
        rig.done(lab.dial(A, "1006", None)).await;
        rig.event(Event::Ringing(A)).await;
        rig.done(Order::Drop { leg: A, cause: Cause::Canceled }).await;
        assert_eq!(rig.ended(A).await, Cause::Canceled);
        rig.list_until("no call", <[_]>::is_empty).await;
    });
}

#[test]
fn item_04_hold_and_resume_twice_count_the_versions_from_one_to_five() {
    each(async |lab| {
        let rig = lab.joined().await;
        let version = || rig.out.borrow().store[&B].media.version;
        let mut seen = vec![version()];
        for _ in 0..2 {
            hold(&rig).await;
            lab.hears("1001", &[]).await;
            lab.hears("1002", &[]).await;
            seen.push(version());
            resume(&rig).await;
            lab.hears("1001", &["1002"]).await;
            lab.hears("1002", &["1001"]).await;
            seen.push(version());
        }
        assert_eq!(seen, [1, 2, 3, 4, 5]);
        hang_up(&lab, &rig).await;
    });
}

#[test]
fn item_05_the_hold_button_of_a_phone() {
    each(async |lab| {
        let rig = lab.joined().await;
        for (number, leg, other) in [("1001", A, "1002"), ("1002", B, "1001")] {
            lab.phones.hold(number);
            rig.event(Event::HeldByPhone(leg)).await;
            lab.hears(other, &[]).await;
            lab.phones.resume(number);
            rig.event(Event::ResumedByPhone(leg)).await;
            lab.hears(other, &[number]).await;
            lab.hears(number, &[other]).await;
        }
        hang_up(&lab, &rig).await;
    });
}

#[test]
fn item_06_offers_that_meet_both_ways() {
    each(async |lab| {
        let rig = lab.joined().await;
        // two phones at once, and what their offers make of each other
        lab.phones.hold("1001");
        lab.phones.hold("1002");
        rig.event(Event::HeldByPhone(A)).await;
        rig.event(Event::HeldByPhone(B)).await;
        lab.phones.resume("1001");
        lab.phones.resume("1002");
        rig.event(Event::ResumedByPhone(A)).await;
        rig.event(Event::ResumedByPhone(B)).await;
        lab.hears("1001", &["1002"]).await;
        // ours and a phone's: whoever gets 491 tries again
        rig.out.borrow_mut().events.clear();
        lab.phones.hold("1002");
        hold(&rig).await;
        rig.event(Event::HeldByPhone(B)).await;
        lab.phones.resume("1002");
        resume(&rig).await;
        rig.event(Event::ResumedByPhone(B)).await;
        lab.hears("1001", &["1002"]).await;
        lab.hears("1002", &["1001"]).await;
        hang_up(&lab, &rig).await;
    });
}

#[test]
fn item_07_a_transfer_and_one_to_a_busy_phone() {
    each(async |lab| {
        let rig = lab.joined().await;
        lab.phones.plan("1003", Plan::busy());
        assert_eq!(failure(&rig, lab.dial(C, "1003", Some(A)), C).await, Cause::Busy);
        lab.hears("1001", &["1002"]).await;
        lab.hears("1002", &["1001"]).await;
        rig.out.borrow_mut().events.clear();
        lab.phones.plan("1003", Plan::default());
        rig.done(lab.dial(C, "1003", Some(A))).await;
        rig.event(Event::Answered(C)).await;
        rig.done(Order::Join { a: A, b: C }).await;
        lab.hears("1001", &["1003"]).await;
        lab.hears("1003", &["1001"]).await;
        lab.lives("1002", 0).await;
        rig.drop_leg(A).await;
        rig.drop_leg(C).await;
        rig.list_until("no call", <[_]>::is_empty).await;
    });
}

#[test]
fn item_08_a_phones_refer_with_success() {
    each(async |lab| {
        let rig = lab.joined().await;
        lab.phones.transfer("1002", "1003");
        told(&lab, &rig, 200).await;
        rig.ended(B).await;
        lab.hears("1001", &["1003"]).await;
        lab.hears("1003", &["1001"]).await;
        let events = rig.out.borrow().events.clone();
        let at = |wanted: fn(&Event) -> bool| events.iter().position(wanted).expect("it is told");
        let moved = |event: &Event| matches!(event, Event::MovedByPhone { leg: A, guest: Some(_), .. });
        assert!(at(moved) < at(|event| matches!(event, Event::Ended { leg: B, .. })), "{events:?}");
        rig.drop_leg(A).await;
        lab.lives("1003", 0).await;
        rig.list_until("no call", <[_]>::is_empty).await;
    });
}

#[test]
fn item_08_a_phones_refer_to_nobody_and_to_one_who_says_nothing() {
    each(async |lab| {
        let rig = lab.joined().await;
        for (plan, status) in [(Plan::not_found(), 404), (Plan::silent(), 408)] {
            lab.phones.plan("1003", plan);
            lab.phones.transfer("1002", "1003");
            told(&lab, &rig, status).await;
            lab.hears("1001", &["1002"]).await;
            lab.hears("1002", &["1001"]).await;
        }
        let moved = |event: &Event| matches!(event, Event::MovedByPhone { .. });
        assert!(!rig.out.borrow().events.iter().any(moved));
        hang_up(&lab, &rig).await;
    });
}

#[test]
fn item_08_a_forged_refer_changes_nothing() {
    each(async |lab| {
        let rig = lab.joined().await;
        let wire = rig.out.borrow().store[&B].wire.clone();
        let listen = lab.settings.set["sip_listen"].clone();
        let refer = |call_id: &str, from_tag: &str, to_tag: &str| {
            format!(
                "REFER sip:ifbus@{listen} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK{from_tag}x\r\n\
                 From: <sip:1002@x>;tag={from_tag}\r\nTo: <sip:1001@x>;tag={to_tag}\r\nCall-ID: {call_id}\r\n\
                 CSeq: 900 REFER\r\nMax-Forwards: 70\r\nContact: <sip:1002@127.0.0.1:9>\r\n\
                 Refer-To: <sip:1003@127.0.0.1>\r\nContent-Length: 0\r\n\r\n"
            )
        };
        // whoever is not the server is not heard, even if he knows everything
        let stranger = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for text in [refer(&wire.call_id, &wire.remote_tag, &wire.local_tag), refer("unknown", "a", "b")] {
            stranger.send_to(text.as_bytes(), &listen).await.unwrap();
        }
        // an order that goes there and back: what came before it was read
        hold(&rig).await;
        resume(&rig).await;
        assert_eq!(lab.phones.rings("1003"), 0);
        assert!(!rig.out.borrow().events.iter().any(|event| matches!(event, Event::MovedByPhone { .. })));
        lab.hears("1001", &["1002"]).await;
        hang_up(&lab, &rig).await;
    });
}

#[test]
fn item_09_a_conference_needs_media_and_is_refused_by_name() {
    each(async |lab| {
        let rig = lab.joined().await;
        let enter = Order::Enter { leg: A, conference: "sales".parse().unwrap() };
        let refused = rig.outcome(enter).await.unwrap_err();
        assert_eq!((refused.why, refused.evidence), (Why::Prerequisite, Evidence::NothingSent));
        lab.hears("1001", &["1002"]).await;
        hang_up(&lab, &rig).await;
    });
}

#[test]
fn item_10_a_restart_of_the_proxy_in_the_middle_of_a_call() {
    run(async {
        let lab = Lab::simulated(Profile::V56, |_| {});
        let rig = lab.joined().await;
        let double = lab.double.as_ref().unwrap();
        double.kill();
        rig.until("the end of a life", |seen| !seen.down.is_empty()).await;
        lab.restart().await;
        rig.start();
        rig.until("readiness", |seen| seen.ready.len() == 2).await;
        lab.hears("1001", &["1002"]).await;
        hold(&rig).await;
        resume(&rig).await;
        hang_up(&lab, &rig).await;
    });
}

#[test]
fn item_10_a_restart_of_ours_in_the_middle_of_a_call() {
    each(async |lab| {
        let rig = lab.joined().await;
        let store = rig.kill().await;
        lab.hears("1001", &["1002"]).await;
        let rig = lab.again(store).await;
        hang_up(&lab, &rig).await;
        rig.list_until("no call", <[_]>::is_empty).await;
    });
}

#[test]
fn item_11_a_phone_that_was_killed_is_found() {
    once(async |lab| {
        let rig = lab.joined().await;
        let Lab { phones, double: _server, .. } = lab;
        phones.stop();
        rig.until("the end of both", |seen| {
            [A, B].into_iter().all(|leg| seen.events.contains(&Event::Vanished(leg)))
        })
        .await;
        assert!(rig.out.borrow().store.is_empty());
    });
}

/// So many calls are up together.
const MANY: u128 = 500;
/// So many orders are under way together.
const TOGETHER: usize = 20;

#[test]
fn item_12_five_hundred_calls_up_and_down_leave_no_dialog() {
    once(async |lab| {
        // sound for a thousand legs is more than a small machine makes
        lab.phones.silence(true);
        let rig = lab.ready().await;
        let pair = |call: u128| (LegId(1_000 + 2 * call), LegId(1_001 + 2 * call));
        let calls: Vec<u128> = (0..MANY).collect();
        let all = |orders: Vec<Order>| async {
            let tickets: Vec<u64> = orders.into_iter().map(|order| rig.give(order)).collect();
            rig.until("every answer", |seen| tickets.iter().all(|ticket| seen.answers.contains_key(ticket)))
                .await;
            let seen = rig.out.borrow();
            for ticket in &tickets {
                assert!(seen.answers[ticket].is_ok(), "{:?}", seen.answers[ticket]);
            }
        };
        for some in calls.chunks(TOGETHER) {
            let legs: Vec<_> = some.iter().map(|call| pair(*call)).collect();
            let answered = async |legs: Vec<LegId>| {
                rig.until("every phone", |seen| {
                    legs.iter().all(|leg| seen.events.contains(&Event::Answered(*leg)))
                })
                .await;
            };
            all(legs.iter().map(|(a, _)| lab.dial(*a, "1001", None)).collect()).await;
            answered(legs.iter().map(|(a, _)| *a).collect()).await;
            all(legs.iter().map(|(a, b)| lab.dial(*b, "1002", Some(*a))).collect()).await;
            answered(legs.iter().map(|(_, b)| *b).collect()).await;
            all(legs.iter().map(|(a, b)| Order::Join { a: *a, b: *b }).collect()).await;
            rig.out.borrow_mut().events.clear();
        }
        let many = usize::try_from(MANY).unwrap();
        assert_eq!((lab.phones.live("1001"), lab.phones.live("1002")), (many, many));
        assert_eq!(rig.listed().await.len(), 2 * many);

        let legs = calls.iter().flat_map(|call| [pair(*call).0, pair(*call).1]);
        all(legs.map(|leg| Order::Drop { leg, cause: Cause::Answered }).collect()).await;
        lab.lives("1001", 0).await;
        lab.lives("1002", 0).await;
        assert!(rig.out.borrow().store.is_empty());
        rig.list_until("no dialog", <[_]>::is_empty).await;
        if let Some(double) = &lab.double {
            assert_eq!(double.read(|machine| machine.live()), 0);
        }
    });
}
