//! The kinds of server ifbus speaks to, as machines without input or output.
//!
//! Pure: no clock, no sockets, no threads. Time is handed in, bytes come in and go out as values.
//!
//! Read [`adapter`] first: the contract that every kind keeps.

pub mod adapter;
pub mod settings;

pub use adapter::{Adapter, Input, Output};
pub use settings::{BadSetting, Settings};
