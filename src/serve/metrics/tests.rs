#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ifbus_adapters::adapter::DownReason;
use ifbus_call::{
    By, CallId, Cause, ConferenceId, Evidence, Interface, Kind, Order, RecordingId, Refused, Role, Said,
    ServerName, Why,
};
use ifbus_fleet::control::Invitation;
use ifbus_fleet::view::{
    AttemptView, CallView, ConferenceView, EndView, InterfaceView, LegView, LinkView, Origin, RecordingView,
    ServerState, ServerView, Status,
};
use ifbus_fleet::{
    Acted, Board, Control, EventView, Fact, Fleet, Journal, PlaceCall, Problem, Reply, ServerSpec, Skipped,
};
use jiff::Timestamp;

use super::feed::Feed;
use super::*;

// --- the exposition ---

#[test]
fn the_documentation_names_every_metric_with_its_type_and_labels() {
    let board = Arc::new(Board::default());
    board.show_server(server("pbx1"));
    let metrics = Metrics::new(board, "1.2.3");
    metrics.requested("GET", "/v1/calls", 200, Duration::from_millis(3));
    let text = metrics.text();
    let mut exposed: Vec<(String, String, BTreeSet<String>)> = Vec::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            exposed.push((name.to_owned(), kind.to_owned(), BTreeSet::new()));
        } else if let Some((_, labels)) = samples(line).filter(|_| !line.starts_with('#')) {
            let labels = labels.into_keys().filter(|label| label != "le");
            exposed.last_mut().unwrap().2.extend(labels);
        }
    }
    let documented: Vec<_> = include_str!("../../../docs/operating/metrics.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|row| {
            let cells: Vec<&str> = row.split(" | ").collect();
            let labels = cells[2].split(", ").filter(|label| *label != "–");
            let name = cells[0].trim_end_matches('`');
            let family = name.strip_suffix("_total").or_else(|| name.strip_suffix("_info")).unwrap_or(name);
            (
                family.to_owned(),
                cells[1].to_owned(),
                labels.map(|label| label.trim_matches('`').to_owned()).collect(),
            )
        })
        .collect();
    for (name, kind, labels) in &exposed {
        let found = documented.iter().find(|(known, ..)| known == name);
        let (_, known_kind, known_labels): &(String, String, BTreeSet<String>) =
            found.unwrap_or_else(|| panic!("{name} is not in docs/operating/metrics.md"));
        assert_eq!(kind, known_kind, "{name}");
        assert_eq!(labels, known_labels, "{name}");
    }
    let names = |of: &[(String, String, BTreeSet<String>)]| {
        of.iter().map(|(name, ..)| name.clone()).collect::<BTreeSet<_>>()
    };
    assert_eq!(names(&exposed), names(&documented));
}

#[test]
fn the_exposition_is_well_formed() {
    let board = Arc::new(Board::default());
    board.show_server(server("pbx1"));
    let metrics = Metrics::new(board, "1.2.3");
    metrics.requested("GET", "/v1/calls", 200, Duration::from_millis(3));
    metrics.requested("BREW", "other", 404, Duration::from_millis(3));
    let text = metrics.text();
    assert!(text.ends_with("\n# EOF\n"));
    let (mut family, mut kind, mut seen) = (String::new(), String::new(), BTreeSet::new());
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.split(' ');
            let (word, name) = (words.next().unwrap(), words.next().unwrap());
            match word {
                "HELP" => {
                    family = name.to_owned();
                    assert!(seen.insert(family.clone()), "{family} once");
                }
                "TYPE" => kind = words.next().unwrap().to_owned(),
                "UNIT" => assert!(name.ends_with(words.next().unwrap()), "{line}"),
                _ => panic!("{line}"),
            }
            assert_eq!(name, family, "{line}");
            continue;
        }
        let (name, labels) = samples(line).unwrap();
        let suffix = name.strip_prefix(family.as_str()).unwrap_or_else(|| panic!("{line} below {family}"));
        let allowed: &[&str] = match kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_sum", "_count"],
            "info" => &["_info"],
            _ => panic!("{kind}"),
        };
        assert!(allowed.contains(&suffix), "{line}");
        assert_eq!(labels.contains_key("le"), suffix == "_bucket", "{line}");
        let value: f64 = line.rsplit_once(' ').unwrap().1.parse().unwrap();
        assert!(value.is_finite(), "{line}");
    }
    let brewed = "http_request_method=\"_OTHER\",http_route=\"other\",http_response_status_code=\"404\"";
    assert!(text.contains(brewed), "an unknown method is no label of its own");
}

