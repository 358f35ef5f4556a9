//! The Asterisk double against what the sheet and the transcripts say of the real one.

mod ami;
mod ari;
mod calls;
mod drain;
mod faults;
mod lab;
mod outside;
mod recordings;
mod rooms;
mod transcripts;
mod transfers;
