//! Many threads at once, with waits that end in every possible way; `THREEFOLD_STRESS=20` makes each test 20 times as long.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing unwrap is a failing test")]
#![allow(dead_code, unreachable_pub, reason = "the support is shared; each test program uses its part")]

#[path = "../../../wait/tests/support/limit.rs"]
mod limit;

mod crowd;
mod lock;
mod queue;
mod rounds;
mod semaphore;
