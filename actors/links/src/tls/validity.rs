//! Until when a certificate is valid, read from its DER (RFC 5280, section 4.1).
//!
//! For a warning only; nothing is believed because of it. Not here: everything else that stands in a certificate.

/// The end of validity in seconds since 1970; `None` for what is no certificate or beyond the calendar of its form.
#[must_use]
pub fn not_after(der: &[u8]) -> Option<i64> {
    let (certificate, _) = take(der, SEQUENCE)?;
    let (mut body, _) = take(certificate, SEQUENCE)?;
    if let Some((_, rest)) = take(body, VERSION) {
        body = rest;
    }
    for part in [INTEGER, SEQUENCE, SEQUENCE] {
        body = take(body, part)?.1;
    }
    let (validity, _) = take(body, SEQUENCE)?;
    let (_, rest) = take(validity, UTC_TIME).or_else(|| take(validity, GENERALIZED_TIME))?;
    match take(rest, UTC_TIME) {
        Some((text, _)) => seconds(text, 2),
        None => seconds(take(rest, GENERALIZED_TIME)?.0, 4),
    }
}

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// What is inside of the value with this tag at the beginning, and what follows it.
fn take(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, length], rest) = bytes.split_first_chunk::<2>()?;
    if found != tag {
        return None;
    }
    let (length, rest) = if length < 0x80 {
        (usize::from(length), rest)
    } else {
        // four bytes of length are more than a handshake carries
        let digits = usize::from(length & 0x7f);
        if !(1..=4).contains(&digits) {
            return None;
        }
        let (length, rest) = rest.split_at_checked(digits)?;
        (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
    };
    rest.split_at_checked(length)
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn seconds(text: &[u8], year_digits: usize) -> Option<i64> {
    if text.len() != year_digits + 11 || text.last() != Some(&b'Z') {
        return None;
    }
    let number = |from: usize, digits: usize| {
        let part = text.get(from..from + digits)?;
        part.iter()
            .try_fold(0_i64, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
    };
    let year = match number(0, year_digits)? {
        short @ 0..50 if year_digits == 2 => 2000 + short,
        short if year_digits == 2 => 1900 + short,
        whole => whole,
    };
    let at = |place: usize| number(year_digits + 2 * place, 2);
    let (month, day) = (at(0)?, at(1)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    Some(((days(year, month, day) * 24 + at(2)?) * 60 + at(3)?) * 60 + at(4)?)
}

/// Days since 1970-01-01 of the Gregorian calendar; the year begins in March so that the leap day is its last.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let leaps = year / 4 - year / 100 + year / 400;
    365 * year + leaps + (153 * month + 2) / 5 + day - 1 - 719_468
}