#[test]
fn ten_thousand_calls_with_numbers_of_their_own_make_no_new_series() {
    let (fleet, metrics) = fleet();
    let mut feed = Feed::new(Arc::clone(&metrics), fleet.clone(), Timestamp::UNIX_EPOCH);
    let before = metrics.text().lines().count();
    for n in 0..10_000 {
        let mut call = call(n + 1);
        call.to = format!("+49{n}").parse().unwrap();
        tell(&fleet, &mut feed, &call, "call.queued");
        tell(&fleet, &mut feed, &call, &format!("call.made_up_{n}"));
        finish(&mut call, Cause::ALL[usize::try_from(n % 8).unwrap()]);
        tell(&fleet, &mut feed, &call, "call.ended");
    }
    assert_eq!(metrics.text().lines().count(), before);
    assert_eq!(value(&metrics, "ifbus_calls_total", &[("kind", "asterisk")]), 10_000.0);
    assert_eq!(value(&metrics, "ifbus_events_total", &[("server", "pbx1"), ("type", "other")]), 10_000.0);
    let ends: f64 =
        Cause::ALL.iter().map(|c| value(&metrics, "ifbus_call_ends_total", &[("cause", c.as_str())])).sum();
    assert_eq!(ends, 10_000.0);
}

#[test]
fn a_removed_server_takes_its_series_along() {
    let (fleet, metrics) = fleet();
    let with = metrics.text();
    assert!(with.contains("server=\"pbx1\""));
    fleet.board.forget_server(&name("pbx1"));
    let without = metrics.text();
    assert!(!without.contains("server=\"pbx1\""), "{without}");
    metrics.unknown_frames(&name("pbx1"), 1); // a late word of an actor that is just going
    assert!(!metrics.text().contains("server=\"pbx1\""));
    fleet.board.show_server(server("pbx1"));
    assert_eq!(metrics.text().lines().count(), with.lines().count());
}

// --- what the board tells ---

#[test]
fn gauges_are_read_off_the_board() {
    let (fleet, metrics) = fleet();
    let mut degraded = server("pbx2");
    degraded.state = ServerState::Degraded;
    degraded.foreign = 4;
    degraded.interfaces =
        vec![InterfaceView { interface: "sip".to_owned(), up: false, answered_ms: None, why: None }];
    fleet.board.show_server(degraded);
    for (n, status, held) in
        [(1, Status::Ringing, false), (2, Status::InProgress, false), (3, Status::InProgress, true)]
    {
        let mut call = call(n);
        (call.status, call.held) = (status, held);
        fleet.board.show_call(call);
    }
    let mut over = call(4);
    finish(&mut over, Cause::Answered);
    fleet.board.show_call(over);
    let calls = |server, phase| {
        value(&metrics, "ifbus_server_calls", &[("server", server), ("kind", "asterisk"), ("phase", phase)])
    };
    assert_eq!([calls("pbx1", "ringing"), calls("pbx1", "answered"), calls("pbx1", "held")], [1.0, 1.0, 1.0]);
    assert_eq!([calls("pbx2", "answered"), calls("pbx2", "foreign")], [0.0, 4.0]);
    let up = |server, interface| {
        value(
            &metrics,
            "ifbus_server_up",
            &[("server", server), ("kind", "asterisk"), ("interface", interface)],
        )
    };
    assert_eq!([up("pbx1", "sip"), up("pbx2", "sip"), up("pbx2", "management")], [1.0, 0.0, 1.0]);
    let state =
        |server, state| value(&metrics, "ifbus_server_state", &[("server", server), ("state", state)]);
    assert_eq!([state("pbx2", "degraded"), state("pbx2", "up"), state("pbx1", "up")], [1.0, 0.0, 1.0]);
    assert_eq!(value(&metrics, "ifbus_server_capacity_calls", &[("server", "pbx1")]), 500.0);
}

// --- what events and views tell ---

