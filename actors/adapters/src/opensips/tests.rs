//! What an OpenSIPS does, and what follows.

mod connection;
mod dialogs;
mod events;
mod golden;
mod hostile;
mod options;
mod orders;
mod pitfalls;
mod rig;
