//! Who waits for one thing, in order. All methods are called with the primitive's latch closed. README section 2.

use std::collections::VecDeque;
use std::sync::Arc;
#[cfg(not(loom))]
use std::time::Duration;

#[cfg(not(loom))]
use threefold_sys::clock::Instant;
use threefold_sys::fork;

use crate::waiter::{GRANTED, LEFT, NUDGED, Waiter};
use crate::wakes::Wakes;

/// How long a waiter tolerates others taking what it was nudged for, before it is handed the thing itself.
/// The value that CPython's own mutex uses: long enough that a running thread is not stopped at each release.
#[cfg(not(loom))]
const PATIENCE: Duration = Duration::from_millis(1);

/// Left waiters tolerated in the queue before it is swept.
const SWEEP_AT: usize = 32;

/// What became of a waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Never queued.
    Fresh,
    /// In the queue.
    Waiting,
    /// Taken out to try again.
    Nudged,
    /// Taken out; what it waited for is its own.
    Granted,
}

/// The waiters of one thing, first come first served.
#[derive(Debug, Default)]
pub struct WaitQueue {
    waiters: VecDeque<Arc<Waiter>>,
    /// Entries that have left and are still in `waiters`.
    left_count: usize,
    /// Nudged waiters that have not come back yet.
    nudged_count: usize,
    /// What was granted, is set aside, and has not been fetched yet. For primitives that set aside.
    promised_count: usize,
    /// The fork generation that the counts belong to.
    generation: u32,
}

impl WaitQueue {
    /// Whether nobody stands in the queue.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.waiters.len() == self.left_count
    }

    /// How many stand in the queue.
    pub fn len(&self) -> usize {
        self.waiters.len() - self.left_count
    }

    /// Restores "nobody waits while something is available and no nudge is under way": call it at the end of every
    /// latched section that made something available, or that took a waiter out. README section 2.
    ///
    /// `available` counts what could be taken now. Each waiter that has been patient too long is granted one at once;
    /// `grant` is told of it and must set it aside. Others are nudged, as many as there is something for.
    #[inline]
    pub fn rebalance(&mut self, available: usize, wakes: &mut Wakes, grant: impl FnMut(&Waiter)) {
        if !self.waiters.is_empty() {
            self.rebalance_slowly(available, wakes, grant);
        }
    }

    fn rebalance_slowly(&mut self, mut available: usize, wakes: &mut Wakes, mut grant: impl FnMut(&Waiter)) {
        self.forget_the_dead();
        while self.nudged_count < available {
            let Some(waiter) = self.pop() else { return };
            if has_lost_patience(&waiter) {
                grant(&waiter);
                available -= 1;
                tell(waiter, GRANTED, wakes);
            } else {
                self.nudged_count += 1;
                tell(waiter, NUDGED, wakes);
            }
        }
    }

    /// What is set aside for waiters that were granted it by [`WaitQueue::rebalance_promising`].
    #[inline]
    pub fn promised_count(&self) -> usize {
        // Promises made in a parent process are void: whoever they were made to is not here.
        if self.promised_count == 0 || self.generation != fork::generation() { 0 } else { self.promised_count }
    }

    /// As [`WaitQueue::rebalance`], and counts what it grants as set aside until [`WaitQueue::keep_promise`].
    #[inline]
    pub fn rebalance_promising(&mut self, available: usize, wakes: &mut Wakes) {
        if !self.waiters.is_empty() {
            let mut granted = 0;
            self.rebalance_slowly(available, wakes, |_| granted += 1);
            self.promised_count += granted;
        }
    }

    /// A waiter has come for what was set aside for it.
    pub fn keep_promise(&mut self) {
        self.forget_the_dead();
        self.promised_count = self.promised_count.saturating_sub(1);
    }

    /// What was set aside is no longer there.
    pub fn void_promises(&mut self) {
        self.promised_count = 0;
    }

    /// Grants up to `limit` waiters, first come first served; returns how many.
    pub fn grant(&mut self, limit: usize, wakes: &mut Wakes) -> usize {
        self.forget_the_dead();
        for granted in 0..limit {
            let Some(waiter) = self.pop() else { return granted };
            tell(waiter, GRANTED, wakes);
        }
        limit
    }

    /// Sends every waiter back to look again.
    pub fn nudge_all(&mut self, wakes: &mut Wakes) {
        self.forget_the_dead();
        while let Some(waiter) = self.pop() {
            self.nudged_count += 1;
            tell(waiter, NUDGED, wakes);
        }
    }

    /// Puts a waiter in: at the end, or at the front when it comes back from a nudge that led to nothing.
    pub(crate) fn enqueue(&mut self, waiter: Arc<Waiter>, is_returning: bool) {
        self.forget_the_dead();
        waiter.reset();
        if is_returning { self.waiters.push_front(waiter) } else { self.waiters.push_back(waiter) }
    }

    /// What became of a waiter; a nudge is over once it has been seen.
    pub(crate) fn settle(&mut self, waiter: &Waiter) -> Standing {
        match waiter.state() {
            NUDGED => {
                self.nudged_count = self.nudged_count.saturating_sub(1);
                Standing::Nudged
            }
            GRANTED => Standing::Granted,
            _ => Standing::Waiting,
        }
    }

    /// As [`WaitQueue::settle`], and takes a waiter that is still in the queue out of it.
    pub(crate) fn leave(&mut self, waiter: &Waiter) -> Standing {
        let standing = self.settle(waiter);
        if standing == Standing::Waiting {
            waiter.set_left();
            self.left_count += 1;
            // Amortised: a sweep costs as much as the waiters that left since the last one.
            if self.left_count > SWEEP_AT && self.left_count * 2 > self.waiters.len() {
                self.sweep();
            }
        }
        standing
    }

    fn sweep(&mut self) {
        self.waiters.retain(|waiter| waiter.state() != LEFT);
        self.left_count = 0;
    }

    fn pop(&mut self) -> Option<Arc<Waiter>> {
        while let Some(waiter) = self.waiters.pop_front() {
            if waiter.state() != LEFT {
                return Some(waiter);
            }
            self.left_count -= 1;
        }
        None
    }

    /// In a forked child: waiters whose threads stayed behind in the parent will never come back.
    fn forget_the_dead(&mut self) {
        let generation = fork::generation();
        if self.generation != generation {
            self.generation = generation;
            self.nudged_count = 0;
            self.promised_count = 0;
            self.waiters.retain(|waiter| waiter.state() != LEFT && !waiter.owner().is_dead());
            self.left_count = 0;
        }
    }
}

fn tell(waiter: Arc<Waiter>, fate: u32, wakes: &mut Wakes) {
    if waiter.tell(fate) {
        wakes.push(waiter);
    }
}

#[cfg(not(loom))]
fn has_lost_patience(waiter: &Waiter) -> bool {
    Instant::now().since(waiter.since()) > PATIENCE
}

#[cfg(loom)]
fn has_lost_patience(_waiter: &Waiter) -> bool {
    crate::seam::is_impatient()
}