#[test]
fn a_call_that_was_moved_is_one_call_and_two_attempts() {
    let (fleet, metrics) = fleet();
    fleet.board.show_server(server("pbx2"));
    let mut feed = Feed::new(Arc::clone(&metrics), fleet.clone(), Timestamp::UNIX_EPOCH);
    let mut call = call(1);
    tell(&fleet, &mut feed, &call, "call.queued");
    call.attempts[0].ended = Some(ended(Cause::Congestion));
    call.attempts.push(AttemptView { server: name("pbx2"), ..call.attempts[0].clone() });
    call.attempts[1].ended = None;
    call.server = Some(name("pbx2"));
    tell(&fleet, &mut feed, &call, "call.retry");
    tell(&fleet, &mut feed, &call, "call.retry"); // told twice, counted once
    finish(&mut call, Cause::Busy);
    tell(&fleet, &mut feed, &call, "call.ended");
    tell(&fleet, &mut feed, &call, "call.ended");
    let of = |metric, server, cause: &[(&str, &str)]| {
        let labels: Vec<_> =
            [("server", server), ("kind", "asterisk")].into_iter().chain(cause.iter().copied()).collect();
        value(&metrics, metric, &labels)
    };
    assert_eq!(value(&metrics, "ifbus_calls_total", &[("kind", "asterisk")]), 1.0);
    assert_eq!(value(&metrics, "ifbus_call_ends_total", &[("cause", "busy")]), 1.0);
    assert_eq!(of("ifbus_call_attempts_total", "pbx1", &[]), 1.0);
    assert_eq!(of("ifbus_call_attempts_total", "pbx2", &[]), 1.0);
    assert_eq!(of("ifbus_attempt_ends_total", "pbx1", &[("cause", "congestion")]), 1.0);
    assert_eq!(of("ifbus_attempt_ends_total", "pbx2", &[("cause", "busy")]), 1.0);
    assert_eq!(value(&metrics, "ifbus_retries_total", &[("server", "pbx1"), ("cause", "congestion")]), 1.0);
    assert_eq!(of("ifbus_call_duration_seconds_count", "pbx2", &[]), 0.0, "nobody talked");
}

#[test]
fn delays_run_from_the_dial_of_the_second_party() {
    let (fleet, metrics) = fleet();
    let mut feed = Feed::new(Arc::clone(&metrics), fleet.clone(), Timestamp::UNIX_EPOCH);
    let mut call = call(1);
    let at = |second: i64| Timestamp::from_second(1_000 + second).unwrap();
    let mut say = |call: &CallView, second| {
        fleet.board.show_call(call.clone());
        feed.event(&event(call, "call.changed", at(second)));
    };
    say(&call, 0);
    call.legs = vec![leg(Role::A, "up"), leg(Role::B, "dialing")];
    say(&call, 5);
    call.legs[1] = leg(Role::B, "ringing");
    say(&call, 7);
    call.legs[1] = leg(Role::B, "up");
    (call.status, call.answered_at) = (Status::InProgress, Some(at(15)));
    say(&call, 15);
    say(&call, 16);
    finish(&mut call, Cause::Answered);
    call.duration_s = Some(42.0);
    say(&call, 57);
    let labels = [("server", "pbx1"), ("kind", "asterisk")];
    for (metric, sum) in [
        ("ifbus_attempt_post_dial_delay_seconds", 2.0),
        ("ifbus_attempt_answer_delay_seconds", 10.0),
        ("ifbus_call_duration_seconds", 42.0),
    ] {
        assert_eq!(value(&metrics, &format!("{metric}_count"), &labels), 1.0, "{metric}");
        assert_eq!(value(&metrics, &format!("{metric}_sum"), &labels), sum, "{metric}");
    }
}

#[test]
fn adopted_calls_count_their_ends_and_not_their_beginnings() {
    let (fleet, metrics) = fleet();
    let mut call = call(1);
    let later = call.created_at + jiff::SignedDuration::from_secs(60);
    let mut feed = Feed::new(Arc::clone(&metrics), fleet.clone(), later);
    tell(&fleet, &mut feed, &call, "call.adopted");
    finish(&mut call, Cause::Answered);
    tell(&fleet, &mut feed, &call, "call.ended");
    assert_eq!(value(&metrics, "ifbus_calls_total", &[("kind", "asterisk")]), 0.0);
    assert_eq!(value(&metrics, "ifbus_call_ends_total", &[("cause", "answered")]), 1.0);
}

