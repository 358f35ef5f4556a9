//! The orchestrator: what is started in which order, and its surfaces.
//!
//! Not here: a decision. Surfaces look at the board and the journal, and ask through `Control`.

pub mod http;
pub mod metrics;
pub mod specs;
