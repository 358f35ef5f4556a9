//! Simulated servers and phones: sans-IO machines that behave as the real ones were seen to behave,
//! ugly parts included, each with a shell for real sockets.
//!
//! Not here: anything that ifbus itself uses to talk to a server. A double has its own parsers and
//! encoders, so that one misreading cannot hide on both sides.
//!
//! Start with [`phone`] for what a far end does, [`double`] for the contract of a machine, [`asterisk`] for one of them, [`kamailio`] and [`opensips`] for proxies,
//! Start with [`phone`] for what a far end does, [`double`] for the contract of a machine, [`asterisk`] for one of them,
//! [`yate`] for another, [`kamailio`] for a proxy,
//! Start with [`phone`] for what a far end does, [`double`] for the contract of a machine, [`asterisk`] for one of them, [`flexisip`], [`kamailio`] and [`opensips`] for proxies,
//! and [`socket`] for the form that listens on real ports.

pub mod asterisk;
mod calendar;
mod digest;
pub mod double;
pub mod elastix;
pub mod faults;
pub mod flexisip;
pub mod freeswitch;
pub mod gateway;
mod http;
pub mod kamailio;
pub mod opensips;
pub mod phone;
mod proxy;
mod random;
mod sip_options;
pub mod socket;
mod sound;
#[cfg(feature = "tls")]
pub mod tls;
mod wire;
pub mod yate;
