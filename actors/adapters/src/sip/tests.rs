//! The agent against a stack that is played by hand.

mod calls;
mod descriptions;
mod endings;
mod offers;
mod refer;
mod rig;
