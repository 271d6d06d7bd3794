//! Models of the wait protocol, run in every interleaving: `make loom`.
#![cfg(loom)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing unwrap is a failing test")]
#![allow(dead_code, unreachable_pub, reason = "the support is shared; each test program uses its part")]

#[path = "../support/limit.rs"]
mod limit;
#[path = "../support/model.rs"]
mod model;
#[path = "../support/permits.rs"]
mod permits;

mod task;
mod thread;
mod withdrawal;
