//! Every metric of ifbus, in one place.
//!
//! Counters only; ratios are made by whoever reads them. Labels come from closed sets, never from an id, a number, an
//! address or a text of a server; a removed server takes its series along. `docs/operating/metrics.md` says the same
//! for people, compared by a test.
//!
//! Read on: [`feed`] derives what can be derived from events and views; the methods here are for what only an actor
//! knows.

pub mod feed;
mod lately;
mod of_process;
mod of_server;
mod series;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ifbus_adapters::adapter::DownReason;
use ifbus_call::{Interface, Kind, Order, Outcome, ServerName, Why};
use ifbus_fleet::{Board, Meter, Skipped};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use of_process::Process;
use of_server::Servers;
use series::Series;

/// What the exposition is called on the wire.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Names of orders, as labels.
pub const ORDERS: [&str; 11] =
    ["dial", "join", "park", "drop", "dtmf", "mute", "list", "load", "probe", "probe_sip", "inspect"];
/// Outcomes of orders, as labels.
pub const OUTCOMES: [&str; 8] =
    ["done", "not_ready", "link_lost", "refused", "no_such_leg", "unproven", "no_template", "overloaded"];
/// Reasons for passing a server over, as labels; see [`Skipped::reason`].
pub const SKIPS: [&str; 11] = [
    "down",
    "connecting",
    "suspect",
    "draining",
    "drained",
    "at_capacity",
    "cps_exceeded",
    "removed",
    "tried",
    "not_named",
    "other",
];
/// Why the links to a server were opened: the first time, or what ended their last life.
pub const CONNECTS: [&str; 9] = [
    "first",
    "unreachable",
    "login_refused",
    "not_the_kind",
    "lost",
    "silent",
    "protocol",
    "shutting_down",
    "stopped",
];
/// What became of the legs found on a server when its links came up.
pub const ADOPTED: [&str; 3] = ["adopted", "ended", "foreign"];
/// Actors that are restarted, as labels.
pub const ACTORS: [&str; 6] = ["office", "router", "conferences", "server", "connection", "other"];
/// Why actors are restarted, as labels.
pub const RESTARTS: [&str; 8] = [
    "panicked",
    "born_panicked",
    "future_panicked",
    "drop_panicked",
    "frozen",
    "sibling_died",
    "child_gave_up",
    "other",
];

const DELAYS: [f64; 11] = [0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 30.0, 60.0];
const DURATIONS: [f64; 9] = [1.0, 5.0, 10.0, 30.0, 60.0, 180.0, 600.0, 1800.0, 7200.0];
/// From a server on the same machine to one that hangs until the deadline.
const ORDER_TIMES: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 10.0];
/// From a choice in memory to a write that waits for a disk.
const SHORT_TIMES: [f64; 9] = [0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.025, 0.1, 1.0];
/// What OpenTelemetry's convention for HTTP servers asks for.
const HTTP_TIMES: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty),* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, EncodeLabelSet)]
        pub(crate) struct $name { $(pub(crate) $field: $kind),* }
    )*};
}

