//! One agent, its stack, a store in memory, and phones.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use ifbus_adapters::adapter::{Output, Secret, Ticket, Warning};
use ifbus_adapters::sip::{
    Agent, AgentOptions, Dialog, SipCommand, SipCredential, SipEndpoint, SipTransport, Standing,
};
use ifbus_call::order::ParkReason;
use ifbus_call::order::{Dial, Done, Outcome};
use ifbus_call::{CallId, Cause, Event, InstanceId, LegId, Nanos, Order, Role, Seen, Tag, Wait};
use ifbus_doubles::phone::shell::SipServer;
use ifbus_doubles::phone::{Phones, Tone};
use ifbus_links::{Network, Report, SipLeg, Sockets};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

pub const A: LegId = LegId(0xa);
pub const B: LegId = LegId(0xb);
pub const C: LegId = LegId(0xc);

/// Longer than anything here may take on a busy machine.
pub const GUARD: Duration = Duration::from_secs(40);

/// Addresses nobody else of this process uses.
pub fn address(port: u16) -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(30);
    SocketAddr::from(([127, 0, 76, NEXT.fetch_add(1, Ordering::Relaxed)], port))
}

/// Runs a promise with the phones called directly, and through a Kamailio where there is one.
pub fn both<F: Future<Output = ()>>(promise: impl Fn(Lab) -> F) {
    run(async {
        promise(Lab::direct()).await;
        if let Ok(server) = std::env::var("IFBUS_REAL_KAMAILIO_SIP") {
            promise(Lab::through(server.parse().expect("an address and a port"))).await;
        }
    });
}

pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

/// Phones, and the server through which they are called.
pub struct Lab {
    pub phones: SipServer,
    pub server: SocketAddr,
    pub listen: SocketAddr,
}

impl Lab {
    pub fn direct() -> Self {
        let phones = SipServer::start(&[address(5060)]).unwrap();
        let server = phones.addresses()[0];
        Self { phones, server, listen: address(5070) }
    }

    pub fn through(server: SocketAddr) -> Self {
        let phones = SipServer::start(&[address(5060)]).unwrap();
        Self { phones, server, listen: address(5070) }
    }

    pub fn options(&self) -> AgentOptions {
        AgentOptions {
            endpoint: SipEndpoint {
                host: self.server.ip().to_string(),
                port: self.server.port(),
                transport: SipTransport::Udp,
                listen: self.listen,
                advertise: None,
                credentials: vec![SipCredential {
                    realm: None,
                    user: "lab".to_owned(),
                    password: Secret::new("labpass"),
                }],
                anchor: None,
            },
            domain: self.server.ip().to_string(),
            headers: Vec::new(),
        }
    }

    /// An agent that has nothing of an earlier life.
    pub async fn agent(&self) -> Rig {
        Rig::start(self.options(), BTreeMap::new()).await
    }

    pub fn dial(&self, leg: LegId, number: &str, toward: Option<LegId>) -> Order {
        let party = format!("sip:{number}@{}", self.phones.addresses()[0]).parse().unwrap();
        let role = match leg {
            A => Role::A,
            B => Role::B,
            _ => Role::C,
        };
        let call = CallId::new(1, 7);
        let (from, to) = ("5001".parse().unwrap(), "5002".parse().unwrap());
        Order::Dial(Dial {
            leg,
            tag: Tag { call, role, party, from, to },
            caller: "5000".parse().unwrap(),
            toward,
            wait: Wait::Silence,
            within: Duration::from_secs(20),
        })
    }

    /// Two phones that talk: 1001 on leg A, 1002 on leg B, and hear each other.
    pub async fn joined(&self) -> Rig {
        let rig = self.agent().await;
        self.join_two(&rig).await;
        rig
    }

    pub async fn join_two(&self, rig: &Rig) {
        rig.done(self.dial(A, "1001", None)).await;
        rig.event(Event::Answered(A)).await;
        rig.done(self.dial(B, "1002", Some(A))).await;
        rig.event(Event::Answered(B)).await;
        rig.done(Order::Join { a: A, b: B }).await;
        self.hears("1001", &["1002"]).await;
        self.hears("1002", &["1001"]).await;
    }

