//! A Kamailio's machine on real sockets: against the double in both versions, and against a real server if
//! `IFBUS_REAL_KAMAILIO` names one. Sound is real: tones are heard.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod acceptance;
#[path = "../proxied/calls.rs"]
mod calls;
mod management;
mod rig;
mod trouble;
