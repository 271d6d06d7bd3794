//! Models of the words of a link, run in every interleaving: `make loom`.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]
#![allow(dead_code, unreachable_pub, reason = "the support is shared; each test program uses its part")]

#[path = "../../src/local/attention.rs"]
mod attention;
#[path = "../../../wait/tests/support/limit.rs"]
mod limit;
#[path = "../../../wait/tests/support/model.rs"]
mod model;

mod link;
mod reports;
mod rest;

/// What the protocols take for the words of a region.
mod atomic {
    pub(super) use loom::sync::atomic::{AtomicU64, Ordering, fence};
}
