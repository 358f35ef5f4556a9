//! Where calls go: the eligible set, a choice with its reason, and a second choice when nobody rang at the first.
//!
//! A call is placed elsewhere only with evidence that nobody rings twice (design section 6): the server never heard of
//! it, refused it, or knows no such leg. The router keeps no calls; a call that comes back carries its whole journey.
//!
//! Not here: whether a server is well (`server`), how it is spoken to.

mod choose;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, FakeRelativeClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use ifbus_call::{CallId, Cause, ServerName};
use ifbus_supervision::{Answer, Behavior, On, World};
use jiff::Timestamp;
use rand::RngExt;

pub use choose::{Choice, choose, skip};

use crate::control::PlaceCall;
use crate::problem::{Code, Problem, Skipped};
use crate::roster::Roster;
use crate::server::{Begin, Shared, close_call};
use crate::view::{AttemptView, CallView, EndView, ServerView};

/// Servers a call is tried on at most: the time until a caller hears that nothing works stays bounded.
const ATTEMPTS_MAX: usize = 3;

/// What it takes to be born.
pub struct RouterSeed {
    /// What every actor of the fleet shares.
    pub shared: Shared,
    /// The servers that can be told.
    pub roster: Arc<Roster>,
}

/// The actor.
pub struct Router {
    shared: Shared,
    roster: Arc<Roster>,
    rates: BTreeMap<ServerName, Rate>,
    rate_clock: FakeRelativeClock,
    rate_now: Duration,
    placed: u64,
}

type Limiter = RateLimiter<
    NotKeyed,
    InMemoryState,
    FakeRelativeClock,
    NoOpMiddleware<<FakeRelativeClock as Clock>::Instant>,
>;

/// How many new calls a second one server gets.
struct Rate {
    cps: f64,
    limiter: Limiter,
}

/// A call on its way to a server, with all it has been through.
#[derive(Debug)]
pub struct Journey {
    /// The call.
    pub call: CallId,
    /// What was asked for.
    pub request: PlaceCall,
    /// When.
    pub created: Timestamp,
    /// Where it has been.
    pub attempts: Vec<AttemptView>,
    /// Why the next server was chosen.
    pub chosen: String,
    /// Servers that sent it back untouched.
    pub passed: Vec<Skipped>,
    /// The number of its latest event.
    pub seq: u64,
    /// Who waits to hear that a server has taken it.
    pub answer: Option<Answer<Result<CallView, Problem>>>,
}

impl Journey {
    /// Whether another server may be tried after this end: not if the caller named the server, and not if the reason
    /// lies with the party rather than with the server.
    #[must_use]
    pub fn may_go_on(&self, cause: Cause) -> bool {
        let of_the_server = matches!(cause, Cause::Unreachable | Cause::Congestion | Cause::ServerFailure);
        of_the_server && self.request.server.is_none() && self.attempts.len() < ATTEMPTS_MAX
    }
}

/// Place this call.
#[derive(Debug)]
pub struct Place {
    /// What is asked for.
    pub request: PlaceCall,
    /// Who waits.
    pub answer: Answer<Result<CallView, Problem>>,
}

/// A call comes back from a server on which nobody rang.
#[derive(Debug)]
pub struct Returned {
    journey: Box<Journey>,
    /// How it ended there; absent if the server did not take it.
    ended: Option<EndView>,
}

impl Returned {
    /// The server did not take it.
    #[must_use]
    pub fn untouched(mut journey: Journey, server: &ServerName, reason: &str) -> Self {
        journey.passed.push(Skipped { server: server.clone(), reason: reason.to_owned(), detail: None });
        Self { journey: Box::new(journey), ended: None }
    }

    /// It ended there before anybody rang.
    #[must_use]
    pub fn failed(journey: Journey, ended: EndView) -> Self {
        Self { journey: Box::new(journey), ended: Some(ended) }
    }
}

impl Behavior for Router {
    type Seed = RouterSeed;
    /// Calls placed in this life.
    type State = u64;

    fn born(seed: &RouterSeed, world: &mut World<Self>) -> Self {
        Self {
            shared: seed.shared.clone(),
            roster: Arc::clone(&seed.roster),
            rates: BTreeMap::new(),
            rate_clock: FakeRelativeClock::default(),
            rate_now: world.now(),
            placed: 0,
        }
    }

    fn state(&self) -> u64 {
        self.placed
    }
}

impl On<Place> for Router {
    type Reply = ();

    fn on(&mut self, place: Place, world: &mut World<Self>) {
        let now = world.now();
        let journey = Journey {
            call: place
                .request
                .id
                .unwrap_or_else(|| CallId::new(self.shared.clock.unix_ms(now), world.rng().random())),
            request: place.request,
            created: self.shared.clock.at(now),
            attempts: Vec::new(),
            chosen: String::new(),
            passed: Vec::new(),
            seq: 0,
            answer: Some(place.answer),
        };
        self.route(journey, None, now);
    }
}

impl On<Returned> for Router {
    type Reply = ();

    fn on(&mut self, returned: Returned, world: &mut World<Self>) {
        self.route(*returned.journey, returned.ended, world.now());
    }
}

