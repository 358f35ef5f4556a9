//! What only a proxy shows: TCP towards it, its restart, a phone that is gone behind it, many calls at once.
//!
//! Runs where `IFBUS_REAL_KAMAILIO_SIP` names one; the restart where `IFBUS_REAL_KAMAILIO_RESTART` is the command for it.

use std::net::SocketAddr;
use std::time::Duration;

use ifbus_adapters::sip::SipTransport;
use ifbus_call::{Cause, Event, LegId, Order};
use ifbus_doubles::phone::Phones;

use super::phones::Baresip;
use super::rig::{A, B, Lab, Rig, both, run};

fn proxied<F: Future<Output = ()>>(promise: impl Fn(SocketAddr) -> F) {
    if let Ok(server) = std::env::var("IFBUS_REAL_KAMAILIO_SIP") {
        run(promise(server.parse().expect("an address and a port")));
    }
}

#[test]
fn a_call_goes_over_tcp_and_is_found_again_by_the_next_process() {
    proxied(|server| async move {
        let lab = Lab::through(server);
        let mut options = lab.options();
        options.endpoint.transport = SipTransport::Tcp;
        let rig = Rig::start(options.clone(), Default::default()).await;
        lab.join_two(&rig).await;
        lab.phones.hold("1002");
        rig.event(Event::HeldByPhone(B)).await;
        lab.phones.resume("1002");
        rig.event(Event::ResumedByPhone(B)).await;
        let store = rig.kill().await;
        let rig = Rig::start(options, store).await;
        rig.park(B, A).await;
        rig.done(Order::Join { a: A, b: B }).await;
        lab.hears("1001", &["1002"]).await;
        // what the proxy has to say comes to the port we listen on
        lab.phones.hang_up("1001");
        rig.ended(A).await;
        rig.done(Order::Drop { leg: B, cause: Cause::Answered }).await;
        lab.lives("1002", 0).await;
    });
}

#[test]
fn a_call_outlives_a_restart_of_the_proxy() {
    let Ok(restart) = std::env::var("IFBUS_REAL_KAMAILIO_RESTART") else { return };
    proxied(|server| {
        let restart = restart.clone();
        async move {
            let lab = Lab::through(server);
            let rig = lab.joined().await;
            let status = tokio::task::spawn_blocking(move || {
                std::process::Command::new("sh").args(["-c", &restart]).status()
            });
            assert!(status.await.unwrap().unwrap().success());
            lab.hears("1001", &["1002"]).await;
            rig.park(B, A).await;
            rig.done(Order::Join { a: A, b: B }).await;
            lab.hears("1001", &["1002"]).await;
            lab.hears("1002", &["1001"]).await;
            rig.drop_both().await;
        }
    });
}

