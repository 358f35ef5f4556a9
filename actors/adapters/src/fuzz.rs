//! Entry points for fuzzing: plain functions that take bytes and panic if a promise is broken.
//!
//! They run on stable Rust from the tests of this crate (`IFBUS_FUZZ_RUNS=100000000` for the long form) and from
//! `fuzz/` under cargo-fuzz. How: docs/fuzzing.md. What is promised: `crate::adapter`.

mod kamailio;
mod session;
mod yate;

use std::collections::BTreeMap;

use crate::asterisk::{KEYS, Options};
use crate::wire_format::ami::{Action, Decoder, Frame, Message};
use crate::wire_format::ari::Event;
use crate::wire_format::esl;
use crate::wire_format::http2::Connection;
use crate::wire_format::pbxapi;
use crate::wire_format::sip_options::Question;
use crate::wire_format::{jsonrpc, netstring};

pub use kamailio::kamailio_session;
pub use session::asterisk_session;
pub use yate::{extmodule, yate_session};

/// AMI: no bytes panic, a split changes nothing, nothing is delivered after an error.
pub fn ami(data: &[u8]) {
    let Some((cut, rest)) = data.split_first() else { return };
    for greeting in [&b""[..], b"Asterisk Call Manager/11.0.0\r\n"] {
        let bytes = [greeting, rest].concat();
        let whole = frames([&bytes[..]]);
        let (head, tail) = bytes.split_at(usize::from(*cut).min(bytes.len()));
        assert_eq!(whole, frames([head, tail]), "a split changed the frames");
        assert_eq!(whole, frames(bytes.chunks(1)), "single bytes changed the frames");
    }
    let fast = Message::parse(rest).map(|message| message.kind());
    let tolerant = Message::parse_general(rest).map(|message| message.kind());
    assert_eq!(fast, tolerant);
}

fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut decoder = Decoder::default();
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut broken = false;
    for piece in pieces {
        decoder.push(piece);
        while let Some(frame) = decoder.next() {
            assert!(!broken, "a frame after an error");
            match frame {
                Ok(Frame::Banner(line)) => found.push(line.to_vec()),
                Ok(Frame::Message(message)) => {
                    found.push(format!("{:?} {}", message.kind(), message.is_ambiguous()).into_bytes());
                    found.extend(message.all("Uniqueid").map(<[u8]>::to_vec));
                }
                Err(error) => {
                    broken = true;
                    found.push(error.to_string().into_bytes());
                }
            }
        }
    }
    found
}

/// ESL: no bytes panic, a split changes nothing, nothing is delivered after an error.
///
/// # Panics
/// A promise is broken.
pub fn esl(data: &[u8]) {
    let Some((cut, rest)) = data.split_first() else { return };
    for greeting in [&b""[..], b"Content-Type: auth/request\n\n"] {
        let bytes = [greeting, rest].concat();
        let whole = esl_frames([&bytes[..]]);
        let (head, tail) = bytes.split_at(usize::from(*cut).min(bytes.len()));
        assert_eq!(whole, esl_frames([head, tail]), "a split changed the frames");
        assert_eq!(whole, esl_frames(bytes.chunks(1)), "single bytes changed the frames");
    }
    if let Ok(event) = esl::Event::parse(rest) {
        assert!(rest.len() >= event.name().len());
    }
}

fn esl_frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut decoder = esl::Decoder::default();
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut broken = false;
    for piece in pieces {
        decoder.push(piece);
        while let Some(frame) = decoder.next() {
            assert!(!broken, "a frame after an error");
            match frame {
                Ok(frame) => {
                    found.push(format!("{:?} {}", frame.kind(), frame.said()).into_bytes());
                    found.push(frame.body.to_vec());
                }
                Err(error) => {
                    broken = true;
                    found.push(error.to_string().into_bytes());
                }
            }
        }
    }
    found
}

/// ARI: no bytes panic.
pub fn ari(data: &[u8]) {
    if let Ok(event) = Event::parse(data) {
        assert!(data.len() >= event.kind.len());
    }
}

/// Netstrings: no bytes panic, a split changes nothing, nothing is delivered after an error.
///
/// # Panics
/// A promise is broken.
pub fn netstring(data: &[u8]) {
    let Some((cut, bytes)) = data.split_first() else { return };
    let whole = strings([bytes]);
    let (head, tail) = bytes.split_at(usize::from(*cut).min(bytes.len()));
    assert_eq!(whole, strings([head, tail]), "a split changed the strings");
    assert_eq!(whole, strings(bytes.chunks(1)), "single bytes changed the strings");
}

