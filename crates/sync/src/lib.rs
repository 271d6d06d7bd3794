#![forbid(unsafe_code)]
//! Locks, conditions, events, barriers and queues, for threads and tasks alike.
//!
//! Each primitive is a little state and one or two wait queues under one latch, as `threefold-wait` prescribes. `try_x`
//! never waits; `x` returns a [`Wait`](threefold_wait::Wait) that a thread blocks on or a task polls.

pub mod barrier;
pub mod condition;
pub mod error;
pub mod event;
pub mod lock;
mod ownership;
pub mod queue;
pub mod rlock;
pub mod semaphore;

pub use barrier::Barrier;
pub use condition::Condition;
pub use event::Event;
pub use lock::Lock;
pub use queue::Queue;
pub use rlock::RLock;
pub use semaphore::Semaphore;
