//! Bytes to leg state changed: what a fleet told an adapter is recorded, and told to a fresh one again and again.
//!
//! Each input is timed with all the outputs it causes; of all rounds the least time counts, because whatever disturbs a
//! single input only adds to it. The sum is held against the CPU time of whole rounds.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ifbus_adapters::adapter::{HttpReply, LinkError, LinkId, RequestId, Ticket};
use ifbus_adapters::{Adapter, Input, Output};
use ifbus_call::{Epoch, Nanos, Order};
use memchr::memmem;

use crate::figure::Figure;
use crate::meter;
use crate::orchestrator::{Wrap, spec};
use crate::virtual_fleet::{INSTANCE, Plan, run as live};

const ROUNDS: usize = 9;
/// Calls that are measured.
const CALLS: usize = 500;
/// Calls that talk all the while, of two legs each.
const HELD: usize = 2_000;

/// An input that can be kept.
enum Kept {
    Start(Epoch),
    Stop,
    Opened(LinkId),
    Bytes(LinkId, Vec<u8>),
    Closed(LinkId, LinkError),
    HttpPart(RequestId, Vec<u8>),
    Http(RequestId, Result<HttpReply, LinkError>),
    Order(Ticket, Order),
    Tick,
}

impl Kept {
    fn of(input: &Input<'_>) -> Self {
        match input {
            Input::Start(epoch) => Self::Start(*epoch),
            Input::Stop => Self::Stop,
            Input::Opened(link) => Self::Opened(*link),
            Input::Bytes(link, bytes) => Self::Bytes(*link, bytes.to_vec()),
            Input::Closed(link, error) => Self::Closed(*link, error.clone()),
            Input::HttpPart(id, bytes) => Self::HttpPart(*id, bytes.to_vec()),
            Input::Http(id, reply) => Self::Http(*id, reply.clone()),
            Input::Order(ticket, order) => Self::Order(*ticket, order.clone()),
            Input::Tick => Self::Tick,
            Input::Restored(_) | Input::Sip(_) | Input::Persisted(..) | Input::Accepted { .. } => {
                unreachable!("no SIP agent in what is replayed")
            }
        }
    }

    fn input(&self) -> Input<'_> {
        match self {
            Self::Start(epoch) => Input::Start(*epoch),
            Self::Stop => Input::Stop,
            Self::Opened(link) => Input::Opened(*link),
            Self::Bytes(link, bytes) => Input::Bytes(*link, bytes),
            Self::Closed(link, error) => Input::Closed(*link, error.clone()),
            Self::HttpPart(id, bytes) => Input::HttpPart(*id, bytes),
            Self::Http(id, reply) => Input::Http(*id, reply.clone()),
            Self::Order(ticket, order) => Input::Order(*ticket, order.clone()),
            Self::Tick => Input::Tick,
        }
    }

    /// Events of the stream in it, and messages of AMI.
    fn messages(&self) -> (usize, usize) {
        match self {
            Self::Bytes(_, bytes) if bytes.starts_with(b"{") => (1, 0),
            Self::Bytes(_, bytes) => (0, memmem::find_iter(bytes, b"\r\n\r\n").count()),
            _ => (0, 0),
        }
    }
}

#[derive(Default)]
struct Record {
    seed: u64,
    inputs: Vec<(Nanos, Kept)>,
}

/// Listens to everything an adapter is told.
struct Listening {
    adapter: Box<dyn Adapter>,
    record: Rc<RefCell<Record>>,
}

impl Adapter for Listening {
    fn handle(&mut self, input: Input<'_>, now: Nanos) {
        self.record.borrow_mut().inputs.push((now, Kept::of(&input)));
        self.adapter.handle(input, now);
    }

    fn poll(&mut self) -> Option<Output> {
        self.adapter.poll()
    }

    fn deadline(&self) -> Option<Nanos> {
        self.adapter.deadline()
    }
}

/// What a whole fleet told its one adapter, and where the measured part begins.
fn record(ari: bool, held: usize) -> (Record, usize) {
    let record = Rc::new(RefCell::new(Record::default()));
    let kept = Rc::clone(&record);
    let wrap: Wrap = Rc::new(move |seed, adapter| {
        kept.borrow_mut().seed = seed;
        Box::new(Listening { adapter, record: Rc::clone(&kept) })
    });
    let plan = Plan { seed: 7, names: &["pbx1"], ari, sip: false, wrap: Some(wrap), wire: None };
    let (begin, end) = live(plan, async |world| {
        world.talk(held, Duration::from_millis(2)).await;
        let begin = record.borrow().inputs.len();
        let calls = world.talk(CALLS, Duration::from_millis(2)).await;
        world.hang_up(&calls).await;
        (begin, record.borrow().inputs.len())
    });
    let mut record = record.take();
    record.inputs.truncate(end);
    (record, begin)
}

/// One class of inputs: how much of it there is, and what it costs.
#[derive(Default)]
struct Share {
    inputs: usize,
    messages: usize,
    nanos: f64,
}

