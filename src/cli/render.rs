//! Small texts for people: hostile text made harmless, times, spans, ids.
//!
//! Not here: tables (`table`), what goes to which stream (`screen`).

use jiff::Timestamp;
use jiff::tz::TimeZone;

use ifbus_call::{CallId, ServerName};
use ifbus_fleet::view::{EndView, Status};

/// What nobody knows.
pub const NOTHING: &str = "–";

/// `text` with control characters shown as `\x1b` and marks that change the direction of writing as `\u{202e}`: a
/// server or a caller wrote it.
pub fn clean(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_control() => shown.push_str(&format!("\\x{:02x}", u32::from(c))),
            '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{061c}'
            | '\u{feff}' => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

/// The time of day here: `10:52:07`.
pub fn clock(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string()
}

/// The time of day here, to the millisecond: `10:52:07.312`.
pub fn clock_ms(time: Timestamp) -> String {
    let millisecond = time.subsec_millisecond().rem_euclid(1000);
    format!("{}.{millisecond:03}", clock(time))
}

/// Seconds between two moments, never below 0.
pub fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    (to.as_millisecond() - from.as_millisecond()).max(0) as f64 / 1000.0
}

/// The length of a talk: `00:24`, `12:07`, `1:02:03`.
pub fn talk(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours == 0 {
        format!("{minutes:02}:{seconds:02}")
    } else {
        format!("{hours}:{minutes:02}:{seconds:02}")
    }
}

/// A span in its largest unit: `8 s`, `4 min`, `12 h`, `3 d`.
pub fn span(seconds: f64) -> String {
    match seconds.max(0.0) as u64 {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3600 => format!("{} min", s / 60),
        s @ 3600..86400 => format!("{} h", s / 3600),
        s => format!("{} d", s / 86400),
    }
}

/// `1 call`, `3 calls`.
pub fn count(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// A call's id: its last six characters where people read it, whole where a program does.
pub fn id(call: CallId, is_terminal: bool) -> String {
    if is_terminal { call.ending() } else { call.to_string() }
}

/// A server, or the sign for none.
pub fn server(name: Option<&ServerName>) -> String {
    name.map_or_else(|| NOTHING.to_owned(), ToString::to_string)
}

/// How a call ended, in words: `failed: congestion (34 No circuit)`.
pub fn ending(status: Status, end: &EndView) -> String {
    let class = end.class.as_str();
    let cause = if class == status.as_str() || status == Status::Completed {
        status.as_str().to_owned()
    } else {
        format!("{}: {class}", status.as_str())
    };
    let said = end.server_said.to_string();
    if said.is_empty() { cause } else { format!("{cause} ({})", clean(&said)) }
}
