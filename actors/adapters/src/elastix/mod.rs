//! Elastix 2 to 4 and Issabel: an Asterisk with a web server beside it.
//!
//! Orders and events go over AMI, by the machine of [`crate::asterisk`] in the dialect of this kind. pbxapi, which only
//! Issabel has, says how a telephone is dialled, and is all there is while AMI is closed to us. Elastix 5 is 3CX under
//! the old name and is refused.
//!
//! Facts: `docs/servers/elastix.md`. Read [`options`], then `machine.rs`.

mod api;
mod health;
mod machine;
mod narrow;
pub mod options;

pub use api::Trouble;
pub use machine::Elastix;
pub use options::{KEYS, Options};

#[cfg(test)]
mod tests;
