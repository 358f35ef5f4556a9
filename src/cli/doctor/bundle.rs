//! A report for others: what helps to find a fault, without a secret and without a telephone number.
//!
//! By choosing what goes in, not by looking for what must not: calls and events stay out, lines of the log keep only
//! the fields that cannot hold a number or a free text. One tar file (POSIX ustar), readable by this user alone.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ifbus_config::Paths;
use jiff::Timestamp;
use serde_json::Value;

use super::super::client::Client;
use super::super::errors::Failure;

/// The lines of the log that go in, the newest ones.
const LINES_MAX: usize = 5_000;
/// Fields of a line that go in: closed sets, numbers of ours, names that the operator gave to servers.
const FIELDS: [&str; 17] = [
    "event",
    "request_id",
    "method",
    "route",
    "status",
    "token",
    "elapsed_ms",
    "server",
    "kind",
    "epoch",
    "order",
    "cause",
    "attempt",
    "code",
    "actor",
    "reason",
    "arbiter",
];
/// A block of a tar file.
const BLOCK: usize = 512;

/// Writes the report; says how many bytes it has.
pub async fn write(
    file: &Path,
    paths: &Paths,
    doctor: &Value,
    client: Option<&Client>,
) -> Result<usize, Failure> {
    let mut parts = vec![
        ("doctor.json", pretty(doctor)),
        ("version.txt", format!("ifbus {}\n", env!("CARGO_PKG_VERSION"))),
        ("log.txt", log(&std::fs::read_to_string(paths.log()).unwrap_or_default())),
    ];
    if let Some(client) = client {
        for (name, path) in
            [("summary.json", "/v1/summary"), ("servers.json", "/v1/servers"), ("metrics.txt", "/metrics")]
        {
            // What cannot be had is part of the picture.
            let text = match client.get(path).await {
                Ok(answer) => answer.text,
                Err(failure) => failure.to_string(),
            };
            parts.push((name, text));
        }
    }
    let mut tar = Vec::new();
    let now = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
    for (name, text) in &parts {
        entry(&mut tar, name, text.as_bytes(), now);
    }
    tar.resize(tar.len() + 2 * BLOCK, 0); // the end: two empty blocks
    let failed = |error: std::io::Error| Failure::here(format!("{}: {error}", file.display()));
    let mut options = std::fs::OpenOptions::new();
    let mut out = options.write(true).create(true).truncate(true).mode(0o600).open(file).map_err(failed)?;
    out.write_all(&tar).map_err(failed)?;
    Ok(tar.len())
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("a value can be written as JSON") + "\n"
}

/// Time, level, module and the fields that are let through.
fn log(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let newest = &lines[lines.len().saturating_sub(LINES_MAX)..];
    let mut shown = String::new();
    for line in newest {
        let mut words = line.split_whitespace();
        let head: Vec<&str> = words.by_ref().take(3).collect();
        // A line of ours begins with a time; whatever else came there is left out.
        if head.first().is_none_or(|time| time.parse::<Timestamp>().is_err()) {
            continue;
        }
        let fields = words.filter(|word| word.split_once('=').is_some_and(|(key, _)| FIELDS.contains(&key)));
        shown.push_str(&head.into_iter().chain(fields).collect::<Vec<_>>().join(" "));
        shown.push('\n');
    }
    shown
}

/// One file of a tar file.
fn entry(tar: &mut Vec<u8>, name: &str, content: &[u8], now: u64) {
    let mut head = [0u8; BLOCK];
    let mut put = |at: usize, text: &str| head[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000600\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", content.len()));
    put(136, &format!("{now:011o}\0"));
    put(148, "        "); // as blanks while it is summed up
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar.extend_from_slice(&head);
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(BLOCK), 0);
}
