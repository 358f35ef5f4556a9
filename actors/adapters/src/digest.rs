//! Short names that stay the same over versions of this program, which the standard hasher does not promise.
//!
//! Not for secrets: whoever knows what goes in can make one.

use ifbus_call::{Boot, LegId, ServerName};

/// The id of a leg that is not ours, from what the server calls it.
pub(crate) fn foreign(server: &ServerName, boot: &Boot, native: &[u8]) -> LegId {
    let parts = [server.as_str().as_bytes(), boot.0.as_bytes(), native];
    LegId(parts.iter().fold(BASIS, |hash, part| fold(fold(hash, part), &[0])))
}

/// A short name for a text that is only ever compared, such as a bridge id.
pub(crate) fn digest(text: &[u8]) -> u128 {
    fold(BASIS, text)
}

// FNV-1a with 128 bits: stable over versions of this program, which the standard hasher is not
const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

fn fold(hash: u128, bytes: &[u8]) -> u128 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}
