//! Texts with short codes for frequent letters (RFC 7541, section 5.2 and appendix B).
//!
//! The code is canonical: among codes of one length the letters stand in order, and each length goes on where the shorter
//! one ended. So the lengths are the whole table.

/// The length in bits of the code of each letter; the last one ends a text and is never sent.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28,
    28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6,
    6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7,
    8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7,
    15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24,
    23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23,
    23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26,
    26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20,
    21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27,
    27, 27, 26, 30,
];

const LONGEST: usize = 30;

/// The letters in the order of their codes, and where each length begins.
#[derive(Debug)]
pub(super) struct Code {
    /// For each length: its first code, how many there are, and where its letters begin.
    lengths: [(u32, u32, usize); LONGEST + 1],
    letters: [u16; 257],
}

/// Why a text cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadText {
    /// It holds the end mark, a code that does not exist, or is filled up in a wrong way.
    Malformed,
    /// It would be longer than asked for.
    TooLong,
}

impl Code {
    pub(super) const fn new() -> Self {
        let (mut lengths, mut letters) = ([(0, 0, 0); LONGEST + 1], [0; 257]);
        let (mut length, mut code, mut place) = (1, 0, 0);
        while length <= LONGEST {
            code <<= 1;
            let (first, begin) = (code, place);
            let mut letter = 0;
            while letter < 257 {
                if LENGTHS[letter] as usize == length {
                    letters[place] = letter as u16;
                    place += 1;
                    code += 1;
                }
                letter += 1;
            }
            lengths[length] = (first, code - first, begin);
            length += 1;
        }
        Self { lengths, letters }
    }

    /// The text behind these bytes, at most `most` bytes of it.
    pub(super) fn read(&self, bytes: &[u8], most: usize) -> Result<Vec<u8>, BadText> {
        let mut text = Vec::with_capacity(bytes.len().saturating_mul(8) / 5);
        let (mut code, mut length) = (0, 0);
        for byte in bytes {
            for shift in (0..8).rev() {
                code = code << 1 | u32::from(byte >> shift & 1);
                length += 1;
                let Some((first, count, begin)) = self.lengths.get(length) else {
                    return Err(BadText::Malformed);
                };
                let Some(nth) = code.checked_sub(*first).filter(|nth| nth < count) else { continue };
                let letter = self.letters[begin + nth as usize];
                let Ok(letter) = u8::try_from(letter) else { return Err(BadText::Malformed) };
                if text.len() == most {
                    return Err(BadText::TooLong);
                }
                text.push(letter);
                (code, length) = (0, 0);
            }
        }
        // the last byte is filled up with ones, and never wholly
        let filled = (1u32 << length.min(8)) - 1;
        if length < 8 && code == filled { Ok(text) } else { Err(BadText::Malformed) }
    }
}
