//! The name of a call in pushes, made of its Call-ID and its two parties.
//!
//! From 2.4 on the order of the parties does not matter, so that whoever ends a call ends it under its name. Before, it is
//! `std::hash` of what stands in the request itself: what the callee ends has another name than what the caller began
//! (seen on 2.3.3).

use sha2::{Digest, Sha256};

/// From 2.4 on (sheet flexisip, section 4). `from` and `to` are `user@host`.
pub(super) fn since_2_4(from: &str, to: &str, call_id: &str) -> String {
    let (first, second) = if from <= to { (from, to) } else { (to, from) };
    let hash = Sha256::digest([first, second, call_id].concat().as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Before 2.4, as the header `From` and the header `To` of the request have them.
pub(super) fn before_2_4(from: &str, to: &str, call_id: &str) -> String {
    let text = format!("{call_id}{}{}", from.replacen('@', "", 1), to.replacen('@', "", 1));
    hash(text.as_bytes()).to_string()
}

/// `std::hash` of a text in the C++ library of GCC on 64 bits: MurmurHash64A with its seed.
fn hash(text: &[u8]) -> u64 {
    const FACTOR: u64 = 0xc6a4_a793_5bd1_e995;
    const SEED: u64 = 0xc70f_6907;
    let mix = |value: u64| value ^ (value >> 47);
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
    let (words, rest) = text.as_chunks::<8>();
    let mut hash = SEED ^ (text.len() as u64).wrapping_mul(FACTOR);
    for bytes in words {
        let mixed = mix(word(bytes).wrapping_mul(FACTOR)).wrapping_mul(FACTOR);
        hash = (hash ^ mixed).wrapping_mul(FACTOR);
    }
    if !rest.is_empty() {
        hash = (hash ^ word(rest)).wrapping_mul(FACTOR);
    }
    mix(mix(hash).wrapping_mul(FACTOR))
}

#[cfg(test)]
mod tests {
    use super::before_2_4;

    #[test]
    fn a_call_of_2_3_3_has_the_name_that_was_seen_and_another_when_its_callee_ends_it() {
        let (caller, callee) = ("1008@127.0.49.3", "1005@127.0.49.1");
        let call_id = "aa42a6ea7e11a4c2@127.0.49.3";
        assert_eq!(before_2_4(caller, callee, call_id), "10386035033092296630");
        assert_eq!(before_2_4(callee, caller, call_id), "2004091339689846426");
    }
}
