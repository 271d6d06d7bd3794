//! Queues and locks in memory that several processes share, which outlive the death of any of them. The README has the
//! protocol; comments name its sections.
#![forbid(unsafe_code)]

mod barrier;
mod bell;
mod bounded_semaphore;
mod brief;
mod condition;
mod error;
mod event;
mod guard;
mod holder;
mod home;
mod lock;
pub mod lookout;
mod ownership;
mod places;
pub mod queue;
mod reentrant_lock;
pub mod ring;
mod round;
mod semaphore;
mod standing;
mod wait;

#[cfg(test)]
#[path = "../../wait/tests/support/limit.rs"]
#[allow(clippy::redundant_pub_crate, unreachable_pub, reason = "the same file serves the other test programs")]
mod limit;

pub use barrier::{Arrival, Barrier};
pub use bell::{Bell, Place};
pub use bounded_semaphore::BoundedSemaphore;
pub use brief::{Brief, Busy};
pub use condition::{Condition, Enrolled};
pub use error::{Broken, HomeError, NotLocked, NotOwner, ReleasedTooOften, TooManyWaiters};
pub use event::{Event, Moment};
pub use guard::{Guard, Held};
pub use holder::Holder;
pub use home::Home;
pub use lock::Lock;
pub use ownership::Acquired;
pub use places::Seat;
pub use reentrant_lock::{RLock, Within};
pub use semaphore::Semaphore;
pub use standing::Standing;
pub use threefold_sys::clock::Instant;
pub use threefold_sys::region::{Beyond, PAGE_BYTES, Region};
pub use wait::{Driver, Nap, Outcome, Plain, SLICE, Wait, Woke, block};
