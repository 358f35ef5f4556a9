//! Simulated servers and phones.
