//! WebSocket frames (RFC 6455) on the server's side: unmasked out, masked in.

use crate::digest::{base64, sha1};

/// A frame from a client, of those that matter.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// Text or binary; the double ignores what it says.
    Data,
    Ping(Vec<u8>),
    Pong,
    Close(Vec<u8>),
}

/// Largest frame accepted from a client.
const LARGEST: usize = 65_536;

/// `Sec-WebSocket-Accept` for a key.
pub(super) fn accept(key: &str) -> String {
    base64(&sha1(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11").as_bytes()))
}

/// Takes the next frame off the front of `bytes`; `Err` when it is not one a client may send.
pub(super) fn next(bytes: &mut Vec<u8>) -> Result<Option<Frame>, ()> {
    let [first, second, ..] = bytes[..] else { return Ok(None) };
    let (extra, mut length) = match second & 0x7f {
        126 => (2, 0),
        127 => (8, 0),
        short => (0, usize::from(short)),
    };
    let Some(extended) = bytes.get(2..2 + extra) else { return Ok(None) };
    for byte in extended {
        length = length.checked_mul(256).and_then(|l| l.checked_add(usize::from(*byte))).ok_or(())?;
    }
    if second & 0x80 == 0 || length > LARGEST {
        return Err(());
    }
    let start = 2 + extra + 4;
    if bytes.len() < start + length {
        return Ok(None);
    }
    let mask: [u8; 4] = bytes[start - 4..start].try_into().expect("the slice is four bytes long");
    let payload: Vec<u8> =
        bytes[start..start + length].iter().enumerate().map(|(i, byte)| byte ^ mask[i % 4]).collect();
    bytes.drain(..start + length);
    Ok(Some(match first & 0x0f {
        8 => Frame::Close(payload),
        9 => Frame::Ping(payload),
        10 => Frame::Pong,
        _ => Frame::Data,
    }))
}

pub(super) fn text(payload: &str) -> Vec<u8> {
    frame(1, payload.as_bytes())
}

/// One final frame.
pub(super) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80 | opcode];
    match payload.len() {
        length @ 0..126 => bytes.push(length as u8),
        length @ 126..=0xffff => {
            bytes.push(126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}
