//! The wire formats beside AMI: recorded messages under fresh ids, to checked messages; beside them the limit of the
//! machine and the naive way.
//!
//! What an adapter makes of them: `replay.rs`.

use std::fs;
use std::hint::black_box;
use std::path::Path;

use ifbus_adapters::wire_format::extmodule::{self, Line};
use ifbus_adapters::wire_format::{esl, jsonrpc, netstring};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::figure::Figure;
use crate::meter;

/// How much is read from a socket at once.
const CHUNK: usize = 64 * 1024;
/// How often every byte is read: enough for the caches to be warm and the clock to be exact.
const BYTES: usize = 32 * 1024 * 1024;
const ROUNDS: usize = 7;

/// One format: what was recorded, and how it is read.
struct Format {
    what: &'static str,
    /// Whole messages, as they are on the wire, none of them named as in another turn.
    turn: fn(usize) -> Vec<Vec<u8>>,
    parse: fn(&Input) -> usize,
    /// What a library would do first, and nothing more.
    naive: (&'static str, fn(&Input) -> usize),
    goal: Option<f64>,
}

/// The same messages as a stream and one by one.
struct Input {
    stream: Vec<u8>,
    messages: Vec<Vec<u8>>,
}

/// Runs them.
pub fn run() -> (Vec<String>, Vec<Figure>) {
    let formats = [
        Format {
            what: "ESL, JSON events",
            turn: golden_call,
            parse: |input| {
                esl_events(input, |body| esl::Event::parse(body).map_or(0, |event| event.name().len()))
            },
            naive: ("naive: serde_json::Value", |input| {
                esl_events(input, |body| serde_json::from_slice::<Value>(body).map_or(0, |_| 1))
            }),
            goal: Some(250_000.0),
        },
        Format {
            what: "extmodule lines",
            turn: engine_lines,
            parse: read_lines,
            naive: ("naive: a map of strings", naive_lines),
            goal: None,
        },
        Format {
            what: "MI of OpenSIPS, answers",
            turn: |turn| answers("chaos/doubles/src/opensips/data/mi-4.0.1.txt", turn),
            parse: replies,
            naive: ("naive: serde_json::Value", values),
            goal: None,
        },
        Format {
            what: "JSON-RPC of Kamailio, a list of two dialogs",
            turn: dialogs,
            parse: lists,
            naive: ("naive: serde_json::Value", values),
            goal: None,
        },
        Format {
            what: "evapi netstrings",
            turn: told,
            parse: |input| {
                netstrings(input, |json| serde_json::from_slice::<Told>(json).map_or(0, |told| told.len()))
            },
            naive: ("naive: serde_json::Value", |input| {
                netstrings(input, |json| serde_json::from_slice::<Value>(json).map_or(0, |_| 1))
            }),
            goal: None,
        },
    ];
    let mut notes = Vec::new();
    let figures = formats.iter().map(|format| measure(format, &mut notes)).collect();
    (notes, figures)
}

fn measure(format: &Format, notes: &mut Vec<String>) -> Figure {
    let one: usize = (format.turn)(0).iter().map(Vec::len).sum();
    let messages: Vec<Vec<u8>> = (0..(BYTES / one).max(1)).flat_map(format.turn).collect();
    let input = Input { stream: messages.concat(), messages };
    let count = input.messages.len() as f64;
    let rate = |work: fn(&Input) -> usize| {
        let began = meter::thread();
        let seen = black_box(work(black_box(&input)));
        assert!(seen >= input.messages.len(), "{}: {seen} of {count} were understood", format.what);
        count / (meter::thread() - began).as_secs_f64()
    };
    let mut ours = || rate(format.parse);
    let mut again = || rate(format.parse);
    let mut scan = || rate(|input| memchr::memchr2_iter(b'"', b':', &input.stream).count());
    let mut naive = || rate(format.naive.1);
    let [ours, again, scan, naive] = meter::rounds(ROUNDS, [&mut ours, &mut again, &mut scan, &mut naive]);
    let mean = input.stream.len() as f64 / count;
    notes.push(format!(
        "{}: {} recorded messages, {mean:.0} bytes in the mean, under {:.0} sets of ids; {:.2} GB/s",
        format.what,
        (format.turn)(0).len(),
        count / (format.turn)(0).len() as f64,
        ours * mean / 1e9
    ));
    let figure = Figure::new(format!("{} parsed", format.what), "events per core-second", ours)
        .beside("noise: the same again", again)
        .beside("limit: quotes and colons counted (memchr)", scan)
        .beside(format.naive.0, naive);
    match format.goal {
        Some(goal) => figure.at_least(goal),
        None => figure,
    }
}

/// A recording of this repository.
pub fn recording(path: &str) -> String {
    let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(whole).expect("the recordings are there")
}

// ---- ESL -------------------------------------------------------------------------------------------------------------

/// The call that was recorded, event by event as the server sends it.
fn golden_call(turn: usize) -> Vec<Vec<u8>> {
    let text = recording("actors/adapters/src/freeswitch/transcripts/golden-call.jsonl");
    let text = text.replace("aaaaaaaa", &format!("a{turn:07x}")).replace("bbbbbbbb", &format!("b{turn:07x}"));
    let compact = |line: &str| serde_json::from_str::<Value>(line).expect("it is JSON").to_string();
    let events = text.lines().map(compact).map(|json| frame(&json));
    let hello = b"Content-Type: auth/request\n\n".to_vec();
    let mut events: Vec<Vec<u8>> = events.collect();
    if turn == 0 {
        events[0].splice(0..0, hello);
    }
    events
}

/// An event on the wire.
pub fn frame(json: &str) -> Vec<u8> {
    format!("Content-Length: {}\nContent-Type: text/event-json\n\n{json}", json.len()).into_bytes()
}

fn esl_events(input: &Input, read: impl Fn(&[u8]) -> usize) -> usize {
    let (mut decoder, mut seen) = (esl::Decoder::default(), 0);
    for chunk in input.stream.chunks(CHUNK) {
        decoder.push(chunk);
        while let Some(Ok(frame)) = decoder.next() {
            if frame.kind() == esl::Kind::Event {
                seen += read(frame.body);
            }
        }
    }
    seen
}

// ---- extmodule -------------------------------------------------------------------------------------------------------

/// What the engine said while two legs were called, joined and ended.
fn engine_lines(turn: usize) -> Vec<Vec<u8>> {
    let text = recording("actors/adapters/src/yate/transcripts/02-originate-join.txt");
    let said = text.lines().filter_map(|line| line.split_once(" <E ").map(|(_, said)| said));
    let fresh =
        |line: &str| line.replace("sip/", &format!("sip/{turn}")).replace("dumb/", &format!("dumb/{turn}"));
    said.filter(|line| line.starts_with("%%<message"))
        .map(|line| format!("{}\n", fresh(line)).into_bytes())
        .collect()
}

fn read_lines(input: &Input) -> usize {
    let (mut decoder, mut seen) = (extmodule::Decoder::default(), 0);
    for chunk in input.stream.chunks(CHUNK) {
        decoder.push(chunk);
        while let Some(Ok(line)) = decoder.next() {
            let (Line::Watched { name, params } | Line::Reply { name, params, .. }) = line else { continue };
            let ids = [params.get("id"), params.get("peerid"), params.get("reason")];
            seen += name.len() + ids.into_iter().flatten().map(|id| id.len()).sum::<usize>();
        }
    }
    seen
}

fn naive_lines(input: &Input) -> usize {
    let text = String::from_utf8_lossy(&input.stream);
    let mut seen = 0;
    for line in text.lines() {
        let fields = line.split(':').filter_map(|field| field.split_once('='));
        let fields: std::collections::BTreeMap<String, String> =
            fields.map(|(key, value)| (key.to_owned(), value.replace("%z", ":"))).collect();
        seen += fields.get("id").map_or(1, String::len);
    }
    seen
}

// ---- JSON-RPC --------------------------------------------------------------------------------------------------------

/// The answers that were recorded, each under an id of its own.
fn answers(path: &str, turn: usize) -> Vec<Vec<u8>> {
    let text = recording(path);
    let results = text.lines().filter_map(|line| line.strip_prefix("<< "));
    let results = results.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let renamed = results.filter(|answer| answer["id"].is_u64()).map(|mut answer| {
        answer["id"] = turn.into();
        answer.to_string().into_bytes()
    });
    renamed.collect()
}

/// Over HTTP and in datagrams the bodies are the same.
fn replies(input: &Input) -> usize {
    let reply = |body: &Vec<u8>| match jsonrpc::answers(body) {
        Some(id) => match jsonrpc::reply::<IgnoredAny>(200, body, id) {
            Ok(_) | Err(jsonrpc::Failure::Error { .. }) => 1,
            Err(_) => 0,
        },
        None => 0,
    };
    input.messages.iter().map(reply).sum()
}

fn values(input: &Input) -> usize {
    input.messages.iter().filter(|body| serde_json::from_slice::<Value>(body).is_ok()).count()
}

/// The list of both legs of a call.
fn dialogs(turn: usize) -> Vec<Vec<u8>> {
    let text = recording("actors/adapters/src/kamailio/transcripts/dlg-list-3pcc.json");
    let mut list: Value = serde_json::from_str(&text).expect("it is JSON");
    for dialog in list["result"].as_array_mut().expect("a list") {
        let old = dialog["call-id"].as_str().unwrap_or_default();
        dialog["call-id"] = format!("{turn:08}{}", &old[old.len().min(8)..]).into();
    }
    list["id"] = turn.into();
    vec![list.to_string().into_bytes()]
}

/// What the adapter reads of a dialog.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Listed {
    #[serde(rename = "call-id")]
    call_id: String,
    from_uri: String,
    to_uri: String,
    state: u8,
    duration: u64,
}

