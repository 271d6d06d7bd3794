//! What guards a primitive's state: a spin lock, or loom's mutex when interleavings are explored.
//!
//! Opening a spin lock is a plain store. A mutex that can put a thread to sleep has to exchange, to see whether one
//! sleeps; in an uncontended `put` or `acquire` that is every tenth nanosecond, and under the interpreter lock a latch
//! is hardly ever contended. `docs/design/binding-style.md` has the measurements.

#[cfg(loom)]
use loom::sync::{Mutex, MutexGuard};
#[cfg(not(loom))]
type Mutex<T> = spin::mutex::SpinMutex<T, held_up::Relax>;
#[cfg(not(loom))]
type MutexGuard<'a, T> = spin::mutex::SpinMutexGuard<'a, T>;

/// Guards a primitive's state for a few instructions: nobody waits, allocates Python objects, runs a waker or drops a
/// user's object while holding one.
#[derive(Debug)]
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
    #[cfg(not(loom))]
    pub fn close(&self) -> MutexGuard<'_, T> {
        self.0.lock()
    }

    /// Closes the latch until the guard is dropped.
    #[cfg(loom)]
    pub fn close(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl<T: Default> Default for Latch<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

#[cfg(not(loom))]
mod held_up {
    use std::cell::Cell;
    use std::time::Duration;

    /// Looks before a thread lets others run: longer than any latch is closed by a thread that runs.
    const LOOKS: u32 = 64;
    /// Looks before it sleeps. A thread of a higher real-time priority would otherwise keep the one that holds the latch
    /// from running, for ever.
    const LOOKS_BEFORE_SLEEP: u32 = 1024;
    const SLEEP: Duration = Duration::from_micros(50);

    thread_local! {
        /// Looks at closed latches so far; it wraps.
        static COUNT: Cell<u32> = const { Cell::new(0) };
    }

    /// What a thread does while somebody else holds the latch, most often because that thread was stopped meanwhile.
    #[derive(Debug)]
    pub(super) struct Relax;

    impl spin::RelaxStrategy for Relax {
        #[cold]
        fn relax() {
            let count = COUNT.get().wrapping_add(1);
            COUNT.set(count);
            if count % LOOKS_BEFORE_SLEEP == 0 {
                threefold_sys::futex::pause(SLEEP);
            } else if count % LOOKS == 0 {
                std::thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::Latch;

    #[test]
    fn many_threads_count_right() {
        let latch = Arc::new(Latch::new(0));
        let threads = (0..8).map(|_| {
            let latch = Arc::clone(&latch);
            std::thread::spawn(move || (0..20_000).for_each(|_| *latch.close() += 1))
        });
        threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*latch.close(), 160_000);
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "stands for a thread that is stopped while it holds a latch")]
    fn a_latch_that_is_held_up_costs_little_processor_time() {
        let latch = Arc::new(Latch::new(()));
        let is_closed = Arc::new(AtomicBool::new(false));
        let holder = {
            let (latch, is_closed) = (Arc::clone(&latch), Arc::clone(&is_closed));
            std::thread::spawn(move || {
                let _guard = latch.close();
                is_closed.store(true, Ordering::Release);
                std::thread::sleep(Duration::from_millis(300));
            })
        };
        while !is_closed.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        let processor_time = || {
            let line = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
            Duration::from_nanos(line.split(' ').next().unwrap().parse().unwrap())
        };
        let before = processor_time();
        drop(latch.close());
        let used = processor_time().saturating_sub(before);
        holder.join().unwrap();
        assert!(used < Duration::from_millis(200), "{used:?} of processor time for 300 ms");
    }
}