impl Router {
    /// Sends the call to the best server, or ends its journey. `ended` is how it ended at the last one.
    fn route(&mut self, mut journey: Journey, ended: Option<EndView>, now: Duration) {
        // Measured for the figures only; nothing is decided by it.
        let began = std::time::Instant::now();
        let servers = self.shared.board.servers();
        if let Some(named) = journey.request.server.clone()
            && !servers.iter().any(|server| server.name == named)
        {
            let names: Vec<String> = servers.iter().map(|server| server.name.to_string()).collect();
            give_up(journey, unknown_server(&named, &names));
            return;
        }
        let mut refused = refused(&journey, &servers);
        self.rate_clock.advance(now.saturating_sub(self.rate_now));
        self.rate_now = now;
        loop {
            let choice = match choose(&servers, &refused) {
                Ok(choice) => choice,
                Err(skipped) => {
                    self.shared.meter.routed(began.elapsed(), &skipped);
                    return self.nowhere(journey, ended, skipped, now);
                }
            };
            let passed_over = if !self.takes_one_more(&choice.server, &servers) {
                "cps_exceeded"
            } else if let Some(server) = self.roster.address(&choice.server) {
                journey.chosen = choice.why;
                self.placed += 1;
                self.shared.meter.routed(began.elapsed(), &choice.skipped);
                return server.tell(Begin(Box::new(journey)));
            } else {
                "removed" // between the look and the letter
            };
            let skipped =
                Skipped { server: choice.server.clone(), reason: passed_over.to_owned(), detail: None };
            refused.insert(choice.server, skipped);
        }
    }

    /// Takes one call from the server's rate, if there is room for one.
    fn takes_one_more(&mut self, name: &ServerName, servers: &[Arc<ServerView>]) -> bool {
        servers
            .iter()
            .find(|server| server.name == *name)
            .is_some_and(|server| self.rate(server).limiter.check().is_ok())
    }

    fn rate(&mut self, server: &ServerView) -> &mut Rate {
        let clock = &self.rate_clock;
        let rate =
            self.rates.entry(server.name.clone()).or_insert_with(|| Rate::new(server.cps_max, clock.clone()));
        if rate.cps.to_bits() != server.cps_max.to_bits() {
            *rate = Rate::new(server.cps_max, clock.clone());
        }
        rate
    }

    /// No server can take it.
    fn nowhere(&self, journey: Journey, ended: Option<EndView>, skipped: Vec<Skipped>, now: Duration) {
        match ended {
            Some(ended) => {
                if let Some(view) = self.shared.board.call(journey.call) {
                    let mut view = view.as_ref().clone();
                    view.attempts = journey.attempts;
                    view.seq = journey.seq;
                    close_call(&self.shared, view, ended, now);
                }
            }
            None => give_up(journey, no_server(skipped)),
        }
    }
}

/// Servers that cannot be used for this call, whatever their state.
fn refused(journey: &Journey, servers: &[Arc<ServerView>]) -> BTreeMap<ServerName, Skipped> {
    let mut refused: BTreeMap<ServerName, Skipped> =
        journey.passed.iter().map(|skip| (skip.server.clone(), skip.clone())).collect();
    for attempt in &journey.attempts {
        let detail = attempt.ended.as_ref().map(|end| end.class.to_string());
        let skipped = Skipped { server: attempt.server.clone(), reason: "tried".to_owned(), detail };
        refused.insert(attempt.server.clone(), skipped);
    }
    for server in servers {
        if journey.request.server.as_ref().is_some_and(|named| *named != server.name) {
            refused.entry(server.name.clone()).or_insert_with(|| skip(server, "not_named", None));
        }
    }
    refused
}

impl Rate {
    fn new(cps: f64, clock: FakeRelativeClock) -> Self {
        // Whole calls a second, or one in so many seconds; a burst of one second.
        let quota = if cps >= 1.0 {
            Quota::per_second(NonZeroU32::new(cps.min(1e6) as u32).unwrap_or(NonZeroU32::MIN))
        } else {
            Quota::with_period(Duration::from_secs_f64(1.0 / cps.max(1e-3)))
                .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN))
        };
        Self { cps, limiter: RateLimiter::direct_with_clock(quota, clock) }
    }
}

/// Nobody waits for a call that no server took: it never was one.
fn give_up(mut journey: Journey, problem: Problem) {
    if let Some(answer) = journey.answer.take() {
        answer.give(Err(problem));
    }
}

fn unknown_server(named: &ServerName, names: &[String]) -> Problem {
    let configured = if names.is_empty() {
        "none is configured".to_owned()
    } else {
        format!("configured: {}", names.join(", "))
    };
    let detail = format!("no server is called `{named}`; nothing was dialled; {configured}");
    Problem::new(Code::UnknownServer, detail).about("server")
}

pub(crate) fn no_server(skipped: Vec<Skipped>) -> Problem {
    let only = |reason: &str| {
        !skipped.is_empty()
            && skipped.iter().all(|skip| matches!(&*skip.reason, r if r == reason || r == "not_named"))
    };
    let (code, retry_after_s) =
        if only("cps_exceeded") { (Code::CpsExceeded, Some(1)) } else { (Code::NoEligibleServer, None) };
    let detail = match skipped.len() {
        0 => "no server is configured".to_owned(),
        n => format!("{n} servers configured, none can take the call now"),
    };
    let mut problem = Problem::new(code, detail);
    problem.retry_after_s = retry_after_s;
    problem.suggestions.push(if skipped.is_empty() {
        "ifbus add sip NAME KIND --host HOST --auth user=...,secret=prompt".to_owned()
    } else {
        "ifbus list sip".to_owned()
    });
    problem.skipped = skipped;
    problem
}
