//! The event stream: resumed anywhere it equals the truth or announces what is missing.

use std::time::Duration;

use ifbus_fleet::EventView;
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::fixture::{
    BOOT, GUARD, OWN, Served, fact, serve, serve_keeping, serve_with, server, token_of, view,
};
use ifbus_config::Scope;
use ifbus_fleet::view::ServerState;

/// What a client reads.
struct Reading {
    connection: TcpStream,
    raw: Vec<u8>,
    head_ended: bool,
    text: String,
    /// The place a resume would begin at.
    last_id: Option<String>,
}

/// One message of the stream.
#[derive(Debug)]
struct Message {
    event: String,
    data: Value,
}

impl Reading {
    async fn open(served: &Served, query: &str, last_id: Option<&str>) -> Self {
        let token = format!("Bearer {OWN}");
        let mut headers = vec![("Authorization", token.as_str())];
        headers.extend(last_id.map(|id| ("Last-Event-ID", id)));
        let connection = served.begin("GET", &format!("/v1/events{query}"), &headers, None).await;
        let mut reading =
            Self { connection, raw: Vec::new(), head_ended: false, text: String::new(), last_id: None };
        while !reading.text.contains("retry: 2000\n\n") {
            assert!(reading.more().await, "the stream begins");
        }
        reading
    }

    /// Reads more; `false` at the end.
    async fn more(&mut self) -> bool {
        let mut bytes = vec![0; 65_536];
        let read =
            timeout(GUARD, self.connection.read(&mut bytes)).await.expect("the stream goes on").unwrap();
        self.raw.extend_from_slice(&bytes[..read]);
        self.decode();
        read > 0
    }

    /// Takes whole chunks (RFC 9112, section 7.1) out of what was read.
    fn decode(&mut self) {
        if !self.head_ended {
            let Some(at) = self.raw.windows(4).position(|four| four == b"\r\n\r\n") else { return };
            let head = String::from_utf8(self.raw.drain(..at + 4).collect()).unwrap().to_lowercase();
            assert!(head.starts_with("http/1.1 200"), "{head}");
            assert!(head.contains("content-type: text/event-stream"), "{head}");
            assert!(head.contains("x-accel-buffering: no"), "{head}");
            self.head_ended = true;
        }
        while let Some(at) = self.raw.windows(2).position(|two| two == b"\r\n") {
            let length = usize::from_str_radix(std::str::from_utf8(&self.raw[..at]).unwrap(), 16).unwrap();
            if self.raw.len() < at + 2 + length + 2 {
                return;
            }
            let chunk: Vec<u8> = self.raw.drain(..at + 2 + length + 2).collect();
            self.text.push_str(std::str::from_utf8(&chunk[at + 2..at + 2 + length]).unwrap());
        }
    }

    /// The next message, by the rules a browser follows.
    async fn next(&mut self) -> Message {
        loop {
            while let Some(at) = self.text.find("\n\n") {
                let block: String = self.text.drain(..at + 2).collect();
                let field =
                    |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                if let Some(id) = field("id: ") {
                    self.last_id = Some(id);
                }
                if let Some(data) = field("data: ") {
                    let data = serde_json::from_str(&data).unwrap();
                    return Message { event: field("event: ").unwrap(), data };
                }
            }
            assert!(self.more().await, "the stream goes on");
        }
    }

    async fn take(&mut self, count: usize) -> Vec<Message> {
        let mut messages = Vec::new();
        while messages.len() < count {
            messages.push(self.next().await);
        }
        messages
    }
}

fn seqs(messages: &[Message]) -> Vec<u64> {
    messages.iter().map(|message| message.data["seq"].as_u64().unwrap()).collect()
}

#[actix_web::test]
async fn events_come_as_they_happen_in_the_shape_of_the_document() {
    let served = serve();
    served.fake.journal.append(fact("call.queued", None, "pbx1")); // before anybody listened
    let mut reading = Reading::open(&served, "", None).await;
    let call = view(1_000, 1);
    served.fake.journal.append(fact("call.answered", Some(call.id), "pbx1"));
    let message = reading.next().await;
    assert_eq!(message.event, "call.answered");
    assert_eq!(reading.last_id.as_deref(), Some("b7-2"));
    let event: EventView = serde_json::from_value(message.data.clone()).unwrap();
    assert_eq!((event.id.as_str(), event.seq, event.fact.call), ("b7-2", 2, Some(call.id)));
    assert_eq!(message.data["type"], "call.answered");
}

