//! Yate's external module protocol: lines of colon-separated fields, each escaped by itself.
//!
//! What the lines mean is the adapter's business. Facts: sheet yate, section 2. Start with [`Line`].

mod decoder;
mod encoder;
pub mod escape;
mod message;

pub use decoder::{Broken, Decoder, LINE_MAX};
pub use encoder::{Channel, Command, Name, Unfit, answer, install, local, query, uninstall, watch};
pub use message::{Line, Params};

#[cfg(test)]
mod tests;
