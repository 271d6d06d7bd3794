//! What the protocol is built from: the standard library's atomics, or loom's when interleavings are explored.

#[cfg(not(loom))]
pub use std::sync::atomic;

#[cfg(loom)]
pub use loom::sync::atomic;

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
