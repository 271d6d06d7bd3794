//! The link between a pool and one worker process on this machine: two rings, marks of what has begun, bells. README
//! section 7.
//!
//! It carries, and decides nothing: what a job or a report is, and what follows from it, is the business of those at its
//! ends.

/// What words in a region are. The models of `tests/loom` compile the protocols with loom's in their place.
mod atomic {
    pub(super) use std::sync::atomic::{AtomicU64, Ordering, fence};
}
mod attention;
mod error;
mod layout;
mod marks;
mod next;
mod parent;
mod worker;

pub use attention::Attention;
pub use error::{LinkError, Stop};
pub use layout::default_capacity_bytes;
pub use parent::{MOST_UNFINISHED, ParentEnd};
pub use threefold_shared_memory::ring::{Frame, RingDamage, RingError};
pub use threefold_shared_memory::{Driver, Nap, Plain, SLICE, Woke};
pub use threefold_sys::pipe::{Doorbell, DoorbellRinger};
pub use threefold_sys::source::Source;
pub use threefold_sys::target::{Filled, Target};
pub use worker::WorkerEnd;
