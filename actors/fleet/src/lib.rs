//! The actors that decide.
