//! The SIP agent and the real stack, together, against phones on loopback: what a proxy kind will do with them.
//!
//! Each promise is one function that runs twice: with the phones called directly, always; and through a real Kamailio if
//! `IFBUS_REAL_KAMAILIO_SIP` names one (`127.0.76.1:5060`, made by the lab's script). Sound is real: tones are heard.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod basics;
mod handover;
mod hostile;
mod phones;
mod proxy;
mod rig;
mod secured;
mod simulated;
mod trouble;
