#![forbid(unsafe_code)]
//! How anything waits: one protocol for threads and tasks, written once.
//!
//! A primitive keeps its state and a [`WaitQueue`] under one [`Latch`]. A waiter is put in the queue under that latch,
//! parked after it, and told of its fate under it again; wakes are fired after it. `README.md` beside this crate holds
//! the states, the transitions and the argument that no wake-up is lost; comments name its sections.

mod block;
mod gate;
mod latch;
mod seam;
mod spin;
mod ticket;
mod wait_queue;
mod waiter;
mod wakes;

pub use block::{Driver, Outcome, Plain, block};
pub use gate::{Gate, Passage};
pub use latch::Latch;
pub use seam::atomic;
pub use spin::{linger, look};
pub use threefold_sys::clock::Instant;
pub use threefold_trace::Owner;
pub use ticket::{Ticket, Wait, Withdrawal};
pub use wait_queue::{Standing, WaitQueue};
pub use waiter::{Parked, Waiter};
pub use wakes::Wakes;

#[cfg(loom)]
pub use seam::set_impatient;