fn lists(input: &Input) -> usize {
    let list = |(turn, body): (usize, &Vec<u8>)| {
        let dialogs: Vec<Listed> = jsonrpc::reply(200, body, turn as u64).unwrap_or_default();
        let of = |dialog: &Listed| dialog.call_id.len() + dialog.from_uri.len() + dialog.to_uri.len();
        dialogs
            .iter()
            .filter(|dialog| dialog.state == 4 && dialog.duration < 1_000_000)
            .map(of)
            .sum::<usize>()
    };
    input.messages.iter().enumerate().map(list).sum()
}

// ---- evapi -----------------------------------------------------------------------------------------------------------

/// What was told of both legs of a call.
fn told(turn: usize) -> Vec<Vec<u8>> {
    let text = recording("actors/adapters/src/kamailio/transcripts/evapi-events-3pcc.txt");
    let events = text.lines().filter_map(|line| line.split_once(' ')).map(|(_, json)| json);
    let fresh = |json: &str| json.replace("\"call_id\":\"", &format!("\"call_id\":\"{turn}"));
    events.map(|json| netstring::encode(fresh(json).as_bytes())).collect()
}

/// What the adapter reads of an event.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Told {
    event: String,
    call_id: String,
    boot: String,
}

impl Told {
    fn len(&self) -> usize {
        self.event.len() + self.call_id.len() + self.boot.len()
    }
}

fn netstrings(input: &Input, read: impl Fn(&[u8]) -> usize) -> usize {
    let (mut decoder, mut seen) = (netstring::Decoder::default(), 0);
    for chunk in input.stream.chunks(CHUNK) {
        decoder.push(chunk);
        while let Some(Ok(json)) = decoder.next() {
            seen += read(json);
        }
    }
    seen
}
