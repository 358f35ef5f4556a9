//! The supervision kernel: actors that outlive their panics.
