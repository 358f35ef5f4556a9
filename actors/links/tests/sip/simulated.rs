//! The same agent on the simulated network: no socket, no stack, virtual time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use ifbus_adapters::sip::{AgentOptions, SipEndpoint, SipTransport, Standing};
use ifbus_call::order::{Dial, ParkReason};
use ifbus_call::{CallId, Cause, Event, LegId, Order, Role, Tag, Wait, Why};
use ifbus_links::simulated::{FarEnds, Pickup, Simulated};

use super::rig::{A, B, Rig};

struct World {
    network: Simulated,
    phones: Rc<RefCell<FarEnds>>,
}

fn options() -> AgentOptions {
    AgentOptions {
        endpoint: SipEndpoint {
            host: "proxy1".to_owned(),
            port: 5060,
            transport: SipTransport::Udp,
            listen: "192.0.2.2:5070".parse().unwrap(),
            advertise: None,
            credentials: Vec::new(),
            anchor: None,
        },
        domain: "proxy1".to_owned(),
        headers: Vec::new(),
    }
}

fn dial(leg: LegId, number: &str, toward: Option<LegId>) -> Order {
    let (from, to) = ("1001".parse().unwrap(), "1002".parse().unwrap());
    let role = if leg == A { Role::A } else { Role::B };
    let tag = Tag { call: CallId::new(1, 7), role, party: number.parse().unwrap(), from, to };
    let caller = "5000".parse().unwrap();
    Order::Dial(Dial { leg, tag, caller, toward, wait: Wait::Silence, within: Duration::from_secs(30) })
}

/// Runs in virtual time.
fn virtually<F: Future<Output = ()>>(test: impl FnOnce(World) -> F) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let network = Simulated::new(Duration::from_millis(2));
        let phones = Rc::new(RefCell::new(FarEnds::new()));
        network.put_sip("proxy1", phones.clone());
        test(World { network, phones }).await;
    });
}

impl World {
    async fn agent(&self, store: BTreeMap<LegId, ifbus_adapters::sip::Dialog>) -> Rig {
        let rig = Rig::begin_on(&self.network, 1, options(), store);
        rig.until("an open endpoint", |seen| seen.standing == Some(Standing::Open)).await;
        rig
    }

    fn change(&self, work: impl FnOnce(&mut FarEnds)) {
        work(&mut self.phones.borrow_mut());
        self.network.touched();
    }

    fn hears(&self, number: &str, others: &[&str]) {
        let wanted = others.iter().map(|other| (*other).to_owned()).collect();
        assert_eq!(self.phones.borrow().heard(number), wanted, "{number}");
    }

    async fn joined(&self) -> Rig {
        let rig = self.agent(BTreeMap::new()).await;
        rig.done(dial(A, "1001", None)).await;
        rig.event(Event::Answered(A)).await;
        rig.done(dial(B, "1002", Some(A))).await;
        rig.event(Event::Answered(B)).await;
        rig.done(Order::Join { a: A, b: B }).await;
        self.hears("1001", &["1002"]);
        self.hears("1002", &["1001"]);
        rig
    }
}

#[test]
fn a_simulated_call_is_joined_held_and_ended_like_a_real_one() {
    virtually(|world| async move {
        let rig = world.joined().await;
        rig.park(B, A).await;
        world.hears("1001", &[]);
        world.hears("1002", &[]);
        rig.done(Order::Join { a: A, b: B }).await;
        world.hears("1001", &["1002"]);
        rig.done(Order::Dtmf { leg: B, digits: "42".parse().unwrap() }).await;
        assert_eq!(world.phones.borrow().digits("1002"), "42");
        world.change(|phones| phones.hold("1001", true));
        rig.event(Event::HeldByPhone(A)).await;
        world.change(|phones| phones.hold("1001", false));
        rig.event(Event::ResumedByPhone(A)).await;
        world.change(|phones| phones.hang_up("1002"));
        assert_eq!(rig.ended(B).await.0, Cause::Answered);
        rig.done(Order::Drop { leg: A, cause: Cause::Answered }).await;
        assert_eq!(world.phones.borrow().live("1001"), 0);
    });
}