labels! {
    OfServer { server: String }
    OfKind { kind: &'static str }
    OfCause { cause: &'static str }
    ServerKind { server: String, kind: &'static str }
    ServerKindCause { server: String, kind: &'static str, cause: &'static str }
    ServerCause { server: String, cause: &'static str }
    ServerReason { server: String, reason: &'static str }
    ServerOutcome { server: String, outcome: &'static str }
    ServerType { server: String, r#type: &'static str }
    ServerProbe { server: String, interface: &'static str, outcome: &'static str }
    KindOrder { kind: &'static str, order: &'static str, outcome: &'static str }
    Restart { actor: &'static str, reason: &'static str }
    Request { http_request_method: &'static str, http_route: &'static str, http_response_status_code: u16 }
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// Every metric. Shared by reference; all methods are cheap and never wait.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    board: Arc<Board>,
    pub(crate) attempts: Series<ServerKind, Counter>,
    pub(crate) attempt_ends: Series<ServerKindCause, Counter>,
    pub(crate) calls: Family<OfKind, Counter>,
    pub(crate) call_ends: Family<OfCause, Counter>,
    pub(crate) post_dial_delay: Series<ServerKind, Histogram>,
    pub(crate) answer_delay: Series<ServerKind, Histogram>,
    pub(crate) call_duration: Series<ServerKind, Histogram>,
    pub(crate) retries: Series<ServerCause, Counter>,
    pub(crate) events: Series<ServerType, Counter>,
    order_duration: Histograms<KindOrder>,
    orders_in_flight: Series<OfServer, Gauge>,
    route_decision: Histogram,
    route_skips: Series<ServerReason, Counter>,
    link_connects: Series<ServerReason, Counter>,
    adopted: Series<ServerOutcome, Counter>,
    adoption_duration: Histogram,
    probes: Series<ServerProbe, Histogram>,
    frames_unknown: Series<OfServer, Counter>,
    actor_restarts: Family<Restart, Counter>,
    store_write: Histogram,
    stream_dropped: Counter,
    requests: Histograms<Request>,
    pub(crate) lately: lately::Lately,
}

impl Metrics {
    /// All metrics, at zero. `board` is looked at when they are read.
    #[must_use]
    pub fn new(board: Arc<Board>, version: &str) -> Arc<Self> {
        let mut registry = Registry::default();
        let metrics = Self {
            lately: lately::Lately::default(),
            attempts: Series::new(Counter::default),
            attempt_ends: Series::new(Counter::default),
            calls: Family::default(),
            call_ends: Family::default(),
            post_dial_delay: Series::new(|| Histogram::new(DELAYS)),
            answer_delay: Series::new(|| Histogram::new(DELAYS)),
            call_duration: Series::new(|| Histogram::new(DURATIONS)),
            retries: Series::new(Counter::default),
            events: Series::new(Counter::default),
            order_duration: Family::new_with_constructor(|| Histogram::new(ORDER_TIMES)),
            orders_in_flight: Series::new(Gauge::default),
            route_decision: Histogram::new(SHORT_TIMES),
            route_skips: Series::new(Counter::default),
            link_connects: Series::new(Counter::default),
            adopted: Series::new(Counter::default),
            adoption_duration: Histogram::new(ORDER_TIMES),
            probes: Series::new(|| Histogram::new(ORDER_TIMES)),
            frames_unknown: Series::new(Counter::default),
            actor_restarts: Family::default(),
            store_write: Histogram::new(SHORT_TIMES),
            stream_dropped: Counter::default(),
            requests: Family::new_with_constructor(|| Histogram::new(HTTP_TIMES)),
            registry: Registry::default(),
            board: Arc::clone(&board),
        };
        metrics.register_calls(&mut registry);
        metrics.register_servers(&mut registry);
        metrics.register_ourselves(&mut registry, version);
        registry.register_collector(Box::new(Servers::new(board)));
        registry.register_collector(Box::new(Process::new()));
        let metrics = Self { registry, ..metrics };
        metrics.begin();
        Arc::new(metrics)
    }

    fn register_calls(&self, to: &mut Registry) {
        to.register("ifbus_call_attempts", "Dials of leg B on one server", self.attempts.family());
        to.register("ifbus_attempt_ends", "Ends of attempts, by cause", self.attempt_ends.family());
        to.register("ifbus_calls", "Calls taken, by the kind of their first server", self.calls.clone());
        to.register("ifbus_call_ends", "Ends of calls, by cause", self.call_ends.clone());
        to.register(
            "ifbus_retries",
            "Calls moved to another server, by the first one's failure",
            self.retries.family(),
        );
        let mut seconds = |name, help, histogram| to.register_with_unit(name, help, Unit::Seconds, histogram);
        seconds(
            "ifbus_attempt_post_dial_delay",
            "From dialing leg B to its first ring or answer",
            self.post_dial_delay.family(),
        );
        seconds("ifbus_attempt_answer_delay", "From dialing leg B to its answer", self.answer_delay.family());
        seconds("ifbus_call_duration", "From the first talk to the end", self.call_duration.family());
        to.register("ifbus_events", "Events shown, by type", self.events.family());
    }

    fn register_servers(&self, to: &mut Registry) {
        let seconds = Unit::Seconds;
        to.register_with_unit(
            "ifbus_order_duration",
            "From an order to its proven effect or refusal",
            seconds.clone(),
            self.order_duration.clone(),
        );
        to.register("ifbus_orders_in_flight", "Orders under way", self.orders_in_flight.family());
        to.register_with_unit(
            "ifbus_route_decision",
            "Choosing a server",
            seconds.clone(),
            self.route_decision.clone(),
        );
        to.register("ifbus_route_skips", "Servers passed over, by reason", self.route_skips.family());
        to.register(
            "ifbus_link_connects",
            "Lives of links begun, by what ended the last one",
            self.link_connects.family(),
        );
        to.register(
            "ifbus_calls_adopted",
            "Legs found when links came up, by what became of them",
            self.adopted.family(),
        );
        to.register_with_unit(
            "ifbus_adoption_duration",
            "From links up to all calls adopted",
            seconds.clone(),
            self.adoption_duration.clone(),
        );
        to.register_with_unit("ifbus_probe_duration", "Answers to probes", seconds, self.probes.family());
        to.register(
            "ifbus_frames_unknown",
            "Frames of a server that were not understood",
            self.frames_unknown.family(),
        );
    }

    fn register_ourselves(&self, to: &mut Registry, version: &str) {
        to.register("ifbus_actor_restarts", "Actors born again, by reason", self.actor_restarts.clone());
        to.register_with_unit(
            "ifbus_store_write",
            "Writing a batch down",
            Unit::Seconds,
            self.store_write.clone(),
        );
        to.register(
            "ifbus_stream_events_dropped",
            "Events not sent to listeners that were too slow",
            self.stream_dropped.clone(),
        );
        to.register_with_unit(
            "http_server_request_duration",
            "Requests to the API",
            Unit::Seconds,
            self.requests.clone(),
        );
        to.register("ifbus_build", "The version that runs", Info::new([("version", version.to_owned())]));
    }

    /// Makes every series that does not need a server, so that a rate over it is right from the first event.
    fn begin(&self) {
        for kind in Kind::ALL.map(Kind::as_str) {
            drop(self.calls.get_or_create(&OfKind { kind }));
            for (order, outcome) in ORDERS.iter().flat_map(|order| OUTCOMES.map(|outcome| (*order, outcome)))
            {
                drop(self.order_duration.get_or_create(&KindOrder { kind, order, outcome }));
            }
        }
        for cause in feed::CAUSES {
            drop(self.call_ends.get_or_create(&OfCause { cause }));
        }
        for (actor, reason) in ACTORS.iter().flat_map(|actor| RESTARTS.map(|reason| (*actor, reason))) {
            drop(self.actor_restarts.get_or_create(&Restart { actor, reason }));
        }
    }

    /// Makes every series of a server that has none yet.
    fn begin_server(&self, name: &ServerName, kind: Kind) {
        let (server, kind) = (name.to_string(), kind.as_str());
        let server_kind = ServerKind { server: server.clone(), kind };
        self.attempts.get(&server_kind);
        self.post_dial_delay.get(&server_kind);
        self.answer_delay.get(&server_kind);
        self.call_duration.get(&server_kind);
        for cause in feed::CAUSES {
            self.attempt_ends.get(&ServerKindCause { server: server.clone(), kind, cause });
            self.retries.get(&ServerCause { server: server.clone(), cause });
        }
        for r#type in feed::TYPES {
            self.events.get(&ServerType { server: server.clone(), r#type });
        }
        for reason in SKIPS {
            self.route_skips.get(&ServerReason { server: server.clone(), reason });
        }
        for reason in CONNECTS {
            self.link_connects.get(&ServerReason { server: server.clone(), reason });
        }
        for outcome in ADOPTED {
            self.adopted.get(&ServerOutcome { server: server.clone(), outcome });
        }
        for interface in of_server::INTERFACES {
            for outcome in ["answered", "silent"] {
                self.probes.get(&ServerProbe { server: server.clone(), interface, outcome });
            }
        }
        self.orders_in_flight.get(&OfServer { server: server.clone() });
        self.frames_unknown.get(&OfServer { server });
    }

    /// The exposition. Series of servers that are new appear, those of removed ones are gone.
    #[must_use]
    pub fn text(&self) -> String {
        let servers = self.board.servers();
        for server in &servers {
            self.begin_server(&server.name, server.kind);
        }
        let present: BTreeSet<String> = servers.iter().map(|server| server.name.to_string()).collect();
        self.keep_servers(&present);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("a String takes every text");
        text
    }

    fn keep_servers(&self, present: &BTreeSet<String>) {
        self.lately.keep(present);
        self.attempts.keep(present);
        self.attempt_ends.keep(present);
        self.post_dial_delay.keep(present);
        self.answer_delay.keep(present);
        self.call_duration.keep(present);
        self.retries.keep(present);
        self.events.keep(present);
        self.orders_in_flight.keep(present);
        self.route_skips.keep(present);
        self.link_connects.keep(present);
        self.adopted.keep(present);
        self.probes.keep(present);
        self.frames_unknown.keep(present);
    }

    /// An actor was born again. Words outside of [`ACTORS`] and [`RESTARTS`] are counted as `other`.
    pub fn actor_restarted(&self, actor: &str, reason: &str) {
        let labels = Restart { actor: one_of(&ACTORS, actor), reason: one_of(&RESTARTS, reason) };
        self.actor_restarts.get_or_create(&labels).inc();
    }

    /// Actors that were born again so far.
    pub fn actor_restarts(&self) -> u64 {
        let of = |actor, reason| self.actor_restarts.get_or_create(&Restart { actor, reason }).get();
        ACTORS.iter().flat_map(|actor| RESTARTS.map(|reason| of(actor, reason))).sum()
    }

    /// A batch was written down.
    pub fn store_written(&self, took: Duration) {
        self.store_write.observe(took.as_secs_f64());
    }

    // --- told by the API ---

    pub(crate) fn stream_dropped(&self, events: u64) {
        self.stream_dropped.inc_by(events);
    }

    pub(crate) fn requested(&self, method: &str, route: &'static str, status: u16, took: Duration) {
        let labels = Request {
            http_request_method: one_of(
                &["GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS", "_OTHER"],
                method,
            ),
            http_route: route,
            http_response_status_code: status,
        };
        self.requests.get_or_create(&labels).observe(took.as_secs_f64());
    }
}

/// The word itself if it is in the closed set, else the last of the set.
fn one_of(set: &[&'static str], word: &str) -> &'static str {
    set.iter().find(|known| **known == word).copied().unwrap_or(set[set.len() - 1])
}

const fn order_word(order: &Order) -> &'static str {
    match order {
        Order::Dial(_) => "dial",
        Order::Join { .. } => "join",
        Order::Park { .. } => "park",
        Order::Drop { .. } => "drop",
        Order::Dtmf { .. } => "dtmf",
        Order::Mute { .. } => "mute",
        Order::Enter { .. } => "enter",
        Order::Leave { .. } => "leave",
        Order::Record { .. } => "record",
        Order::StopRecord { .. } => "stop_record",
        Order::Fetch { .. } => "fetch",
        Order::Drain { .. } => "drain",
        Order::List => "list",
        Order::Load => "load",
        Order::Probe => "probe",
        Order::ProbeSip => "probe_sip",
        Order::Inspect => "inspect",
    }
}

const fn outcome_word(outcome: &Outcome) -> &'static str {
    match outcome {
        Ok(_) => "done",
        Err(refused) => match refused.why {
            Why::NotReady => "not_ready",
            Why::LinkLost => "link_lost",
            Why::Refused => "refused",
            Why::NoSuchLeg => "no_such_leg",
            Why::Unproven => "unproven",
            Why::NoTemplate => "no_template",
            Why::Prerequisite => "prerequisite",
            Why::Overloaded => "overloaded",
        },
    }
}

impl Meter for Metrics {
    fn order_given(&self, server: &ServerName) {
        self.orders_in_flight.get(&OfServer { server: server.to_string() }).inc();
    }

    fn order_done(&self, server: &ServerName, kind: Kind, order: &Order, outcome: &Outcome, took: Duration) {
        self.orders_in_flight.get(&OfServer { server: server.to_string() }).dec();
        let labels =
            KindOrder { kind: kind.as_str(), order: order_word(order), outcome: outcome_word(outcome) };
        self.order_duration.get_or_create(&labels).observe(took.as_secs_f64());
    }

    fn routed(&self, took: Duration, skipped: &[Skipped]) {
        self.route_decision.observe(took.as_secs_f64());
        for skip in skipped {
            let reason = one_of(&SKIPS, &skip.reason);
            self.route_skips.get(&ServerReason { server: skip.server.to_string(), reason }).inc();
        }
    }

    fn link_connected(&self, server: &ServerName, after: Option<&DownReason>) {
        let reason = match after {
            None => "first",
            Some(DownReason::Unreachable(_)) => "unreachable",
            Some(DownReason::LoginRefused(_)) => "login_refused",
            Some(DownReason::NotTheKind(_)) => "not_the_kind",
            Some(DownReason::Lost(_)) => "lost",
            Some(DownReason::Silent(_)) => "silent",
            Some(DownReason::Protocol(_)) => "protocol",
            Some(DownReason::ShuttingDown) => "shutting_down",
            Some(DownReason::Stopped) => "stopped",
        };
        self.link_connects.get(&ServerReason { server: server.to_string(), reason }).inc();
    }

    fn adopted(&self, server: &ServerName, adopted: u64, ended: u64, foreign: u64, took: Duration) {
        for (outcome, count) in ADOPTED.into_iter().zip([adopted, ended, foreign]) {
            self.adopted.get(&ServerOutcome { server: server.to_string(), outcome }).inc_by(count);
        }
        self.adoption_duration.observe(took.as_secs_f64());
    }

    fn probed(&self, server: &ServerName, interface: Interface, answered: bool, took: Duration) {
        let outcome = if answered { "answered" } else { "silent" };
        let labels = ServerProbe { server: server.to_string(), interface: interface.as_str(), outcome };
        self.probes.get(&labels).observe(took.as_secs_f64());
    }

    fn unknown_frames(&self, server: &ServerName, count: u64) {
        self.frames_unknown.get(&OfServer { server: server.to_string() }).inc_by(count);
    }
}
