//! Bytes to leg state changed: what a fleet told an adapter is recorded, and told to a fresh one again and again.
//!
//! Here: the player, and Asterisk. The other kinds: `replay_kinds.rs`.
//!
//! Each input is timed with all the outputs it causes; of all rounds the least time counts, because whatever disturbs a
//! single input only adds to it. The sum is held against the CPU time of whole rounds.

use std::time::{Duration, Instant};

use ifbus_adapters::Adapter;
use ifbus_call::Nanos;
use ifbus_fleet::ServerSpec;
use memchr::memmem;

use crate::figure::Figure;
use crate::kinds::Which;
use crate::orchestrator::spec;
use crate::record::{Kept, Record, Recorder};
use crate::virtual_fleet::{INSTANCE, Plan, run as live};
use crate::{meter, replay_kinds};

const ROUNDS: usize = 9;
/// Calls that are measured.
const CALLS: usize = 500;
/// Calls that talk all the while, of two legs each.
const HELD: usize = 2_000;

/// What a whole fleet told its one adapter, and where the measured part begins.
fn record(ari: bool, held: usize) -> (Record, usize) {
    let recorder = Recorder::default();
    let wrap = Some(recorder.wrap());
    let plan = Plan { seed: 7, names: &["pbx1"], ari, sip: false, wrap, wire: None };
    let (begin, end) = live(plan, async |world| {
        world.talk(held, Duration::from_millis(2)).await;
        let begin = recorder.len();
        let calls = world.talk(CALLS, Duration::from_millis(2)).await;
        world.hang_up(&calls).await;
        (begin, recorder.len())
    });
    let mut record = recorder.take();
    record.inputs.truncate(end);
    (record, begin)
}

/// Events of the stream in some bytes, and messages of the management interface.
pub type Count = fn(&[u8]) -> (usize, usize);

fn of_asterisk(bytes: &[u8]) -> (usize, usize) {
    if bytes.starts_with(b"{") { (1, 0) } else { (0, memmem::find_iter(bytes, b"\r\n\r\n").count()) }
}

/// One class of inputs: how much of it there is, and what it costs.
#[derive(Default)]
pub struct Share {
    /// How many inputs.
    pub inputs: usize,
    /// How many messages in them.
    pub messages: usize,
    /// How many bytes.
    pub bytes: usize,
    /// What they cost.
    pub nanos: f64,
}

impl Share {
    /// Messages per second of CPU.
    pub fn rate(&self) -> f64 {
        self.messages as f64 / (self.nanos / 1e9)
    }
}

/// What a replay came to.
pub struct Replay {
    /// What the server tells by itself.
    pub stream: Share,
    /// What it answers.
    pub management: Share,
    /// What our SIP agent hears.
    pub sip: Share,
    /// What the fleet wants.
    pub orders: Share,
    /// Time, the disk, lists of everything.
    pub rest: Share,
    /// CPU time of a whole round, by the clock of the thread.
    pub whole: f64,
}

impl Replay {
    /// All of it.
    pub fn total(&self) -> f64 {
        [&self.stream, &self.management, &self.sip, &self.orders, &self.rest]
            .iter()
            .map(|share| share.nanos)
            .sum()
    }
}

/// An answer that long is a list of everything: it comes every half minute, whatever the calls do.
const LIST: usize = 100_000;

/// Tells the adapter of this server a record again and again; what comes before `begin` is not measured.
pub fn replay(spec: &ServerSpec, record: &Record, begin: usize, count: Count) -> Replay {
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
        management: Share::default(),
        sip: Share::default(),
        orders: Share::default(),
        rest: Share::default(),
        whole: meter::median(&whole),
    };
    for ((_, kept), least) in record.inputs[begin..].iter().zip(least) {
        let (share, messages, bytes) = match kept {
            Kept::Order(..) => (&mut seen.orders, 0, 0),
            Kept::Sip(_) => (&mut seen.sip, 1, 0),
            Kept::Http(_, Ok(reply)) if reply.body.len() < LIST => {
                (&mut seen.management, 1, reply.body.len())
            }
            Kept::Bytes(_, bytes) if bytes.len() < LIST => match count(bytes) {
                (0, 0) => (&mut seen.rest, 0, bytes.len()),
                (0, answers) => (&mut seen.management, answers, bytes.len()),
                (events, answers) => (&mut seen.stream, events + answers, bytes.len()),
            },
            _ => (&mut seen.rest, 0, 0),
        };
        share.bytes += bytes;
        share.inputs += 1;
        share.messages += messages;
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
    let mut notes = Vec::new();
    if Which::is_asterisk_wanted() {
        notes.push(format!(
            "{CALLS} two-leg calls of the whole fleet over a double, {HELD} more calls held ({} legs alive), recorded and told to a \
             fresh adapter in {ROUNDS} rounds",
            2 * HELD
        ));
    }
    let mut figures = Vec::new();
    for ari in [true, false].into_iter().filter(|_| Which::is_asterisk_wanted()) {
        let way = if ari { "ARI" } else { "AMI alone" };
        let (record, begin) = record(ari, HELD);
        let few = self::record(ari, 0);
        let spec = spec("pbx1", "pbx1", (5038, if ari { 8088 } else { 0 }), false);
        let seen = replay(&spec, &record, begin, of_asterisk);
        let few = replay(&spec, &few.0, few.1, of_asterisk);
        let calls = CALLS as f64;
        let per = |share: &Share| share.messages as f64 / calls;
        notes.push(format!(
            "{way}, per call: {:.1} stream events, {:.1} AMI messages, {:.1} orders; of the {:.1} us per call {:.1} are stream events, \
             {:.1} AMI, {:.1} orders with the bytes they become, {:.1} timers and the rest; whole rounds by the thread's clock: {:.1} us \
             per call",
            per(&seen.stream),
            per(&seen.management),
            seen.orders.inputs as f64 / calls,
            seen.total() / calls / 1e3,
            seen.stream.nanos / calls / 1e3,
            seen.management.nanos / calls / 1e3,
            seen.orders.nanos / calls / 1e3,
            seen.rest.nanos / calls / 1e3,
            seen.whole / calls / 1e3,
        ));
        let figure = if ari {
            Figure::new("ARI bytes to leg state changed", "events per core-second", seen.stream.rate())
                .beside("without held calls", few.stream.rate())
                .at_least(1e6)
        } else {
            Figure::new("AMI bytes to leg state changed", "events per core-second", seen.management.rate())
                .beside("without held calls", few.management.rate())
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
    let (more_notes, more) = replay_kinds::run();
    ([notes, more_notes].concat(), [figures, more].concat())
}
