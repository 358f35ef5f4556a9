//! Bytes to checked messages, beside the limits of the machine and the naive way, over everything that was recorded.
//!
//! Here: AMI. The other wire formats: `formats.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};

use ifbus_adapters::wire_format::ami::{Decoder, Field, Frame};

use crate::figure::Figure;
use crate::{formats, meter};

/// How much is read from a socket at once.
const CHUNK: usize = 64 * 1024;
/// How often every byte is read: enough for the caches to be warm and the clock to be exact.
const BYTES: usize = 64 * 1024 * 1024;
const ROUNDS: usize = 7;

/// Runs it.
pub fn run() -> (Vec<String>, Vec<Figure>) {
    let messages = recorded();
    let one: Vec<u8> = messages.concat();
    let times = (BYTES / one.len()).max(1);
    let bytes = one.repeat(times);
    let events = (messages.len() * times) as f64;
    let rate = |work: &dyn Fn(&[u8]) -> usize| {
        let began = meter::thread();
        black_box(work(black_box(&bytes)));
        events / (meter::thread() - began).as_secs_f64()
    };
    let mut ours = || rate(&parse);
    let mut again = || rate(&parse);
    let mut lines = || rate(&|bytes| memchr::memchr_iter(b'\n', bytes).count());
    let mut ends = || rate(&|bytes| memchr::memmem::find_iter(bytes, b"\r\n\r\n").count());
    let mut walk = || rate(&walk_lines);
    let mut naive = || rate(&naive_maps);
    let [ours, again, lines, ends, walk, naive] =
        meter::rounds(ROUNDS, [&mut ours, &mut again, &mut lines, &mut ends, &mut walk, &mut naive]);
    let notes = vec![
        format!(
            "{} recorded messages, {} bytes in the mean, repeated to {} MB",
            messages.len(),
            one.len() / messages.len(),
            bytes.len() >> 20
        ),
        format!("{ROUNDS} rounds, interleaved; median; CPU time of the thread"),
    ];
    let figure = Figure::new("AMI parsed with all checks", "events per core-second", ours)
        .beside("noise: the same again", again)
        .beside("limit: line ends counted (memchr)", lines)
        .beside("limit: message ends found (memmem)", ends)
        .beside("limit: lines walked one by one", walk)
        .beside("naive: a map of strings", naive)
        .at_least(5e6);
    let (more_notes, more) = formats::run();
    ([notes, more_notes].concat(), [vec![figure], more].concat())
}

fn parse(bytes: &[u8]) -> usize {
    let mut decoder = Decoder::default();
    decoder.push(b"Asterisk Call Manager/11.0.0\r\n");
    let mut seen = 0;
    for chunk in bytes.chunks(CHUNK) {
        decoder.push(chunk);
        while let Some(Ok(frame)) = decoder.next() {
            if let Frame::Message(message) = frame {
                seen += usize::from(!message.is_ambiguous());
                seen += message.get(Field::Uniqueid).map_or(0, |id| id.len());
            }
        }
    }
    seen
}

fn walk_lines(bytes: &[u8]) -> usize {
    let (mut rest, mut seen) = (bytes, 0);
    while let Some(at) = memchr::memchr(b'\n', rest) {
        seen += usize::from(at > 1);
        rest = &rest[at + 1..];
    }
    seen
}

fn naive_maps(bytes: &[u8]) -> usize {
    let text = String::from_utf8_lossy(bytes);
    let mut seen = 0;
    for message in text.split("\r\n\r\n") {
        let fields: BTreeMap<String, String> = message
            .split("\r\n")
            .filter_map(|line| line.split_once(": "))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        seen += fields.get("Uniqueid").map_or(0, String::len);
    }
    seen
}

/// Every whole message a server sent in the recordings.
pub fn recorded() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = ["actors/adapters/src/asterisk/transcripts", "chaos/doubles/transcripts/asterisk"];
    let mut files: Vec<PathBuf> = folders
        .iter()
        .filter_map(|folder| fs::read_dir(root.join(folder)).ok())
        .flat_map(|folder| folder.flatten().map(|file| file.path()))
        .collect();
    files.sort();
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    let found: Vec<Vec<u8>> = texts.flat_map(|text| messages(&text)).collect();
    assert!(found.len() > 500, "the recordings are there: {} messages", found.len());
    found
}

/// The server's messages in one recording.
fn messages(text: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.ends_with("] S:") {
            let mut bytes = Vec::new();
            for line in lines.by_ref().take_while(|line| !line.is_empty()) {
                match line.strip_suffix("\\r\\n") {
                    Some(text) => bytes.extend([text.as_bytes(), b"\r\n"].concat()),
                    None => bytes.extend([line.as_bytes(), b"\n"].concat()),
                }
            }
            if bytes.ends_with(b"\r\n\r\n") {
                found.push(bytes);
            }
        }
    }
    found
}
