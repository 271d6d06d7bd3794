//! What the protocol is built from: the standard library's atomics and mutex, or loom's when interleavings are explored.

#[cfg(not(loom))]
pub use std::sync::atomic;
#[cfg(not(loom))]
use std::sync::{Mutex, MutexGuard};

#[cfg(loom)]
pub use loom::sync::atomic;
#[cfg(loom)]
use loom::sync::{Mutex, MutexGuard};

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
    #[cfg(not(thread_sanitizer))]
    pub fn close(&self) -> MutexGuard<'_, T> {
        // A panic inside leaves consistent state behind: every latched section is straight-line bookkeeping.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Closes the latch until the guard is dropped.
    ///
    /// ThreadSanitizer sees what is compiled with it. Of the standard library's mutex that is everything but the waiting
    /// for it, so that each latch that had to be waited for would be reported as open. Here nothing is out of its sight.
    #[cfg(thread_sanitizer)]
    pub fn close(&self) -> MutexGuard<'_, T> {
        use std::sync::TryLockError;
        loop {
            match self.0.try_lock() {
                Ok(guard) => return guard,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => std::thread::yield_now(),
            }
        }
    }
}

#[cfg(loom)]
mod exploring {
    use std::cell::Cell;
    use std::sync::PoisonError;

    use loom::sync::atomic::{AtomicU32, Ordering};
    use loom::sync::{Condvar, Mutex};

    /// Stands in for the kernel's side of a futex: comparing and falling asleep are one step for whoever wakes, and a
    /// wake that finds nobody asleep is gone. (loom's `unpark` would leave a token, which hides lost wake-ups.)
    #[derive(Debug, Default)]
    pub(crate) struct Bed {
        bucket: Mutex<()>,
        sleepers: Condvar,
    }

    impl Bed {
        pub(crate) fn sleep_while(&self, word: &AtomicU32, expected: u32) {
            let bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
            if word.load(Ordering::Acquire) == expected {
                drop(self.sleepers.wait(bucket).unwrap_or_else(PoisonError::into_inner));
            }
        }

        pub(crate) fn wake(&self) {
            let _bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
            self.sleepers.notify_one();
        }
    }

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
pub use exploring::set_impatient;
#[cfg(loom)]
pub(crate) use exploring::{Bed, is_impatient};
