//! The machine of a Kamailio on real sockets, its phones, and a store in memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use ifbus_adapters::adapter::{
    Adapter, Down, Input, LinkId, Output, Ready, RequestId, Secret, Ticket, Warning,
};
use ifbus_adapters::sip::Dialog;
use ifbus_adapters::{Settings, check};
use ifbus_call::order::{Dial, Done, Outcome};
use ifbus_call::{CallId, Cause, Epoch, Event, InstanceId, Kind, LegId, Nanos, Order, Role, Seen, Tag, Wait};
use ifbus_doubles::kamailio::{Bind, KamailioServer, Options, Profile};
use ifbus_doubles::phone::shell::SipServer;
use ifbus_doubles::phone::{Phones, Tone};
use ifbus_links::{Link, Network, Pending, Report, SipLeg, Sockets};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

pub const A: LegId = LegId(0xa);
pub const B: LegId = LegId(0xb);
pub const C: LegId = LegId(0xc);

/// Longer than anything here may take on a busy machine.
pub const GUARD: Duration = Duration::from_secs(60);

/// An installation of ours for each lab: what one leaves behind on a real server is nobody else's.
fn instance() -> InstanceId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    InstanceId((u64::from(std::process::id()) << 20) | NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Runs a promise on the double in both versions, and on a real server where `IFBUS_REAL_KAMAILIO` names one
/// (`5.6=127.0.80.1`, made by the lab's script). Those take turns: they share the phones' address.
pub fn each<F: Future<Output = ()>>(promise: impl Fn(Lab) -> F) {
    run(async {
        for profile in [Profile::V56, Profile::V61] {
            promise(Lab::simulated(profile, |_| {})).await;
        }
        if let Some(lab) = Lab::real() {
            promise(lab).await;
        }
    });
}

pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

/// A server and its phones.
pub struct Lab {
    pub phones: SipServer,
    /// Phones that call by themselves: a phone that is called keeps the Call-ID, so they are others.
    callers: SipServer,
    pub double: Option<KamailioServer>,
    pub settings: Settings,
    pub instance: InstanceId,
    pub sip: SocketAddr,
    _turn: Option<std::sync::MutexGuard<'static, ()>>,
}

impl Lab {
    /// The double is started again, and its ports are open.
    pub async fn restart(&self) {
        let double = self.double.as_ref().expect("a real one is not ours to restart");
        double.restart();
        let until = Instant::now() + GUARD;
        while tokio::net::TcpStream::connect(double.rpc()).await.is_err() {
            assert!(Instant::now() < until, "its ports stay closed");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn simulated(profile: Profile, change: impl FnOnce(&mut Options)) -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(20);
        let last = NEXT.fetch_add(2, Ordering::Relaxed);
        let phones = SipServer::start(&[SocketAddr::from(([127, 0, 80, last], 5060))]).unwrap();
        let callers = SipServer::start(&[SocketAddr::from(([127, 0, 80, last + 1], 5060))]).unwrap();
        let at = phones.addresses()[0];
        let mut options = Options::new(profile).with_phones(at, at);
        // the port must be the same when we come back
        let listen = free();
        options.trusted.push(listen);
        change(&mut options);
        let server = KamailioServer::start(Bind::default(), options).unwrap();
        let mut lab = Self {
            settings: settings("127.0.0.1", server.rpc().port(), listen),
            sip: server.sip(),
            phones,
            callers,
            double: Some(server),
            instance: instance(),
            _turn: None,
        };
        let server = lab.double.as_ref().unwrap();
        lab.settings.set.insert("events_port".to_owned(), server.events().port().to_string());
        lab.settings.set.insert("sip".to_owned(), server.sip().to_string());
        lab
    }

    pub fn real() -> Option<Self> {
        static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let named = std::env::var("IFBUS_REAL_KAMAILIO").ok()?;
        let address = named.split(',').find_map(|pair| pair.split_once('=')).expect("VERSION=ADDRESS").1;
        let ip: Ipv4Addr = address.parse().expect("an address");
        let turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let next = |offset: u32, port: u16| SocketAddr::from((Ipv4Addr::from(u32::from(ip) + offset), port));
        let phones = SipServer::start(&[next(1, 5060)]).unwrap();
        let callers = SipServer::start(&[next(2, 5060)]).unwrap();
        // the lab lets in whoever comes from there
        let mut settings = settings(address, 8080, free());
        settings.auth.insert("sip_user".to_owned(), Secret::new("lab"));
        settings.auth.insert("sip_secret".to_owned(), Secret::new("labpass"));
        Some(Self {
            phones,
            callers,
            double: None,
            settings,
            instance: instance(),
            sip: next(0, 5060),
            _turn: Some(turn),
        })
    }

    /// A machine that begins.
    pub fn begin(&self) -> Rig {
        Rig::begin(self, BTreeMap::new())
    }

    /// A machine that is ready, with nothing of an earlier life.
    pub async fn ready(&self) -> Rig {
        self.again(BTreeMap::new()).await
    }

    /// A machine that is ready, with what an earlier one has written down.
    pub async fn again(&self, store: BTreeMap<LegId, Dialog>) -> Rig {
        let rig = Rig::begin(self, store);
        rig.until("readiness", |seen| !seen.ready.is_empty()).await;
        rig
    }

    pub fn dial(&self, leg: LegId, number: &str, toward: Option<LegId>) -> Order {
        let role = match leg {
            A => Role::A,
            B => Role::B,
            _ => Role::C,
        };
        let (from, to) = ("1001".parse().unwrap(), "1002".parse().unwrap());
        let tag = Tag { call: CallId::new(1, 7), role, party: number.parse().unwrap(), from, to };
        let caller = "5000".parse().unwrap();
        let within = Duration::from_secs(20);
        Order::Dial(Dial { leg, tag, caller, toward, wait: Wait::Silence, within })
    }

    /// Two phones that talk: 1001 on leg A, 1002 on leg B, and hear each other.
    pub async fn joined(&self) -> Rig {
        let rig = self.ready().await;
        rig.done(self.dial(A, "1001", None)).await;
        rig.event(Event::Answered(A)).await;
        rig.done(self.dial(B, "1002", Some(A))).await;
        rig.event(Event::Answered(B)).await;
        rig.done(Order::Join { a: A, b: B }).await;
        self.hears("1001", &["1002"]).await;
        self.hears("1002", &["1001"]).await;
        rig
    }

    /// Waits until a phone hears exactly these others.
    pub async fn hears(&self, number: &str, others: &[&str]) {
        let wanted = others.iter().map(|other| Tone::of(other)).collect();
        let heard = || self.phones.heard(number);
        wait(&format!("{number} to hear {others:?}"), || heard() == wanted, || format!("{:?}", heard()))
            .await;
    }

    pub async fn lives(&self, number: &str, count: usize) {
        let live = || self.phones.live(number);
        wait(&format!("{count} calls of {number}"), || live() == count, || live().to_string()).await;
    }

    /// Somebody calls, whom nobody of ours has told to.
    pub fn call(&self, from: &str, to: &str) {
        self.callers.call(from, to, self.sip);
    }

    /// A call between two phones that nobody of ours ordered; answered.
    pub async fn foreign(&self, from: &str, to: &str) {
        self.call(from, to);
        self.lives(to, 1).await;
        self.talks(from, 1).await;
    }

    /// Waits until a caller has so many calls.
    pub async fn talks(&self, from: &str, count: usize) {
        let live = || self.callers.live(from);
        wait(&format!("{count} calls of {from}"), || live() == count, || live().to_string()).await;
    }
}

async fn wait(what: &str, is: impl Fn() -> bool, shown: impl Fn() -> String) {
    let until = Instant::now() + GUARD;
    while !is() {
        assert!(Instant::now() < until, "no {what}: {}", shown());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A port of ours that nobody has.
fn free() -> SocketAddr {
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn settings(host: &str, port: u16, listen: SocketAddr) -> Settings {
    Settings {
        host: host.to_owned(),
        port: Some(port),
        auth: [("secret".to_owned(), Secret::new("labtoken"))].into(),
        set: [("sip_listen".to_owned(), listen.to_string())].into(),
    }
}

/// What came out of a machine, and what was written down.
#[derive(Default)]
pub struct Seenings {
    pub events: Vec<Event>,
    pub answers: BTreeMap<u64, Outcome>,
    pub warnings: Vec<Warning>,
    pub store: BTreeMap<LegId, Dialog>,
    pub ready: Vec<Ready>,
    pub down: Vec<Down>,
}

enum Mail {
    Order(Ticket, Order),
    Report(Report),
    Start,
    Stop,
}

/// A running machine. Dropping it is a kill: nothing is said to anybody.
pub struct Rig {
    mail: UnboundedSender<Mail>,
    pub out: Rc<RefCell<Seenings>>,
    changed: Rc<Notify>,
    tickets: RefCell<u64>,
    /// How the names of our dialogs begin.
    own: String,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Rig {
    fn begin(lab: &Lab, store: BTreeMap<LegId, Dialog>) -> Self {
        static SEED: AtomicU64 = AtomicU64::new(1);
        let seed = SEED.fetch_add(1, Ordering::Relaxed) ^ (u64::from(std::process::id()) << 20);
        let server = "edge".parse().unwrap();
        let make = check(Kind::Kamailio, &lab.settings, lab.instance, &server, None).expect("sound settings");
        let mut machine = make(seed);
        let (mail, inbox) = unbounded_channel();
        machine.handle(Input::Restored(store.values().cloned().collect()), Nanos::ZERO);
        let out = Rc::new(RefCell::new(Seenings { store, ..Seenings::default() }));
        let changed = Rc::new(Notify::new());
        let wires = Wires::new(mail.clone());
        let task =
            tokio::task::spawn_local(drive(machine, wires, inbox, Rc::clone(&out), Rc::clone(&changed)));
        let _ = mail.send(Mail::Start);
        let own = format!("ib-{}-", lab.instance);
        Self { mail, out, changed, tickets: RefCell::new(0), own, task }
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

    pub fn start(&self) {
        let _ = self.mail.send(Mail::Start);
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
            assert!(
                changed.is_ok() || wanted(&seen),
                "no {what}: {:?} {:?} {:?} {:?}",
                seen.events,
                seen.warnings,
                seen.down,
                seen.answers
            );
        }
    }

    pub async fn event(&self, event: Event) {
        self.until(&format!("{event:?}"), |seen| seen.events.contains(&event)).await;
    }

    /// Why a leg ended.
    pub async fn ended(&self, leg: LegId) -> Cause {
        let find = |seen: &Seenings| {
            seen.events.iter().find_map(|event| match event {
                Event::Ended { leg: over, cause, .. } if *over == leg => Some(*cause),
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
        self.until(&format!("answer to {ticket}"), |seen| seen.answers.contains_key(&ticket)).await;
        self.out.borrow().answers[&ticket].clone()
    }

    /// An order that has to succeed.
    pub async fn done(&self, order: Order) -> Done {
        let text = format!("{order:?}");
        self.outcome(order).await.unwrap_or_else(|refused| panic!("{text}: {refused:?}"))
    }

    pub async fn drop_leg(&self, leg: LegId) {
        self.done(Order::Drop { leg, cause: Cause::Answered }).await;
    }

    pub async fn listed(&self) -> Vec<Seen> {
        match self.done(Order::List).await {
            Done::Listed(seen) => self.without_leftovers(seen),
            other => panic!("{other:?}"),
        }
    }

    /// Without what other tests of ours have left on a real server.
    pub fn without_leftovers(&self, mut seen: Vec<Seen>) -> Vec<Seen> {
        seen.retain(|seen| !seen.native.starts_with("ib-") || seen.native.starts_with(&self.own));
        seen
    }

    /// Waits until the list is as wanted.
    pub async fn list_until(&self, what: &str, wanted: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let until = Instant::now() + GUARD;
        loop {
            let seen = self.listed().await;
            if wanted(&seen) {
                return seen;
            }
            assert!(Instant::now() < until, "no {what}: {seen:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// What is open.
struct Wires {
    sockets: Sockets,
    sink: ifbus_links::Sink,
    sip: Box<dyn SipLeg>,
    links: BTreeMap<LinkId, Box<dyn Link>>,
    requests: BTreeMap<RequestId, Box<dyn Pending>>,
}

impl Wires {
    fn new(mail: UnboundedSender<Mail>) -> Self {
        let sink: ifbus_links::Sink = Rc::new(move |report| {
            // the loop ends with the rig
            let _ = mail.send(Mail::Report(report));
        });
        let sockets = Sockets::default();
        let sip = sockets.sip(Rc::clone(&sink));
        Self { sockets, sink, sip, links: BTreeMap::new(), requests: BTreeMap::new() }
    }
}

async fn drive(
    mut machine: Box<dyn Adapter>,
    mut wires: Wires,
    mut inbox: UnboundedReceiver<Mail>,
    out: Rc<RefCell<Seenings>>,
    changed: Rc<Notify>,
) {
    let zero = Instant::now();
    let now = || Nanos::from_start(zero.elapsed());
    let mut epoch = 0;
    loop {
        while let Some(output) = machine.poll() {
            take(output, &mut *machine, &mut wires, &out, now());
        }
        changed.notify_waiters();
        changed.notify_one();
        let due = machine.deadline().map(|due| zero + due.since_start());
        let late = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            mail = inbox.recv() => match mail {
                Some(Mail::Order(ticket, order)) => machine.handle(Input::Order(ticket, order), now()),
                Some(Mail::Report(report)) => told(report, &mut *machine, &mut wires, now()),
                Some(Mail::Start) => {
                    epoch += 1;
                    machine.handle(Input::Start(Epoch(epoch)), now());
                }
                Some(Mail::Stop) => machine.handle(Input::Stop, now()),
                None => return,
            },
            () = late => machine.handle(Input::Tick, now()),
        }
    }
}

fn told(report: Report, machine: &mut dyn Adapter, wires: &mut Wires, now: Nanos) {
    match report {
        Report::Opened(link) => machine.handle(Input::Opened(link), now),
        Report::Bytes(link, bytes) => machine.handle(Input::Bytes(link, &bytes), now),
        Report::Closed(link, why) => {
            wires.links.remove(&link);
            machine.handle(Input::Closed(link, why), now);
        }
        Report::Accepted(..) => panic!("it listens to nobody"),
        Report::Http(id, result) => {
            wires.requests.remove(&id);
            machine.handle(Input::Http(id, result), now);
        }
        Report::HttpPart(id, bytes) => machine.handle(Input::HttpPart(id, &bytes), now),
        Report::Sip(event) => machine.handle(Input::Sip(event), now),
        Report::Certificate(..) => {}
    }
}

fn take(output: Output, machine: &mut dyn Adapter, wires: &mut Wires, out: &RefCell<Seenings>, now: Nanos) {
    let mut seen = out.borrow_mut();
    match output {
        Output::Open(link, endpoint) => {
            let open = wires.sockets.open(link, endpoint, Rc::clone(&wires.sink));
            wires.links.insert(link, open);
        }
        Output::Close(link) => drop(wires.links.remove(&link)),
        Output::Http(id, request) => {
            let pending = wires.sockets.request(id, request, Rc::clone(&wires.sink));
            wires.requests.insert(id, pending);
        }
        Output::Sip(command) => wires.sip.ask(command),
        Output::Persist(number, dialog) => {
            seen.store.insert(dialog.leg, *dialog);
            drop(seen);
            machine.handle(Input::Persisted(number, true), now);
        }
        Output::Forget(leg) => drop(seen.store.remove(&leg)),
        Output::Event(event) => seen.events.push(event),
        Output::Answer(ticket, outcome) => {
            let before = seen.answers.insert(ticket.0, outcome);
            assert_eq!(before, None, "{ticket:?} was answered twice");
        }
        Output::Ready(ready) => seen.ready.push(ready),
        Output::Down(down) => seen.down.push(down),
        Output::Warning(warning) => seen.warnings.push(warning),
        other => panic!("a Kamailio is not told {other:?}"),
    }
}
