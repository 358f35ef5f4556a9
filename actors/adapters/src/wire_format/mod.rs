//! One file per wire: bytes to frames and frames to bytes.
//!
//! Incremental, borrowed, bounded; nothing here knows what a frame means to a call. Read [`ami`] first.

pub mod ami;
pub mod ari;
pub mod au;
pub mod base64;
pub mod esl;
pub mod extmodule;
pub mod http2;
pub mod jsonrpc;
pub mod md5;
pub mod netstring;
pub mod pbxapi;
pub mod sip_options;
pub mod wav;
