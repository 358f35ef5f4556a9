//! Seeded randomness (SplitMix64): the same seed gives the same double. Not for secrets.

/// A small deterministic generator.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit` (0 when `limit` is 0).
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        if limit == 0 { 0 } else { (self.next() % limit as u64) as usize }
    }

    /// True with probability `p`; draws nothing for 0 and 1, so a fault that is off costs no randomness.
    pub(crate) fn chance(&mut self, p: f64) -> bool {
        if p <= 0.0 {
            return false;
        }
        p >= 1.0 || (self.next() >> 11) as f64 / (1u64 << 53) as f64 <= p
    }

    /// Merges several ordered threads of items into one, keeping the order within each.
    pub(crate) fn interleave<T>(&mut self, threads: Vec<Vec<T>>) -> Vec<T> {
        let mut threads: Vec<_> =
            threads.into_iter().filter(|t| !t.is_empty()).map(|t| t.into_iter().peekable()).collect();
        let mut merged = Vec::new();
        while !threads.is_empty() {
            let pick = self.below(threads.len());
            merged.extend(threads[pick].next());
            if threads[pick].peek().is_none() {
                drop(threads.remove(pick));
            }
        }
        merged
    }

    /// A random UUID in its usual spelling.
    pub(crate) fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            0x8000 | (b >> 48) & 0x3fff,
            b & 0xffff_ffff_ffff
        )
    }
}