#[actix_web::test]
async fn the_feed_counts_what_it_missed_and_stops_when_told() {
    let (fleet, metrics) = fleet();
    let stop = tokio::sync::watch::Sender::new(false);
    let feed = actix_web::rt::spawn(feed::run(Arc::clone(&metrics), fleet.clone(), stop.subscribe()));
    let mut call = call(4_000_000_000_000); // born after the feed
    fleet.board.show_call(call.clone());
    fleet.journal.append(event(&call, "call.queued", call.created_at).fact);
    finish(&mut call, Cause::NoAnswer);
    fleet.board.show_call(call); // without an event: seen by the look that comes now and then
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while value(&metrics, "ifbus_call_ends_total", &[("cause", "no-answer")]) < 1.0 {
        assert!(std::time::Instant::now() < deadline, "the end was not counted");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.send_replace(true);
    tokio::time::timeout(Duration::from_secs(30), feed).await.unwrap().unwrap();
}

// --- what actors tell ---

#[test]
fn what_actors_tell_is_counted_under_closed_words() {
    let (_, metrics) = fleet();
    let server = name("pbx1");
    metrics.order_given(&server);
    metrics.order_given(&server);
    let refused =
        Refused { why: Why::Unproven, cause: Cause::ServerFailure, evidence: Evidence::Unknown, said: None };
    metrics.order_done(&server, Kind::Asterisk, &Order::Probe, &Err(refused), Duration::from_millis(3));
    let skip = |reason: &str| Skipped { server: server.clone(), reason: reason.to_owned(), detail: None };
    metrics.routed(Duration::from_micros(20), &[skip("down"), skip("1001@example.net")]);
    metrics.link_connected(&server, None);
    metrics.link_connected(&server, Some(&DownReason::LoginRefused("for +4989".to_owned())));
    metrics.adopted(&server, 3, 2, 1, Duration::from_millis(5));
    metrics.probed(&server, Interface::Sip, false, Duration::from_secs(1));
    metrics.unknown_frames(&server, 2);
    metrics.actor_restarted("server", "panicked");
    metrics.actor_restarted("no such actor", "no such reason");
    metrics.store_written(Duration::from_millis(1));
    let of = |name: &str, labels: &[(&str, &str)]| value(&metrics, name, labels);
    let at = ("server", "pbx1");
    assert_eq!(of("ifbus_orders_in_flight", &[at]), 1.0);
    let order = [("kind", "asterisk"), ("order", "probe"), ("outcome", "unproven")];
    assert_eq!(of("ifbus_order_duration_seconds_count", &order), 1.0);
    assert_eq!(of("ifbus_route_decision_seconds_count", &[]), 1.0);
    assert_eq!(of("ifbus_route_skips_total", &[at, ("reason", "down")]), 1.0);
    assert_eq!(of("ifbus_route_skips_total", &[at, ("reason", "other")]), 1.0);
    assert_eq!(of("ifbus_link_connects_total", &[at, ("reason", "first")]), 1.0);
    assert_eq!(of("ifbus_link_connects_total", &[at, ("reason", "login_refused")]), 1.0);
    assert_eq!(of("ifbus_calls_adopted_total", &[at, ("outcome", "ended")]), 2.0);
    assert_eq!(
        of("ifbus_probe_duration_seconds_count", &[at, ("interface", "sip"), ("outcome", "silent")]),
        1.0
    );
    assert_eq!(of("ifbus_frames_unknown_total", &[at]), 2.0);
    assert_eq!(of("ifbus_actor_restarts_total", &[("actor", "server"), ("reason", "panicked")]), 1.0);
    assert_eq!(of("ifbus_actor_restarts_total", &[("actor", "other"), ("reason", "other")]), 1.0);
    assert_eq!(of("ifbus_store_write_seconds_count", &[]), 1.0);
    assert_eq!(of("ifbus_build_info", &[("version", "1.2.3")]), 1.0);
    assert!(of("process_resident_memory_bytes", &[]) > 1e6);
    assert!(!metrics.text().contains("4989"), "no text of a server is a label");
}

// --- supporting ---

struct Nobody;

impl Control for Nobody {
    fn place(&self, _: PlaceCall) -> Reply<CallView> {
        Box::pin(std::future::pending())
    }
    fn act(&self, _: CallId, _: ifbus_call::Verb) -> Reply<Acted> {
        Box::pin(std::future::pending())
    }
    fn record(&self, _: CallId) -> Reply<RecordingView> {
        Box::pin(std::future::pending())
    }
    fn stop_recording(&self, _: RecordingId) -> Reply<RecordingView> {
        Box::pin(std::future::pending())
    }
    fn create_conference(&self, _: ConferenceId, _: Option<ServerName>) -> Reply<ConferenceView> {
        Box::pin(std::future::pending())
    }
    fn invite(&self, _: ConferenceId, _: Invitation) -> Reply<CallView> {
        Box::pin(std::future::pending())
    }
    fn enter(&self, _: ConferenceId, _: CallId) -> Reply<Acted> {
        Box::pin(std::future::pending())
    }
    fn end_conference(&self, _: ConferenceId) -> Reply<ConferenceView> {
        Box::pin(std::future::pending())
    }
    fn hang_up_foreign(&self, _: ifbus_call::LegId) -> Reply<ifbus_fleet::view::ForeignView> {
        Box::pin(std::future::pending())
    }
    fn drain(&self, _: ServerName, _: bool) -> Reply<ServerView> {
        Box::pin(std::future::pending())
    }
    fn add_server(&self, _: ServerSpec, _: Duration) -> Reply<ServerView> {
        Box::pin(std::future::pending())
    }
    fn remove_server(&self, _: ServerName, _: bool) -> Reply<()> {
        Box::pin(std::future::pending())
    }
    fn test_server(&self, _: ServerName) -> Reply<ifbus_fleet::view::TestReport> {
        Box::pin(std::future::ready(Err(Problem::new(ifbus_fleet::Code::Internal, "nobody is here"))))
    }
}

fn fleet() -> (Fleet, Arc<Metrics>) {
    let board = Arc::new(Board::default());
    board.show_server(server("pbx1"));
    let metrics = Metrics::new(Arc::clone(&board), "1.2.3");
    (Fleet { control: Arc::new(Nobody), board, journal: Journal::new("b1", 100) }, metrics)
}

fn name(text: &str) -> ServerName {
    text.parse().unwrap()
}

fn server(called: &str) -> ServerView {
    ServerView {
        name: name(called),
        object: "server".to_owned(),
        kind: Kind::Asterisk,
        host: "192.0.2.10".to_owned(),
        port: 5038,
        origin: Origin::Config,
        version: None,
        state: ServerState::Up,
        note: None,
        interfaces: Vec::new(),
        calls: 0,
        drain: None,
        foreign: 0,
        capacity: 500,
        cps_max: 50.0,
        load: Default::default(),
        figures: Default::default(),
        link: LinkView { epoch: 1, up_since: None },
        warnings: Vec::new(),
        certificates: Vec::new(),
    }
}

fn call(born_ms: u64) -> CallView {
    let at = Timestamp::from_millisecond(i64::try_from(born_ms).unwrap()).unwrap();
    CallView {
        server: Some(name("pbx1")),
        legs: vec![leg(Role::A, "dialing")],
        attempts: vec![AttemptView { server: name("pbx1"), chosen: String::new(), at, ended: None }],
        seq: 1,
        ..CallView::new(CallId::new(born_ms, 1), "1001".parse().unwrap(), "1002".parse().unwrap(), at)
    }
}

fn leg(role: Role, stage: &str) -> LegView {
    LegView {
        role,
        party: "1001".parse().unwrap(),
        stage: stage.to_owned(),
        muted: Vec::new(),
        in_conference: false,
    }
}

fn ended(cause: Cause) -> EndView {
    EndView { class: cause, by: By::Party, role: None, server_said: Said::default() }
}

fn finish(call: &mut CallView, cause: Cause) {
    call.status = Status::of_end(cause);
    call.cause = Some(ended(cause));
    call.attempts.last_mut().unwrap().ended = Some(ended(cause));
    call.legs.clear();
}

fn event(call: &CallView, kind: &str, time: Timestamp) -> EventView {
    let fact = Fact { call: Some(call.id), server: call.server.clone(), ..Fact::new(kind, time, "told") };
    EventView { id: "b1-1".to_owned(), seq: 1, fact }
}

fn tell(fleet: &Fleet, feed: &mut Feed, call: &CallView, kind: &str) {
    fleet.board.show_call(call.clone());
    feed.event(&event(call, kind, call.created_at));
}

/// The name and labels of a sample.
fn samples(line: &str) -> Option<(String, BTreeMap<String, String>)> {
    let (name, rest) = line.split_once(['{', ' '])?;
    let labels = match rest.split_once("} ") {
        None => BTreeMap::new(),
        Some((labels, _)) => {
            let pairs = labels.split("\",").map(|pair| pair.trim_end_matches('"').split_once("=\"").unwrap());
            pairs.map(|(label, value)| (label.to_owned(), value.to_owned())).collect()
        }
    };
    Some((name.to_owned(), labels))
}

fn value(metrics: &Metrics, name: &str, labels: &[(&str, &str)]) -> f64 {
    let wanted: BTreeMap<String, String> =
        labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
    let text = metrics.text();
    let line = text.lines().find(|line| samples(line).is_some_and(|(n, l)| n == name && l == wanted));
    let line = line.unwrap_or_else(|| panic!("no {name} {labels:?} in\n{text}"));
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}
