//! What other threads bring to a loop: taken without a lock, announced by a doorbell only when the loop sleeps.
//!
//! The loop says that it will sleep, looks into the inbox once more, and sleeps. Whoever brings something puts it there
//! first and then looks whether the loop said so. Both are sequentially consistent, so one of the two sees the other:
//! either the loop finds the thing at its last look, or the one who brought it finds the loop asleep and rings. The bell
//! keeps ringing until the loop has heard it, also when the loop is not in the kernel yet.

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, Ordering, fence};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, Ordering, fence};

/// Things on their way to a loop, and whether the loop sleeps.
#[derive(Debug)]
pub struct Inbox<T> {
    things: Queue<T>,
    is_asleep: AtomicBool,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self { things: Queue::new(), is_asleep: AtomicBool::new(false) }
    }
}

impl<T> Inbox<T> {
    /// Puts a thing in, from any thread. True: the loop sleeps, and the caller must ring its bell.
    #[must_use = "the loop sleeps until its bell rings"]
    pub fn put(&self, thing: T) -> bool {
        self.things.push(thing);
        self.must_ring()
    }

    /// Whether the loop sleeps and nobody has rung yet.
    #[must_use = "the loop sleeps until its bell rings"]
    pub fn must_ring(&self) -> bool {
        fence(Ordering::SeqCst);
        // Only one of those who see it asleep rings.
        self.is_asleep.load(Ordering::Relaxed)
            && self.is_asleep.compare_exchange(true, false, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// The loop wants to sleep: true if it may, because nothing is here. It must call [`Self::wake`] afterwards.
    #[must_use = "something may be here already"]
    pub fn may_sleep(&self) -> bool {
        self.is_asleep.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if self.things.is_empty() {
            return true;
        }
        self.wake();
        false
    }

    /// The loop is awake.
    pub fn wake(&self) {
        self.is_asleep.store(false, Ordering::SeqCst);
    }

    /// Takes the thing that came first.
    pub fn take(&self) -> Option<T> {
        self.things.pop()
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.things.is_empty()
    }

    /// How many things are there.
    pub fn len(&self) -> usize {
        self.things.len()
    }
}

#[cfg(not(loom))]
type Queue<T> = crossbeam_queue::SegQueue<T>;

/// Stands for the queue while interleavings are explored.
#[cfg(loom)]
#[derive(Debug)]
struct Queue<T>(loom::sync::Mutex<std::collections::VecDeque<T>>);

#[cfg(loom)]
impl<T> Queue<T> {
    fn new() -> Self {
        Self(loom::sync::Mutex::new(std::collections::VecDeque::new()))
    }

    fn guarded(&self) -> loom::sync::MutexGuard<'_, std::collections::VecDeque<T>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn push(&self, thing: T) {
        self.guarded().push_back(thing);
    }

    fn pop(&self) -> Option<T> {
        self.guarded().pop_front()
    }

    fn is_empty(&self) -> bool {
        self.guarded().is_empty()
    }

    fn len(&self) -> usize {
        self.guarded().len()
    }
}