#[actix_web::test]
async fn point_20_resumed_at_every_event_the_stream_equals_the_truth() {
    let served = serve();
    for _ in 0..12 {
        served.fake.journal.append(fact("call.ringing", None, "pbx1"));
    }
    for cut in 0..=12u64 {
        for way in ["header", "query"] {
            let id = format!("{BOOT}-{cut}");
            let query = if way == "query" { format!("?after={id}") } else { String::new() };
            let header = (way == "header").then_some(id.as_str());
            let mut reading = Reading::open(&served, &query, header).await;
            let rest = usize::try_from(12 - cut).unwrap();
            let messages = reading.take(rest).await;
            assert_eq!(seqs(&messages), (cut + 1..=12).collect::<Vec<_>>(), "{way} {cut}");
        }
    }
}

#[actix_web::test]
async fn point_20_cut_at_every_byte_and_resumed_nothing_is_lost_or_doubled() {
    let served = serve();
    let mut probe = Reading::open(&served, "", None).await;
    let place = probe_place(&mut probe).await;
    for _ in 0..6 {
        served.fake.journal.append(fact("call.ringing", None, "pbx1"));
    }
    let whole: String = {
        probe.take(6).await;
        let mut all = Reading::open(&served, "", Some(&place)).await;
        while all.text.matches("data: ").count() < 6 || !all.text.ends_with("\n\n") {
            all.more().await;
        }
        all.text
    };
    for cut in 0..=whole.len() {
        // What a client made of the bytes before the cut: whole blocks only.
        let seen = whole[..cut].rfind("\n\n").map_or("", |at| &whole[..at + 2]);
        let last = seen.lines().rev().find_map(|line| line.strip_prefix("id: ")).unwrap_or(&place).to_owned();
        let before = seen.matches("data: ").count();
        if cut % 7 != 0 && before * 2 != cut % 12 {
            continue; // many cuts ask the same; each place of a resume is asked several times
        }
        let mut reading = Reading::open(&served, "", Some(&last)).await;
        let messages = reading.take(6 - before).await;
        let expected: Vec<u64> = (u64::try_from(before).unwrap() + 1..=6).collect();
        assert_eq!(seqs(&messages), expected, "cut at byte {cut}");
    }
}

/// The place a client is told before the first event.
async fn probe_place(reading: &mut Reading) -> String {
    while !reading.text.contains("id: ") {
        assert!(reading.more().await);
    }
    let id = reading.text.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    assert_eq!(id, format!("{BOOT}-0"));
    id
}

#[actix_web::test]
async fn point_20_what_is_no_longer_kept_is_announced_with_its_count() {
    let served = serve_keeping(10);
    for _ in 0..25 {
        served.fake.journal.append(fact("call.ringing", None, "pbx1"));
    }
    let mut reading = Reading::open(&served, "", Some("b7-5")).await;
    let gap = reading.next().await;
    assert_eq!(gap.event, "stream.gap");
    assert_eq!((&gap.data["from"], &gap.data["to"], &gap.data["count"]), (&6.into(), &15.into(), &10.into()));
    assert_eq!(reading.last_id.as_deref(), Some("b7-15"), "a resume right after does not ask again");
    assert_eq!(seqs(&reading.take(10).await), (16..=25).collect::<Vec<_>>());
    assert!(served.metrics.text().contains("ifbus_stream_events_dropped_total 10\n"));
}

#[actix_web::test]
async fn a_place_of_another_life_is_announced_and_everything_kept_is_sent() {
    for id in ["b6-3", "b7-99", "b7-x", "nonsense", ""] {
        let served = serve();
        for _ in 0..3 {
            served.fake.journal.append(fact("call.ringing", None, "pbx1"));
        }
        let mut reading = Reading::open(&served, "", Some(id)).await;
        let gap = reading.next().await;
        assert_eq!(gap.event, "stream.gap", "{id}");
        assert_eq!((&gap.data["from"], &gap.data["count"]), (&Value::Null, &Value::Null), "{id}");
        assert_eq!(seqs(&reading.take(3).await), [1, 2, 3], "{id}");
    }
}

