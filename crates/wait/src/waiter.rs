//! One wait of one thread or task: its state word, and how it sleeps and is woken. README section 1.

use std::sync::Arc;
use std::task::Waker;

use threefold_sys::clock::Instant;
use threefold_trace::Owner;

use crate::latch::Latch;
use crate::seam::atomic::{AtomicU32, Ordering};

/// In the queue, its thread awake (or a task).
pub(crate) const WAITING: u32 = 0;
/// In the queue, its thread asleep on the word or about to be.
pub(crate) const PARKED: u32 = 1;
/// Out of the queue: try again, what you wait for may be there.
pub(crate) const NUDGED: u32 = 2;
/// Out of the queue: what you wait for is yours.
pub(crate) const GRANTED: u32 = 3;
/// No longer interested; skipped when the queue reaches it.
pub(crate) const LEFT: u32 = 4;

/// Why a thread stopped being parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parked {
    /// Told something, or woken for nothing: poll again.
    Woken,
    /// Told something before it fell asleep: the teller is still at it.
    Seen,
    /// The deadline passed.
    TimedOut,
    /// A signal handler ran on this thread.
    Interrupted,
}

/// One wait of one thread or task.
///
/// The word changes under the latch of the primitive whose queue it stands in, except between `WAITING` and `PARKED`,
/// which is its own thread's business.
#[derive(Debug)]
pub struct Waiter {
    word: AtomicU32,
    owner: Owner,
    since: Instant,
    sleeper: Sleeper,
}

#[derive(Debug)]
enum Sleeper {
    #[cfg(not(loom))]
    Thread,
    #[cfg(loom)]
    Thread(crate::seam::Bed),
    Task(Latch<Waker>),
}

impl Waiter {
    pub(crate) fn new(owner: Owner, waker: Option<Waker>) -> Self {
        let sleeper = match waker {
            Some(waker) => Sleeper::Task(Latch::new(waker)),
            #[cfg(not(loom))]
            None => Sleeper::Thread,
            #[cfg(loom)]
            None => Sleeper::Thread(crate::seam::Bed::default()),
        };
        Self { word: AtomicU32::new(WAITING), owner, since: Instant::now(), sleeper }
    }

    /// Who waits.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// Since when; kept when a nudged waiter returns to the front of the queue.
    pub fn since(&self) -> Instant {
        self.since
    }

    pub(crate) fn state(&self) -> u32 {
        self.word.load(Ordering::Acquire)
    }

    /// Back to the start, for a waiter that is in no queue. Under the latch.
    pub(crate) fn reset(&self) {
        self.word.store(WAITING, Ordering::Relaxed);
    }

    /// Says that nobody is interested any more. Under the latch.
    pub(crate) fn set_left(&self) {
        self.word.store(LEFT, Ordering::Relaxed);
    }

    /// Tells the waiter its fate, and whether it must be woken for it. Under the latch, for one that has not left.
    ///
    /// The release half pairs with the acquire in `state`: what the teller did before is visible to the told.
    pub(crate) fn tell(&self, fate: u32) -> bool {
        let before = self.word.swap(fate, Ordering::AcqRel);
        before == PARKED || matches!(self.sleeper, Sleeper::Task(_))
    }

    pub(crate) fn set_waker(&self, waker: &Waker) {
        if let Sleeper::Task(current) = &self.sleeper {
            let mut current = current.close();
            if !current.will_wake(waker) {
                let previous = std::mem::replace(&mut *current, waker.clone());
                drop(current);
                // After the latch: dropping a waker may run anything.
                drop(previous);
            }
        }
    }

    /// Wakes the thread or task. After the latch.
    pub(crate) fn wake(self: Arc<Self>) {
        match &self.sleeper {
            #[cfg(not(loom))]
            Sleeper::Thread => threefold_sys::futex::wake(&self.word),
            #[cfg(loom)]
            Sleeper::Thread(bed) => bed.wake(),
            Sleeper::Task(waker) => {
                let waker = waker.close().clone();
                waker.wake();
            }
        }
    }

    /// Sleeps until told, interrupted or `deadline`; without the latch, on the waiter's own thread.
    ///
    /// # Blocking
    /// Yes. Returns at once when the waiter has been told already, so a fate told before the call is never slept over.
    pub fn park(&self, deadline: Option<Instant>) -> Parked {
        #[cfg(not(loom))]
        if self.state() == WAITING
            && deadline.is_none_or(|deadline| deadline > Instant::now())
            && crate::spin::look(|| self.word.load(Ordering::Acquire) != WAITING)
        {
            return Parked::Seen;
        }
        // README section 3: tell() swaps the word, so either this exchange fails and we do not sleep, or tell() sees
        // PARKED and wakes us.
        match self.word.compare_exchange(WAITING, PARKED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) | Err(PARKED) => {}
            Err(_) => return Parked::Woken,
        }
        self.sleep(deadline)
    }

    #[cfg(not(loom))]
    fn sleep(&self, deadline: Option<Instant>) -> Parked {
        use threefold_sys::futex::{Woke, wait};
        match wait(&self.word, PARKED, deadline) {
            Woke::Look => Parked::Woken,
            Woke::TimedOut => Parked::TimedOut,
            Woke::Interrupted => Parked::Interrupted,
        }
    }

    /// loom knows no time: a deadline may pass at any moment, and does so as soon as there is something to interrupt.
    #[cfg(loom)]
    fn sleep(&self, deadline: Option<Instant>) -> Parked {
        match &self.sleeper {
            Sleeper::Thread(bed) if deadline.is_none() => bed.sleep_while(&self.word, PARKED),
            Sleeper::Thread(_) => return Parked::TimedOut,
            Sleeper::Task(_) => {}
        }
        Parked::Woken
    }
}
