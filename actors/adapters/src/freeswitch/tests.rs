//! The adapter against a recorded session of a real server, against a pretended one, and against chance.

mod adoption;
mod connection;
mod files;
mod hostile;
mod options;
mod orders;
mod pitfalls;
mod pretend;
mod replay;
mod rig;
