//! Events of the double as long as recorded ones: a real server tells 150 members of a leg, the double those that mean
//! something.

use std::collections::BTreeMap;

use ifbus_adapters::adapter::LinkId;
use ifbus_adapters::wire_format::esl;
use serde_json::{Map, Value};

use crate::formats::{frame, recording};
use crate::record::{Kept, Record};

/// What recorded events say beyond what is read, by the event's name.
struct Filling(BTreeMap<String, Map<String, Value>>);

impl Filling {
    fn new() -> Self {
        let mut filling: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        let text = recording("actors/adapters/src/freeswitch/transcripts/golden-call.jsonl");
        for line in text.lines() {
            let Ok(Value::Object(event)) = serde_json::from_str(line) else { continue };
            let name = event["Event-Name"].as_str().unwrap_or_default().to_owned();
            // What an adapter reads would change what happens.
            let idle = event.into_iter().filter(|(key, _)| !is_read(key)).collect();
            let known = filling.entry(name).or_default();
            if known.len() < Map::len(&idle) {
                *known = idle;
            }
        }
        Self(filling)
    }

    fn fill(&self, body: &[u8]) -> String {
        let Ok(Value::Object(mut event)) = serde_json::from_slice(body) else {
            return String::from_utf8_lossy(body).into_owned();
        };
        let name = event["Event-Name"].as_str().unwrap_or_default();
        // An end of a leg is as long whether it is called one or the other way.
        let alike = if name == "CHANNEL_DESTROY" { "CHANNEL_HANGUP_COMPLETE" } else { name };
        for (key, value) in self.0.get(alike).into_iter().flatten() {
            event.entry(key).or_insert_with(|| value.clone());
        }
        Value::Object(event).to_string()
    }
}

fn is_read(key: &str) -> bool {
    let event = format!("{{\"{key}\":\"x\"}}");
    esl::Event::parse(event.as_bytes()).is_ok_and(|event| event.get(key).is_some())
}

/// Makes every event of a record as long as it was on a real server.
pub fn fill(record: &mut Record) {
    let filling = Filling::new();
    let mut open: BTreeMap<LinkId, Vec<u8>> = BTreeMap::new();
    for (_, kept) in &mut record.inputs {
        let Kept::Bytes(link, bytes) = kept else { continue };
        let buffer = open.entry(*link).or_default();
        buffer.extend_from_slice(bytes);
        bytes.clear();
        let mut at = 0;
        while let Some((head, end)) = whole(&buffer[at..]) {
            let (head, message) = (at + head, &buffer[at..at + end]);
            if memchr::memmem::find(message, b"text/event-json").is_some() {
                bytes.extend(frame(&filling.fill(&buffer[head..at + end])).iter());
            } else {
                bytes.extend_from_slice(message);
            }
            at += end;
        }
        buffer.drain(..at);
    }
}

/// Where the first message has its body and its end, if it is whole.
fn whole(bytes: &[u8]) -> Option<(usize, usize)> {
    let head = memchr::memmem::find(bytes, b"\n\n")? + 2;
    let text = String::from_utf8_lossy(&bytes[..head]);
    let length = text.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
    let end = head + length.unwrap_or(0);
    (bytes.len() >= end).then_some((head, end))
}