#[actix_web::test]
async fn a_filter_sends_what_it_takes_and_moves_on_over_the_rest() {
    let served = serve();
    served.fake.board.show_server(server("pbx2", ServerState::Up));
    let call = view(1_000, 1);
    served.fake.board.show_call(call.clone());
    let told = [
        ("call.ringing", Some(call.id), "pbx1"),
        ("call.answered", Some(call.id), "pbx1"),
        ("server.down", None, "pbx2"),
        ("call.ringing", None, "pbx2"),
        ("transfer.failed", Some(call.id), "pbx1"),
    ];
    for (kind, call, server) in told {
        served.fake.journal.append(fact(kind, call, server));
    }
    for (query, expected) in [
        ("?type=call.*", vec![1, 2, 4]),
        ("?type=call.answered,server.*", vec![2, 3]),
        ("?type=*", vec![1, 2, 3, 4, 5]),
        ("?server=pbx2", vec![3, 4]),
        ("?type=call.*&server=pbx2", vec![4]),
        (&format!("?call={}", call.id.ending()), vec![1, 2, 5]),
    ] {
        let mut reading = Reading::open(&served, &format!("{query}&after=b7-0"), None).await;
        assert_eq!(seqs(&reading.take(expected.len()).await), expected, "{query}");
    }
    for (query, code) in [
        ("?type=CALL", "invalid_request"),
        ("?type=", "invalid_request"),
        ("?type=call.*.x", "invalid_request"),
        ("?types=call.*", "invalid_request"),
        ("?server=pbx3", "unknown_server"),
        ("?call=nosuch", "unknown_call"),
    ] {
        assert_eq!(served.ask("GET", &format!("/v1/events{query}"), "").await.problem(), code, "{query}");
    }
}

#[actix_web::test]
async fn point_19_a_slow_reader_is_told_what_it_missed_and_holds_nobody() {
    let served = serve_keeping(50);
    let mut slow = Reading::open(&served, "", None).await;
    let mut quick = Reading::open(&served, "", None).await;
    let long = "x".repeat(20_000);
    let (mut told, mut quick_seen) = (0u64, Vec::new());
    // More than all buffers between the two sides hold: the slow one reads nothing meanwhile.
    while told < 1_500 {
        for _ in 0..25 {
            let mut event = fact("call.ringing", None, "pbx1");
            event.text.clone_from(&long);
            served.fake.journal.append(event);
        }
        told += 25;
        quick_seen.extend(seqs(&quick.take(25).await));
    }
    assert_eq!(quick_seen, (1..=told).collect::<Vec<_>>(), "the quick reader lost nothing");
    let (mut next, mut missed) = (1, 0);
    while next <= told {
        let message = slow.next().await;
        if message.event == "stream.gap" {
            assert_eq!(message.data["from"], next, "a gap begins where the last event ended");
            missed += message.data["count"].as_u64().unwrap();
            next = message.data["to"].as_u64().unwrap() + 1;
        } else {
            assert_eq!(message.data["seq"], next, "events and gaps together are the truth");
            next += 1;
        }
    }
    assert!(missed > 0, "the test was long enough to be too slow");
    let text = served.metrics.text();
    assert!(text.contains(&format!("ifbus_stream_events_dropped_total {missed}\n")), "{missed}");
}

#[actix_web::test]
async fn the_right_to_events_is_enough() {
    let served = serve();
    let token = format!("Bearer {}", token_of(Scope::Events));
    let mut connection = served.begin("GET", "/v1/events", &[("Authorization", &token)], None).await;
    let mut bytes = [0; 1024];
    let read = timeout(GUARD, connection.read(&mut bytes)).await.unwrap().unwrap();
    assert!(bytes[..read].starts_with(b"HTTP/1.1 200"));
    let other = format!("Bearer {}", token_of(Scope::CallsRead));
    let refused = served.ask_with("GET", "/v1/events", &[("Authorization", &other)], b"").await;
    assert_eq!(refused.problem(), "missing_scope");
}

#[actix_web::test]
async fn a_reader_that_leaves_makes_room_at_once() {
    let served = serve_with(10, |options| options.connections = 2);
    // Without an event, a reader that left would be noticed by the line of every 15 s only.
    let at_once = Duration::from_secs(10);
    for _ in 0..5 {
        let reading = Reading::open(&served, "", None);
        let reading = timeout(at_once, reading).await.expect("there is room for a reader");
        drop(reading);
    }
    let answer = served.ask_with("GET", "/healthz", &[], b"");
    assert_eq!(timeout(at_once, answer).await.expect("there is room for a request").status, 200);
}
