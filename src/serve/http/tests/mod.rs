#![allow(clippy::unwrap_used)]

mod access;
mod calls;
mod conferences;
mod fixture;
mod hostile;
mod life;
mod once;
mod openapi;
mod problems;
mod recordings;
mod servers;
mod stream;
