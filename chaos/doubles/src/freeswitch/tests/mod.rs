//! The double against what was recorded, and its faults.

mod calls;
mod faults;
mod lab;
mod orders;
mod sessions;
