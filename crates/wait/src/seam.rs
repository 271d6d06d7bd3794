//! What the protocol is built from: the standard library's atomics and mutex, or loom's when interleavings are explored.

#[cfg(not(loom))]
pub use std::sync::atomic;
#[cfg(not(loom))]
use std::sync::{Mutex, MutexGuard};

#[cfg(loom)]
pub use loom::sync::atomic;
#[cfg(loom)]
use loom::sync::{Mutex, MutexGuard};

use std::sync::PoisonError;

/// Guards a primitive's state for a few instructions: nobody waits, allocates Python objects, runs a waker or drops a
/// user's object while holding one.
#[derive(Debug, Default)]
pub struct Latch<T>(Mutex<T>);

impl<T> Latch<T> {
    /// Guards `value`.
    #[cfg(not(loom))]
    pub const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Guards `value`.
    #[cfg(loom)]
    pub fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Closes the latch until the guard is dropped.
    #[inline]
    pub fn close(&self) -> MutexGuard<'_, T> {
        // A panic inside leaves consistent state behind: every latched section is straight-line bookkeeping.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(loom)]
mod exploring {
    use std::cell::Cell;

    thread_local! { static IMPATIENT: Cell<bool> = const { Cell::new(false) }; }

    /// Under loom there is no clock: says whether waiters count as having waited longer than the patience.
    pub fn set_impatient(impatient: bool) {
        IMPATIENT.set(impatient);
    }

    pub(crate) fn is_impatient() -> bool {
        IMPATIENT.get()
    }
}
#[cfg(loom)]
pub(crate) use exploring::is_impatient;
#[cfg(loom)]
pub use exploring::set_impatient;