    /// Waits until a phone hears exactly these others.
    pub async fn hears(&self, number: &str, others: &[&str]) {
        let wanted = others.iter().map(|other| Tone::of(other)).collect();
        let until = Instant::now() + GUARD;
        while self.phones.heard(number) != wanted {
            assert!(Instant::now() < until, "{number} hears {:?}, not {wanted:?}", self.phones.heard(number));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn lives(&self, number: &str, count: usize) {
        let until = Instant::now() + GUARD;
        while self.phones.live(number) != count {
            assert!(Instant::now() < until, "{number} has {} calls, not {count}", self.phones.live(number));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// What came out of an agent, and what was written down.
#[derive(Default)]
pub struct Seenings {
    pub events: Vec<Event>,
    pub answers: BTreeMap<u64, Outcome>,
    pub warnings: Vec<Warning>,
    pub store: BTreeMap<LegId, Dialog>,
    pub commands: Vec<SipCommand>,
    pub standing: Option<Standing>,
    pub seen: Vec<Seen>,
}

enum Mail {
    Order(Ticket, Order),
    Report(Report),
    Stop,
}

/// A running agent. Dropping it is a kill: nothing is said to anybody.
pub struct Rig {
    mail: UnboundedSender<Mail>,
    pub out: Rc<RefCell<Seenings>>,
    changed: Rc<Notify>,
    tickets: RefCell<u64>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Rig {
    /// An agent with what an earlier one has written down, open for orders.
    pub async fn start(options: AgentOptions, store: BTreeMap<LegId, Dialog>) -> Self {
        let rig = Self::begin(options, store);
        rig.until("an open endpoint", |seen| seen.standing == Some(Standing::Open)).await;
        rig
    }

    pub fn begin(options: AgentOptions, store: BTreeMap<LegId, Dialog>) -> Self {
        static SEED: AtomicU8 = AtomicU8::new(1);
        let seed = u64::from(SEED.fetch_add(1, Ordering::Relaxed)) ^ (u64::from(std::process::id()) << 20);
        Self::begin_on(&Sockets::default(), seed, options, store)
    }

    /// The same on any network.
    pub fn begin_on(
        network: &dyn Network,
        seed: u64,
        options: AgentOptions,
        store: BTreeMap<LegId, Dialog>,
    ) -> Self {
        let (mail, inbox) = unbounded_channel();
        let mut agent = Agent::new(options, InstanceId(0x77), seed);
        agent.restore(store.values().cloned().collect());
        let out = Rc::new(RefCell::new(Seenings { store, ..Seenings::default() }));
        let changed = Rc::new(Notify::new());
        let reports = mail.clone();
        let stack = network.sip(Rc::new(move |report| {
            // the loop ends with the rig
            let _ = reports.send(Mail::Report(report));
        }));
        let task = tokio::task::spawn_local(drive(agent, stack, inbox, Rc::clone(&out), Rc::clone(&changed)));
        Self { mail, out, changed, tickets: RefCell::new(0), task }
    }

    /// The process dies; what it has written down stays.
    pub async fn kill(self) -> BTreeMap<LegId, Dialog> {
        self.task.abort();
        while !self.task.is_finished() {
            tokio::task::yield_now().await;
        }
        let store = self.out.borrow().store.clone();
        // sockets are closed by tasks that were told to stop
        tokio::time::sleep(Duration::from_millis(50)).await;
        store
    }

    pub fn stop(&self) {
        let _ = self.mail.send(Mail::Stop);
    }

    pub async fn until(&self, what: &str, wanted: impl Fn(&Seenings) -> bool) {
        let until = Instant::now() + GUARD;
        loop {
            if wanted(&self.out.borrow()) {
                return;
            }
            let changed = tokio::time::timeout_at(until, self.changed.notified()).await;
            let seen = self.out.borrow();
            let last = &seen.events[seen.events.len().saturating_sub(20)..];
            assert!(changed.is_ok() || wanted(&seen), "no {what}: {last:?} {:?}", seen.warnings);
        }
    }

    pub async fn event(&self, event: Event) {
        self.until(&format!("{event:?}"), |seen| seen.events.contains(&event)).await;
    }

    /// The end of a leg.
    pub async fn ended(&self, leg: LegId) -> (Cause, ifbus_call::By, ifbus_call::Said) {
        let find = |seen: &Seenings| {
            seen.events.iter().find_map(|event| match event {
                Event::Ended { leg: over, cause, by, said } if *over == leg => {
                    Some((*cause, *by, said.clone()))
                }
                _ => None,
            })
        };
        self.until(&format!("end of {leg}"), |seen| find(seen).is_some()).await;
        let seen = self.out.borrow();
        find(&seen).unwrap()
    }

    pub fn give(&self, order: Order) -> u64 {
        *self.tickets.borrow_mut() += 1;
        let ticket = *self.tickets.borrow();
        let _ = self.mail.send(Mail::Order(Ticket(ticket), order));
        ticket
    }

    pub async fn outcome(&self, order: Order) -> Outcome {
        let ticket = self.give(order);
        self.answered(ticket).await
    }

    pub async fn answered(&self, ticket: u64) -> Outcome {
        self.until(&format!("answer to {ticket}"), |seen| seen.answers.contains_key(&ticket)).await;
        self.out.borrow().answers[&ticket].clone()
    }

    /// An order that has to succeed.
    pub async fn done(&self, order: Order) -> Done {
        let text = format!("{order:?}");
        self.outcome(order).await.unwrap_or_else(|refused| panic!("{text}: {refused:?}"))
    }

    pub async fn park(&self, held: LegId, other: LegId) {
        self.done(Order::Park { held, other, why: ParkReason::Hold }).await;
    }

    pub async fn drop_both(&self) {
        self.done(Order::Drop { leg: A, cause: Cause::Answered }).await;
        self.done(Order::Drop { leg: B, cause: Cause::Answered }).await;
        let seen = self.out.borrow();
        assert!(seen.store.is_empty(), "nothing is left to be remembered: {:?}", seen.store);
    }

    pub fn versions(&self) -> Vec<(LegId, u64)> {
        self.out.borrow().store.iter().map(|(leg, dialog)| (*leg, dialog.media.version)).collect()
    }
}

async fn drive(
    mut agent: Agent,
    stack: Box<dyn SipLeg>,
    mut inbox: UnboundedReceiver<Mail>,
    out: Rc<RefCell<Seenings>>,
    changed: Rc<Notify>,
) {
    let zero = Instant::now();
    let now = || Nanos::from_start(zero.elapsed());
    agent.start(now());
    loop {
        while let Some(output) = agent.poll() {
            take(output, &mut agent, &*stack, &out, now());
        }
        {
            let mut seen = out.borrow_mut();
            seen.standing = Some(agent.standing().clone());
            seen.seen = agent.seen();
        }
        changed.notify_waiters();
        changed.notify_one();
        let due = agent.deadline().map(|due| zero + due.since_start());
        let late = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            mail = inbox.recv() => match mail {
                Some(Mail::Order(ticket, order)) => agent.order(ticket, order, now()),
                Some(Mail::Report(Report::Sip(event))) => agent.sip_event(event, now()),
                Some(Mail::Report(other)) => panic!("a SIP endpoint reports {other:?}"),
                Some(Mail::Stop) => agent.stop(now()),
                None => return,
            },
            () = late => agent.tick(now()),
        }
    }
}

fn take(output: Output, agent: &mut Agent, stack: &dyn SipLeg, out: &RefCell<Seenings>, now: Nanos) {
    let mut seen = out.borrow_mut();
    match output {
        Output::Sip(command) => {
            seen.commands.push(command.clone());
            stack.ask(command);
        }
        Output::Persist(number, dialog) => {
            // what is written is text: it comes back through it
            let text = serde_json::to_string(&*dialog).unwrap();
            seen.store.insert(dialog.leg, serde_json::from_str(&text).unwrap());
            drop(seen);
            agent.persisted(number, true, now);
        }
        Output::Forget(leg) => drop(seen.store.remove(&leg)),
        Output::Event(event) => seen.events.push(event),
        Output::Answer(ticket, outcome) => {
            let before = seen.answers.insert(ticket.0, outcome);
            assert_eq!(before, None, "{ticket:?} was answered twice");
        }
        Output::Warning(warning) => seen.warnings.push(warning),
        other => panic!("an agent does not say {other:?}"),
    }
}
