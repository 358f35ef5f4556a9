//! Packed headers (RFC 7541): the reading half, with limits.
//!
//! A block is read whole or not at all, and what it says about the table counts only then; a block that cannot be read
//! ends its connection. Crates for this panicked on mutated blocks, or gave a block of 16 KiB megabytes to become
//! (sheet flexisip, section 9).

use std::collections::VecDeque;

use super::huffman::{BadText, Code};

/// The largest table of ours, in the octets of RFC 7541, section 4.1; the value every peer begins with.
pub const TABLE_MAX: usize = 4096;
/// The most a block may become, each field with its 32 octets of overhead (RFC 9113, section 6.5.2).
pub const LIST_MAX: usize = 16 * 1024;
/// What each field costs beside its letters.
const OVERHEAD: usize = 32;

static CODE: Code = Code::new();

/// Why a block cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadBlock {
    /// It ends within a field.
    #[error("a block that ends too early")]
    Short,
    /// A number that no peer needs.
    #[error("a number that is too large")]
    Number,
    /// An entry that is not in the table.
    #[error("an index that leads nowhere")]
    Index,
    /// A text that is none.
    #[error("a text that is malformed")]
    Text,
    /// A table size beyond ours, or not at the beginning.
    #[error("a table size that was not offered")]
    TableSize,
    /// More than [`LIST_MAX`].
    #[error("more than {LIST_MAX} bytes of headers")]
    TooMuch,
}

/// One header: name and value as they came.
pub type Field = (Vec<u8>, Vec<u8>);

/// What a peer has said before, for what it will not say again.
#[derive(Debug)]
pub struct Decoder {
    /// The newest first.
    entries: VecDeque<Field>,
    size: usize,
    most: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { entries: VecDeque::new(), size: 0, most: TABLE_MAX }
    }
}

impl Decoder {
    /// The headers of one block.
    ///
    /// # Errors
    ///
    /// The block, and with it the connection, is of no use.
    pub fn read(&mut self, block: &[u8]) -> Result<Vec<Field>, BadBlock> {
        let (mut at, mut fields, mut total) = (Cursor(block), Vec::new(), 0);
        while let Some(first) = at.peek() {
            let field = match first {
                0x80.. => self.entry(at.number(7)?)?.clone(),
                0x40..=0x7f => {
                    let field = self.literal(&mut at, 6)?;
                    self.remember(field.clone());
                    field
                }
                0x20..=0x3f => {
                    if !fields.is_empty() {
                        return Err(BadBlock::TableSize);
                    }
                    self.resize(at.number(5)?)?;
                    continue;
                }
                ..=0x1f => self.literal(&mut at, 4)?,
            };
            total += cost(&field);
            if total > LIST_MAX {
                return Err(BadBlock::TooMuch);
            }
            fields.push(field);
        }
        Ok(fields)
    }

    fn literal(&self, at: &mut Cursor<'_>, prefix: u32) -> Result<Field, BadBlock> {
        let name = match at.number(prefix)? {
            0 => at.text()?,
            index => self.entry(index)?.0.clone(),
        };
        Ok((name, at.text()?))
    }

    fn entry(&self, index: usize) -> Result<&Field, BadBlock> {
        let fixed = fixed();
        match index.checked_sub(1) {
            None => Err(BadBlock::Index),
            Some(place) if place < fixed.len() => Ok(&fixed[place]),
            Some(place) => self.entries.get(place - fixed.len()).ok_or(BadBlock::Index),
        }
    }

    fn remember(&mut self, field: Field) {
        self.size += cost(&field);
        self.entries.push_front(field);
        self.shrink();
    }

    fn resize(&mut self, most: usize) -> Result<(), BadBlock> {
        if most > TABLE_MAX {
            return Err(BadBlock::TableSize);
        }
        self.most = most;
        self.shrink();
        Ok(())
    }

    fn shrink(&mut self) {
        while self.size > self.most {
            let Some(oldest) = self.entries.pop_back() else { return };
            self.size -= cost(&oldest);
        }
    }
}

fn cost((name, value): &Field) -> usize {
    name.len() + value.len() + OVERHEAD
}

/// Bytes that are being read.
#[derive(Clone, Copy)]
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn peek(self) -> Option<u8> {
        self.0.first().copied()
    }

    fn byte(&mut self) -> Result<u8, BadBlock> {
        let (first, rest) = self.0.split_first().ok_or(BadBlock::Short)?;
        self.0 = rest;
        Ok(*first)
    }

    /// A number in the low bits of this byte, or those and further ones (section 5.1). Four further bytes are enough for
    /// everything that is within a limit of ours.
    fn number(&mut self, prefix: u32) -> Result<usize, BadBlock> {
        let mask = (1usize << prefix) - 1;
        let mut number = usize::from(self.byte()?) & mask;
        if number < mask {
            return Ok(number);
        }
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            number += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(BadBlock::Number)
    }

    fn text(&mut self) -> Result<Vec<u8>, BadBlock> {
        let packed = self.peek().ok_or(BadBlock::Short)? & 0x80 != 0;
        let length = self.number(7)?;
        let (text, rest): (&'a [u8], _) = self.0.split_at_checked(length).ok_or(BadBlock::Short)?;
        self.0 = rest;
        if !packed {
            return Ok(text.to_vec());
        }
        CODE.read(text, LIST_MAX).map_err(|bad| match bad {
            BadText::Malformed => BadBlock::Text,
            BadText::TooLong => BadBlock::TooMuch,
        })
    }
}

/// The fields that everybody knows (RFC 7541, appendix A).
fn fixed() -> &'static [Field] {
    static FIXED: std::sync::LazyLock<Vec<Field>> = std::sync::LazyLock::new(|| {
        FIELDS.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
    });
    &FIXED
}

const FIELDS: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];
