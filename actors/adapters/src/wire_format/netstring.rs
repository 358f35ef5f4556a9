//! Netstrings: `<length>:<bytes>,` one after the other on a stream (D. J. Bernstein, 1997).
//!
//! Kamailio's `evapi` sends one event in each (sheet kamailio, section 4). Not here: what is inside.

/// The longest string taken: an event is under 1 kB, and a caller can make it longer only by what fits into a SIP
/// message, 64 kB.
pub const LENGTH_MAX: usize = 256 * 1024;

/// Digits that a length of [`LENGTH_MAX`] can have; more are never read.
const DIGITS_MAX: usize = 6;

/// Why a stream is no row of netstrings. Nothing that comes after it can be found again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// No length where one must be.
    #[error("no length of a netstring")]
    Length,
    /// A length beyond [`LENGTH_MAX`].
    #[error("a netstring longer than {LENGTH_MAX} bytes")]
    TooLong,
    /// No comma behind the bytes.
    #[error("no end of a netstring")]
    End,
}

/// Finds the strings in a stream, whatever way it is split.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    /// Where the next string begins.
    at: usize,
    broken: bool,
}

impl Decoder {
    /// Takes bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.broken {
            return;
        }
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole string, or why there will be none.
    #[expect(clippy::should_implement_trait, reason = "what it gives is borrowed from it")]
    pub fn next(&mut self) -> Option<Result<&[u8], Broken>> {
        if self.broken {
            return None;
        }
        match frame(&self.bytes[self.at..]) {
            Ok(None) => None,
            Ok(Some((begin, end))) => {
                let (begin, end) = (self.at + begin, self.at + end);
                self.at = end + 1;
                Some(Ok(&self.bytes[begin..end]))
            }
            Err(why) => {
                self.broken = true;
                self.bytes = Vec::new();
                self.at = 0;
                Some(Err(why))
            }
        }
    }
}

/// Where the first string is, if it is whole.
fn frame(bytes: &[u8]) -> Result<Option<(usize, usize)>, Broken> {
    let digits = bytes.iter().take(DIGITS_MAX + 1).take_while(|byte| byte.is_ascii_digit()).count();
    if digits > DIGITS_MAX {
        return Err(Broken::TooLong);
    }
    let length = bytes[..digits].iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
    if length > LENGTH_MAX {
        return Err(Broken::TooLong);
    }
    match bytes.get(digits) {
        None => return Ok(None),
        Some(b':') if digits > 0 => {}
        Some(_) => return Err(Broken::Length),
    }
    let (begin, end) = (digits + 1, digits + 1 + length);
    match bytes.get(end) {
        None => Ok(None),
        Some(b',') => Ok(Some((begin, end))),
        Some(_) => Err(Broken::End),
    }
}

/// One string.
#[must_use]
pub fn encode(bytes: &[u8]) -> Vec<u8> {
    [bytes.len().to_string().as_bytes(), b":", bytes, b","].concat()
}

#[cfg(test)]
mod tests;