#[test]
fn a_phone_that_is_gone_is_found_by_the_question_whether_it_lives() {
    proxied(|server| async move {
        let lab = Lab::through(server);
        let rig = lab.joined().await;
        let Lab { phones, .. } = lab;
        phones.stop();
        // 30 s to the question, twice 5 s of the proxy's own patience, and the end itself
        for _ in 0..3 {
            let found = tokio::time::timeout(Duration::from_secs(35), async {
                while !rig.out.borrow().events.contains(&Event::Vanished(A)) {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            });
            if found.await.is_ok() {
                return;
            }
        }
        panic!("nobody missed it: {:?}", rig.out.borrow().events);
    });
}

/// Two phones of somebody else's talk through each real proxy: `IFBUS_REAL_PHONES` is the program (`baresip`), and
/// `IFBUS_REAL_PROXIES` the proxies (`127.0.46.1:5060 127.0.46.101:5060`). What each heard is in its own recording.
#[test]
fn real_phones_take_every_offer() {
    let Ok(program) = std::env::var("IFBUS_REAL_PHONES") else { return };
    let proxies = std::env::var("IFBUS_REAL_PROXIES").or_else(|_| std::env::var("IFBUS_REAL_KAMAILIO_SIP"));
    for proxy in proxies.unwrap_or_default().split_whitespace() {
        let server = proxy.parse().expect("an address and a port");
        run(talk(&program, Lab::through(server)));
    }
}

async fn talk(program: &str, lab: Lab) {
    let (one, two) = (Baresip::start(program, "1001").await, Baresip::start(program, "1002").await);
    let to = |order: Order, phone: &Baresip| match order {
        Order::Dial(mut dial) => {
            dial.tag.party = phone.uri().parse().unwrap();
            Order::Dial(dial)
        }
        other => other,
    };
    let sound = async |comes: bool| {
        one.receives(comes).await;
        two.receives(comes).await;
    };
    // a call of a process, and one of the next
    let mut rig = lab.agent().await;
    for digits in ["5#", "8*"] {
        rig.done(to(lab.dial(A, "1", None), &one)).await;
        rig.event(Event::Answered(A)).await;
        rig.done(to(lab.dial(B, "2", Some(A)), &two)).await;
        rig.event(Event::Answered(B)).await;
        rig.done(Order::Join { a: A, b: B }).await;
        one.hears("1002").await;
        two.hears("1001").await;
        for _ in 0..2 {
            rig.park(B, A).await;
            sound(false).await;
            rig.done(Order::Join { a: A, b: B }).await;
            sound(true).await;
        }
        rig.done(Order::Dtmf { leg: A, digits: digits.parse().unwrap() }).await;
        one.received(digits).await;
        let store = rig.kill().await;
        rig = Rig::start(lab.options(), store).await;
        rig.park(B, A).await;
        sound(false).await;
        rig.done(Order::Join { a: A, b: B }).await;
        sound(true).await;
        rig.drop_both().await;
        rig.out.borrow_mut().events.clear();
    }
}

/// How many calls at once: the phones' sound is made for each of them, on the processors of the test.
const MANY: u128 = 30;
/// So many orders are under way together: a proxy gives a phone that loses datagrams five seconds.
const TOGETHER: usize = 5;

#[test]
fn many_calls_come_up_and_go_down_and_leave_nothing() {
    both(|lab| async move {
        let rig = lab.agent().await;
        let pair = |call: u128| (LegId(1_000 + 2 * call), LegId(1_001 + 2 * call));
        let first: Vec<Order> = (0..MANY).map(|call| lab.dial(pair(call).0, "1001", None)).collect();
        let second: Vec<Order> =
            (0..MANY).map(|call| lab.dial(pair(call).1, "1002", Some(pair(call).0))).collect();
        let joins: Vec<Order> =
            (0..MANY).map(|call| Order::Join { a: pair(call).0, b: pair(call).1 }).collect();
        let drops: Vec<Order> = (0..MANY)
            .flat_map(|call| [pair(call).0, pair(call).1])
            .map(|leg| Order::Drop { leg, cause: Cause::Answered })
            .collect();
        for orders in [first, second, joins, drops] {
            for some in orders.chunks(TOGETHER) {
                let tickets: Vec<u64> = some.iter().map(|order| rig.give(order.clone())).collect();
                for ticket in tickets {
                    rig.answered(ticket).await.unwrap();
                }
                let dialled: Vec<LegId> = some.iter().filter_map(dialled).collect();
                rig.until("answers of phones", |seen| {
                    dialled.iter().all(|leg| seen.events.contains(&Event::Answered(*leg)))
                })
                .await;
            }
            if rig.out.borrow().events.iter().any(|event| matches!(event, Event::Joined(..)))
                && !rig.out.borrow().seen.is_empty()
            {
                assert_eq!(lab.phones.live("1001"), usize::try_from(MANY).unwrap());
            }
        }
        assert!(rig.out.borrow().store.is_empty() && rig.out.borrow().seen.is_empty());
        lab.lives("1001", 0).await;
        lab.lives("1002", 0).await;
    });
}

fn dialled(order: &Order) -> Option<LegId> {
    match order {
        Order::Dial(dial) => Some(dial.leg),
        _ => None,
    }
}
