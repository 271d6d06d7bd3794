//! Lets a few threads at a time through to something that all of them need next.
//!
//! A crowd that is woken at once and then contends for one lock that is not ours, such as an interpreter's, can cost
//! that lock more than all the work: CPython's looks up every 5 ms for each thread that waits for it, so that the cost
//! of a wake-up grows with the crowd. Behind a gate the crowd sleeps, and the lock meets a few threads only.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use threefold_sys::clock::Instant;
use threefold_sys::{fork, futex};

/// How long nobody leaves before a thread goes through all the same. One that never leaves (the interpreter stops those
/// that come back while it ends) keeps nobody out.
const PATIENCE: Duration = Duration::from_millis(100);

/// The half of a gate's word that counts.
const COUNT: u64 = u32::MAX as u64;

/// The other half, as it is now.
fn generation() -> u64 {
    u64::from(fork::generation()) << 32
}

/// A gate for some threads at a time.
#[derive(Debug)]
pub struct Gate {
    width: u32,
    /// Threads inside, and in the high half the fork generation that they belong to: those of a parent process are not here.
    inside: AtomicU64,
    /// Changes whenever a thread leaves while others wait; they sleep on it.
    departures: AtomicU32,
    waiting_count: AtomicU32,
}

/// A thread's passage; it leaves when this is dropped.
#[derive(Debug)]
#[must_use = "dropping this leaves the gate"]
pub struct Passage<'a>(&'a Gate);

impl Gate {
    /// A gate for `width` threads at a time.
    pub const fn new(width: u32) -> Self {
        Self { width, inside: AtomicU64::new(0), departures: AtomicU32::new(0), waiting_count: AtomicU32::new(0) }
    }

    /// Goes through.
    ///
    /// # Blocking
    /// While `width` others are inside and at least one of them leaves every 100 ms.
    #[inline]
    pub fn enter(&self) -> Passage<'_> {
        if !self.try_enter(self.width) {
            self.enter_slowly();
        }
        Passage(self)
    }

    fn try_enter(&self, width: u32) -> bool {
        let generation = generation();
        let entered = |inside: u64| {
            let count = if inside & !COUNT == generation { inside & COUNT } else { 0 };
            (count < u64::from(width)).then_some(generation | (count + 1))
        };
        self.inside.fetch_update(Ordering::AcqRel, Ordering::Acquire, entered).is_ok()
    }

    #[cold]
    fn enter_slowly(&self) {
        self.waiting_count.fetch_add(1, Ordering::SeqCst);
        loop {
            // Read before the attempt: a departure after it changes the word, so this thread does not sleep over it.
            let departures = self.departures.load(Ordering::SeqCst);
            if self.try_enter(self.width) {
                break;
            }
            let woke = futex::wait(&self.departures, departures, Some(Instant::now().after(PATIENCE)));
            if woke == futex::Woke::TimedOut && self.departures.load(Ordering::SeqCst) == departures {
                self.try_enter(u32::MAX);
                break;
            }
        }
        self.waiting_count.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Passage<'_> {
    #[inline]
    fn drop(&mut self) {
        let generation = generation();
        // A thread that has forked in between leaves nothing: its parent's passage is not counted here.
        let left = |inside: u64| (inside & !COUNT == generation && inside & COUNT > 0).then(|| inside - 1);
        let _forked = self.0.inside.fetch_update(Ordering::SeqCst, Ordering::Relaxed, left);
        if self.0.waiting_count.load(Ordering::SeqCst) > 0 {
            self.0.departures.fetch_add(1, Ordering::SeqCst);
            futex::wake(&self.0.departures);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn no_more_than_its_width_are_inside_and_all_come_through() {
        let gate = Arc::new(Gate::new(2));
        let (inside, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let begin = Instant::now();
        let threads = (0..8).map(|_| {
            let (gate, inside, most) = (Arc::clone(&gate), Arc::clone(&inside), Arc::clone(&most));
            std::thread::spawn(move || {
                for _ in 0..500 {
                    let passage = gate.enter();
                    most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(passage);
                }
            })
        });
        threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
        let was_impatient = Instant::now().since(begin) > PATIENCE * 5;
        assert!(most.load(Ordering::SeqCst) <= 2 || was_impatient);
        assert_eq!(gate.inside.load(Ordering::SeqCst) & COUNT, 0);
        assert_eq!(gate.waiting_count.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn one_that_never_leaves_keeps_nobody_out() {
        let gate = Gate::new(1);
        let stays = gate.enter();
        let begin = Instant::now();
        drop(gate.enter());
        assert!(Instant::now().since(begin) >= PATIENCE);
        drop(stays);
        drop(gate.enter());
        assert_eq!(gate.inside.load(Ordering::SeqCst) & COUNT, 0);
    }
}
