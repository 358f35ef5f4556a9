//! The kinds of server ifbus speaks to, as machines without input or output.
//!
//! Pure: no clock, no sockets, no threads. Time is handed in, bytes come in and go out as values.
//!
//! Read [`adapter`] first: the contract that every kind keeps. Then one kind, file by file; the others look the same.

pub mod adapter;
pub mod anchor;
pub mod asterisk;
pub mod elastix;
pub mod flexisip;
pub mod freeswitch;
pub mod fuzz;
pub mod kamailio;
pub mod key;
mod names;
pub mod opensips;
mod proxied;
mod q850;
mod random;
pub mod settings;
pub mod sip;
pub mod template;
mod timers;
pub mod trust;
pub mod wire_format;
pub mod yate;

pub use adapter::{Adapter, Input, Output};
pub use asterisk::Asterisk;
pub use elastix::Elastix;
pub use flexisip::Flexisip;
pub use freeswitch::FreeSwitch;
pub use kamailio::Kamailio;
pub use opensips::OpenSips;
pub use settings::{BadSetting, Settings, check};
pub use trust::{Fingerprint, Trust};
pub use yate::Yate;
