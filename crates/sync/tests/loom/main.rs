//! Models of the primitives, run in every interleaving: `make loom`.
#![cfg(loom)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing unwrap is a failing test")]
#![allow(dead_code, unreachable_pub, reason = "the support is shared; each test program uses its part")]

#[path = "../../../wait/tests/support/limit.rs"]
mod limit;
#[path = "../../../wait/tests/support/model.rs"]
mod model;

mod barrier;
mod condition;
mod event;
mod lock;
mod lock_withdrawal;
mod queue;
mod queue_end;
mod queue_withdrawal;
mod semaphore;
mod task;
