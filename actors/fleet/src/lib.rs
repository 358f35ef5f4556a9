//! The actors that decide.
//!
//! Not here: how a server is spoken to (`ifbus-adapters`), how bytes move (`ifbus-links`, known by its traits only), how
//! actors live and die (`ifbus-supervision`), what a surface looks like.
//!
//! Read [`control`] first: everything that can be asked of a fleet. Then `server` and `router`.

pub mod archive;
pub mod board;
pub mod clock;
pub mod conference;
pub mod control;
pub mod journal;
pub mod meter;
pub mod office;
pub mod problem;
pub mod roster;
pub mod router;
pub mod server;
pub mod store;
pub mod view;

pub use archive::Archive;
pub use board::Board;
pub use control::{Acted, Control, Fleet, PlaceCall, Reply, ServerSpec};
pub use journal::{EventView, Fact, Journal, Read, Reader};
pub use meter::{Meter, NoMeter};
pub use problem::{Code, Problem, Skipped};