/// What a replay came to.
struct Replay {
    stream: Share,
    ami: Share,
    orders: Share,
    rest: Share,
    /// CPU time of a whole round, by the clock of the thread.
    whole: f64,
}

impl Replay {
    fn total(&self) -> f64 {
        [&self.stream, &self.ami, &self.orders, &self.rest].iter().map(|share| share.nanos).sum()
    }
}

fn replay(ari: bool, record: &Record, begin: usize) -> Replay {
    let spec = spec("pbx1", "pbx1", (5038, if ari { 8088 } else { 0 }), false);
    let make = ifbus_adapters::check(spec.kind, &spec.settings, INSTANCE, &spec.name, None);
    let make = make.expect("the settings were good before");
    let measured = record.inputs.len() - begin;
    let mut least = vec![u64::MAX; measured];
    let mut whole = Vec::new();
    for round in 0..2 * ROUNDS {
        let mut adapter = make(record.seed);
        for (now, kept) in &record.inputs[..begin] {
            tell(adapter.as_mut(), kept, *now);
        }
        // Every second round is not looked at in the middle: the clock itself costs.
        let looked_at = round % 2 == 0;
        let began = meter::thread();
        for ((now, kept), least) in record.inputs[begin..].iter().zip(&mut least) {
            if looked_at {
                let began = Instant::now();
                tell(adapter.as_mut(), kept, *now);
                *least = (*least).min(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
            } else {
                tell(adapter.as_mut(), kept, *now);
            }
        }
        if !looked_at {
            whole.push((meter::thread() - began).as_nanos() as f64);
        }
    }
    let clock = cost_of_the_clock();
    let mut seen = Replay {
        stream: Share::default(),
        ami: Share::default(),
        orders: Share::default(),
        rest: Share::default(),
        whole: meter::median(&whole),
    };
    for ((_, kept), least) in record.inputs[begin..].iter().zip(least) {
        let (stream, ami) = kept.messages();
        let share = match kept {
            Kept::Order(..) => &mut seen.orders,
            _ if stream > 0 => &mut seen.stream,
            _ if ami > 0 => &mut seen.ami,
            _ => &mut seen.rest,
        };
        share.inputs += 1;
        share.messages += stream + ami;
        share.nanos += least.saturating_sub(clock) as f64;
    }
    seen
}

fn tell(adapter: &mut dyn Adapter, kept: &Kept, now: Nanos) {
    adapter.handle(kept.input(), now);
    while let Some(output) = adapter.poll() {
        std::hint::black_box(output);
    }
}

/// What looking at the clock twice adds to every input.
fn cost_of_the_clock() -> u64 {
    let looks = (0..10_000).map(|_| {
        let began = Instant::now();
        std::hint::black_box(());
        u64::try_from(began.elapsed().as_nanos()).unwrap_or(0)
    });
    looks.min().unwrap_or(0)
}

/// Runs it.
pub fn run() -> (Vec<String>, Vec<Figure>) {
    let mut notes = vec![format!(
        "{CALLS} two-leg calls of the whole fleet over a double, {HELD} more calls held ({} legs alive), recorded and told to a \
         fresh adapter in {ROUNDS} rounds",
        2 * HELD
    )];
    let mut figures = Vec::new();
    for ari in [true, false] {
        let way = if ari { "ARI" } else { "AMI alone" };
        let (record, begin) = record(ari, HELD);
        let few = self::record(ari, 0);
        let seen = replay(ari, &record, begin);
        let few = replay(ari, &few.0, few.1);
        let calls = CALLS as f64;
        let per = |share: &Share| share.messages as f64 / calls;
        notes.push(format!(
            "{way}, per call: {:.1} stream events, {:.1} AMI messages, {:.1} orders; of the {:.1} us per call {:.1} are stream events, \
             {:.1} AMI, {:.1} orders with the bytes they become, {:.1} timers and the rest; whole rounds by the thread's clock: {:.1} us \
             per call",
            per(&seen.stream),
            per(&seen.ami),
            seen.orders.inputs as f64 / calls,
            seen.total() / calls / 1e3,
            seen.stream.nanos / calls / 1e3,
            seen.ami.nanos / calls / 1e3,
            seen.orders.nanos / calls / 1e3,
            seen.rest.nanos / calls / 1e3,
            seen.whole / calls / 1e3,
        ));
        let rate = |share: &Share| share.messages as f64 / (share.nanos / 1e9);
        let figure = if ari {
            Figure::new("ARI bytes to leg state changed", "events per core-second", rate(&seen.stream))
                .beside("without held calls", rate(&few.stream))
                .at_least(1e6)
        } else {
            Figure::new("AMI bytes to leg state changed", "events per core-second", rate(&seen.ami))
                .beside("without held calls", rate(&few.ami))
                .at_least(2e6)
        };
        figures.push(figure);
        let goal = if ari { 20.0 } else { 12.0 };
        figures.push(
            Figure::new(format!("adapter per two-leg call, {way}"), "us of CPU", seen.whole / calls / 1e3)
                .beside("without held calls", few.whole / calls / 1e3)
                .at_most(goal),
        );
    }
    (notes, figures)
}
