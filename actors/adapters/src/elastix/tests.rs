//! The machine of an Elastix before a pretended Asterisk and a pretended web server.

mod api;
mod calls;
mod hostile;
mod narrow;
mod options;
mod pitfalls;
mod rig;
