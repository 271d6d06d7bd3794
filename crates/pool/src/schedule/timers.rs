//! Points in time at which something is due, the earliest first.

use std::collections::{BTreeMap, BTreeSet};

use threefold_sys::clock::Instant;

use crate::id::{JobId, WorkerId};

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A job has run for as long as it may.
    Job(JobId),
    /// A worker has had its time to finish.
    Grace(WorkerId),
    /// Another worker may be tried.
    Hiring,
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeMap<Timer, Instant>,
    order: BTreeSet<(Instant, Timer)>,
}

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, at: Instant) {
        self.clear(timer);
        self.due.insert(timer, at);
        self.order.insert((at, timer));
    }

    pub(super) fn clear(&mut self, timer: Timer) {
        if let Some(at) = self.due.remove(&timer) {
            self.order.remove(&(at, timer));
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.order.first().map(|&(at, _)| at)
    }

    pub(super) fn take_due(&mut self, now: Instant) -> Option<Timer> {
        let &(at, timer) = self.order.first()?;
        if at > now {
            return None;
        }
        self.clear(timer);
        Some(timer)
    }

    pub(super) fn has(&self, timer: Timer) -> bool {
        self.due.contains_key(&timer)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Timer> + '_ {
        self.due.keys().copied()
    }
}
