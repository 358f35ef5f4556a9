//! From a call that is asked for to the bytes that are handed to the link, while others come and go.
//!
//! Virtual time on one thread: the CPU time between the two moments is what the router, the server's actor, the call and
//! the adapter took, and whatever else they had to do in between.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use ifbus_adapters::adapter::{Endpoint, HttpRequest, LinkId, Listening, RequestId};
use ifbus_links::simulated::Simulated;
use ifbus_links::{Link, Listener, Network, Pending, Sink, SipLeg};
use memchr::memmem;

use crate::figure::Figure;
use crate::meter;
use crate::orchestrator::{hang_up, place};
use crate::virtual_fleet::{Plan, run as live};

const RATE: u64 = 500;
const SECONDS: u64 = 10;
/// How long a call lives.
const TALK: Duration = Duration::from_secs(2);

/// Turns of the scheduler after which nothing is left to do in this moment.
const TURNS: usize = 200;

thread_local! {
    /// When the call was asked for that is on its way to a link.
    static ASKED: Cell<Option<Duration>> = const { Cell::new(None) };
    static TOOK: RefCell<Vec<f64>> = const { RefCell::new(Vec::new()) };
}

/// A network that notes when the first leg of a call is handed to it.
struct Watched(Simulated);

struct WatchedLink(Box<dyn Link>);

impl Network for Watched {
    fn open(&self, link: LinkId, endpoint: Endpoint, sink: Sink) -> Box<dyn Link> {
        Box::new(WatchedLink(self.0.open(link, endpoint, sink)))
    }

    fn listen(&self, link: LinkId, listening: Listening, sink: Sink) -> Box<dyn Listener> {
        self.0.listen(link, listening, sink)
    }

    fn request(&self, request: RequestId, http: HttpRequest, sink: Sink) -> Box<dyn Pending> {
        self.0.request(request, http, sink)
    }

    fn sip(&self, sink: Sink) -> Box<dyn SipLeg> {
        self.0.sip(sink)
    }
}

impl Link for WatchedLink {
    fn send(&self, bytes: Vec<u8>) {
        if ASKED.get().is_some() && memmem::find(&bytes, b"Action: Originate").is_some() {
            let took = ASKED.take().map(|asked| meter::thread() - asked).unwrap_or_default();
            TOOK.with_borrow_mut(|all| all.push(took.as_nanos() as f64 / 1e3));
        }
        self.0.send(bytes);
    }
}

/// Runs it.
pub fn run() -> (Vec<String>, Vec<Figure>) {
    let wire = |network: Simulated| Rc::new(Watched(network)) as Rc<dyn Network>;
    let plan = Plan {
        seed: 3,
        names: &["pbx1", "pbx2", "pbx3"],
        ari: true,
        sip: false,
        wrap: None,
        wire: Some(wire),
    };
    let placed = live(plan, async |world| {
        let mut living = std::collections::VecDeque::new();
        let pause = Duration::from_micros(1_000_000 / RATE);
        for n in 0..RATE * SECONDS {
            let numbers = [2000 + (2 * n) % 8000, 2001 + (2 * n) % 8000].map(|number| number.to_string());
            // Every second call is asked for when everything else of this moment is done, the others in its middle.
            let turns = if n % 2 == 0 { TURNS } else { 0 };
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            ASKED.set(Some(meter::thread()));
            let call = place(&world.fleet, &numbers[0], &numbers[1]).await.expect("the call is taken");
            living.push_back((world.network.now(), call));
            while living.front().is_some_and(|(began, _)| world.network.now() - *began > TALK) {
                if let Some((_, call)) = living.pop_front() {
                    hang_up(&world.fleet, call).await;
                }
            }
            tokio::time::sleep(pause).await;
        }
        let calls: Vec<_> = living.into_iter().map(|(_, call)| call).collect();
        for call in calls {
            hang_up(&world.fleet, call).await;
        }
        world.until(|world| world.channels() == 0).await;
        RATE * SECONDS
    });
    let took = TOOK.take();
    // The clock is looked at twice per call, and has to be paid for.
    let floor: Vec<f64> = (0..10_000)
        .map(|_| {
            let began = meter::thread();
            (meter::thread() - began).as_nanos() as f64 / 1e3
        })
        .collect();
    let notes = vec![format!(
        "{placed} calls at {RATE} a second of virtual time over three doubles, {} dispatches seen, about {} calls alive",
        took.len(),
        RATE * TALK.as_secs()
    )];
    let alone: Vec<f64> = took.iter().step_by(2).copied().collect();
    let amid: Vec<f64> = took.iter().skip(1).step_by(2).copied().collect();
    let figure = |part: f64, name: &str, goal: f64| {
        Figure::new(format!("choice and dispatch, {name}"), "us of CPU", meter::quantile(&alone, part))
            .beside("behind all that is due, doubles included", meter::quantile(&amid, part))
            .beside("noise: two looks at the clock", meter::quantile(&floor, part))
            .at_most(goal)
    };
    (notes, vec![figure(0.5, "p50", 60.0), figure(0.99, "p99", 1000.0)])
}
