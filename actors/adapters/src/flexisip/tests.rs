//! The machine with a pretended server: what it says, and what it makes of what it hears.

mod accounts;
mod connection;
mod hostile;
mod options;
mod orders;
mod pushes;
mod release;
mod rig;
