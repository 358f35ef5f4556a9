//! What the command line promises without an orchestrator.

mod auth;
mod client;
mod completion;
mod errors;
mod fixture;
mod grammar;
mod render;
mod stream;
mod table;
mod words;
