//! Wakes collected under a latch, to be fired after it.

use std::sync::Arc;

use crate::waiter::Waiter;

/// Waiters that have been told their fate and still sleep.
#[derive(Debug, Default)]
#[must_use = "dropping wakes unfired leaves those who were chosen asleep for ever: call `fire` after the latch"]
pub struct Wakes(Few);

#[derive(Debug, Default)]
enum Few {
    #[default]
    None,
    One(Arc<Waiter>),
    Many(Vec<Arc<Waiter>>),
}

impl Wakes {
    /// Nobody to wake.
    pub const NONE: Self = Self(Few::None);

    /// Whether there is nobody to wake.
    #[inline]
    pub fn is_empty(&self) -> bool {
        matches!(self.0, Few::None)
    }

    pub(crate) fn push(&mut self, waiter: Arc<Waiter>) {
        self.0 = match std::mem::take(&mut self.0) {
            Few::None => Few::One(waiter),
            Few::One(first) => Few::Many(vec![first, waiter]),
            Few::Many(mut waiters) => {
                waiters.push(waiter);
                Few::Many(waiters)
            }
        };
    }

    /// Joins two collections.
    pub fn and(mut self, other: Self) -> Self {
        match other.0 {
            Few::None => {}
            Few::One(waiter) => self.push(waiter),
            Few::Many(waiters) => waiters.into_iter().for_each(|waiter| self.push(waiter)),
        }
        self
    }

    /// Wakes them, in the order in which they were chosen. Call it with no latch closed.
    #[inline]
    pub fn fire(self) {
        match self.0 {
            Few::None => {}
            Few::One(waiter) => waiter.wake(),
            Few::Many(waiters) => waiters.into_iter().for_each(Waiter::wake),
        }
    }
}