fn strings<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Result<Vec<u8>, netstring::Broken>> {
    let mut decoder = netstring::Decoder::default();
    let mut found: Vec<Result<Vec<u8>, netstring::Broken>> = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        while let Some(next) = decoder.next() {
            assert!(found.last().is_none_or(Result::is_ok), "a string after an error");
            found.push(next.map(<[u8]>::to_vec));
        }
    }
    found
}

/// JSON-RPC: no answer panics, and none is believed that has not our id.
///
/// # Panics
/// A promise is broken.
pub fn jsonrpc(data: &[u8]) {
    let Some((status, body)) = data.split_first() else { return };
    let status = 200 + u16::from(*status) * 2;
    let result = jsonrpc::reply::<serde_json::Value>(status, body, 77);
    if result.is_ok() {
        assert!(body.windows(2).any(|digits| digits == b"77"), "an answer without our id");
    }
}

/// pbxapi: no answer panics, and nothing that is taken from one could leave its place in a header or a line. The first
/// two bytes are the status.
///
/// # Panics
/// A promise is broken.
pub fn pbxapi(data: &[u8]) {
    let Some((status, body)) = data.split_first_chunk::<2>() else { return };
    let _ = pbxapi::answer(u16::from_be_bytes(*status), body);
    if let Ok(token) = pbxapi::token(body) {
        assert!(token.access.bytes().all(|byte| byte.is_ascii_graphic()), "a token leaves its header");
    }
    for (extension, dial) in pbxapi::extensions(body).unwrap_or_default() {
        let sent = Action::new("Originate").with("Channel", &dial).with("Exten", &extension);
        assert!(sent.finish().is_ok(), "an extension does not fit into a line");
        assert!(!dial.contains(['&', ',']), "an extension rings two");
    }
    for channel in pbxapi::channels(body).unwrap_or_default() {
        let asked = pbxapi::question("manager/hangup", &[("channel", &channel.name.0)]);
        assert!(asked.is_err() || !channel.name.0.chars().any(char::is_control), "a name leaves its line");
    }
    let _ = pbxapi::value(body);
    if let Ok(said) | Err(pbxapi::BadAnswer::Refused(said)) = pbxapi::manager(body) {
        assert!(!said.chars().any(char::is_control), "words that are shown raw");
    }
}

/// HTTP/2: no bytes panic, a split changes nothing, and what we say stays small. The first byte is where it is split.
///
/// # Panics
/// A promise is broken.
pub fn http2(data: &[u8]) {
    let Some((cut, bytes)) = data.split_first() else { return };
    let (head, tail) = bytes.split_at(usize::from(*cut).min(bytes.len()));
    assert_eq!(received(&[bytes]), received(&[head, tail]), "a split changed the requests");
}

fn received(pieces: &[&[u8]]) -> (usize, usize, String) {
    let (mut connection, mut requests, mut said) = (Connection::default(), 0, 0);
    let mut end = String::new();
    for piece in pieces {
        if let Err(broken) = connection.push(piece) {
            end = broken.to_string();
        }
        requests += std::iter::from_fn(|| connection.next()).count();
        said += connection.output().map_or(0, |bytes| bytes.len());
    }
    let came: usize = pieces.iter().map(|piece| piece.len()).sum();
    // our settings, and never more than a peer says itself, but for a farewell and a reset
    assert!(said <= 100 + 2 * came, "{said} bytes said to {came}");
    (requests, said, end)
}

/// SIP OPTIONS: no datagram panics, and none answers a question it has not seen.
pub fn sip_options(data: &[u8]) {
    let question = Question { id: 0x5eed_5eed_5eed_5eed_5eed_5eed_5eed_5eed };
    if question.answered_by(data).is_some() {
        let id = format!("{:032x}", question.id);
        assert!(data.windows(id.len()).any(|part| part == id.as_bytes()));
    }
}

/// Settings: no text panics, and one that is taken can be sent as it is. The first byte names the key, the rest is the
/// value.
///
/// # Panics
/// A promise is broken.
pub fn settings(data: &[u8]) {
    let Some((which, value)) = data.split_first() else { return };
    let key = KEYS[usize::from(*which) % KEYS.len()].name;
    let value = String::from_utf8_lossy(value).into_owned();
    let mut given = BTreeMap::from(
        [("host", "h"), ("secret", "s")].map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    given.insert(key.to_owned(), value);
    match Options::new(&given) {
        Ok(options) => {
            let sent = Action::new("Originate")
                .with("Username", &options.user)
                .with("Secret", options.secret.expose())
                .with("Context", &options.context);
            assert!(sent.finish().is_ok(), "a setting that was taken does not fit into a line");
            assert!(!options.host.chars().any(char::is_control));
        }
        Err(refused) => assert!(!refused.to_string().chars().any(char::is_control), "shown raw: {refused:?}"),
    }
}

#[cfg(test)]
mod tests;