#[test]
fn a_simulated_call_outlives_a_kill() {
    virtually(|world| async move {
        let rig = world.joined().await;
        let store = rig.kill().await;
        let rig = world.agent(store).await;
        rig.park(B, A).await;
        world.hears("1002", &[]);
        rig.drop_both().await;
        assert_eq!(world.phones.borrow().live("1001") + world.phones.borrow().live("1002"), 0);
    });
}

#[test]
fn a_simulated_phone_transfers_by_itself() {
    virtually(|world| async move {
        let rig = world.joined().await;
        world.change(|phones| phones.plan("1003", Pickup::Refuses(404, Duration::from_millis(5))));
        world.change(|phones| phones.refer("1002", "<sip:1003@proxy1>"));
        rig.until("a refusal", |_| world.phones.borrow().transferred("1002") == Some(404)).await;
        world.hears("1001", &["1002"]);
        world.change(|phones| phones.refer("1002", "<sip:1003@elsewhere>"));
        rig.until("a refusal", |_| world.phones.borrow().transferred("1002") == Some(403)).await;
        world.change(|phones| phones.refer("1002", "<sip:1004@proxy1>"));
        rig.ended(B).await;
        assert_eq!(world.phones.borrow().transferred("1002"), Some(200));
        world.hears("1001", &["1004"]);
        world.hears("1004", &["1001"]);
        let moved = |event: &Event| matches!(event, Event::MovedByPhone { leg: A, guest: Some(_), .. });
        assert!(rig.out.borrow().events.iter().any(moved));
        rig.done(Order::Drop { leg: A, cause: Cause::Answered }).await;
        rig.until("the guest's end", |_| world.phones.borrow().live("1004") == 0).await;
        assert_eq!(world.phones.borrow().live("1001") + world.phones.borrow().live("1002"), 0);
    });
}

#[test]
fn simulated_phones_refuse_ring_and_say_nothing() {
    virtually(|world| async move {
        let rig = world.agent(BTreeMap::new()).await;
        world.change(|phones| {
            phones.plan("1001", Pickup::Refuses(486, Duration::from_millis(5)));
            phones.plan("1002", Pickup::Rings);
            phones.plan("1003", Pickup::Silent);
        });
        rig.done(dial(A, "1001", None)).await;
        assert_eq!(rig.ended(A).await.0, Cause::Busy);
        rig.done(dial(B, "1002", None)).await;
        assert_eq!(rig.ended(B).await.0, Cause::NoAnswer, "it rings for as long as it may");
        assert!(rig.outcome(dial(LegId(9), "1003", None)).await.is_err());
    });
}

#[test]
fn a_network_that_is_cut_is_silence_and_nobody_is_told() {
    virtually(|world| async move {
        let rig = world.joined().await;
        world.network.cut_off("proxy1", true);
        let outcome = rig.outcome(Order::ProbeSip).await.unwrap();
        assert!(format!("{outcome:?}").contains("no answer in time"), "{outcome:?}");
        let refused =
            rig.outcome(Order::Park { held: B, other: A, why: ParkReason::Hold }).await.unwrap_err();
        assert_eq!(refused.why, Why::Unproven);
        world.network.cut_off("proxy1", false);
        rig.park(B, A).await;
        world.hears("1002", &[]);
    });
}

#[test]
fn a_name_without_a_machine_has_no_route() {
    virtually(|world| async move {
        let mut elsewhere = options();
        elsewhere.endpoint.host = "nobody".to_owned();
        let rig = Rig::begin_on(&world.network, 1, elsewhere, BTreeMap::new());
        rig.until("a failed endpoint", |seen| matches!(seen.standing, Some(Standing::Failed(_)))).await;
    });
}
