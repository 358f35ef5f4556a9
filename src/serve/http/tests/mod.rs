#![allow(clippy::unwrap_used)]

mod access;
mod calls;
mod fixture;
mod hostile;
mod life;
mod once;
mod openapi;
mod problems;
mod servers;
mod stream;
