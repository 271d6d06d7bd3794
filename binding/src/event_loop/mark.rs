//! What a loop leaves for those who look at it from outside: how far it is, and what it runs.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;

use crate::ffi::handles::Running;

const IS_ASLEEP: u64 = 1;
const ONE_STEP: u64 = 2;

/// The mark of one loop. Written by the thread that runs it, without a clock and without an exchange: whoever looks finds
/// out by looking again whether the loop has moved.
#[derive(Debug, Default)]
pub(super) struct Mark {
    /// Steps so far, times two; the lowest bit is set while the loop sleeps in the kernel.
    steps: AtomicU64,
    running: Running,
}

/// Where a loop was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen(u64);

impl Seen {
    /// Whether the loop slept.
    pub(super) fn is_asleep(self) -> bool {
        self.0 & IS_ASLEEP != 0
    }
}

impl Mark {
    #[inline]
    fn set(&self, change: impl Fn(u64) -> u64) {
        // A load and a store: only the thread that runs the loop writes.
        self.steps.store(change(self.steps.load(Ordering::Relaxed)), Ordering::Relaxed);
    }

    /// Something else is done now.
    #[inline]
    pub(super) fn step(&self) {
        self.set(|steps| (steps & !IS_ASLEEP).wrapping_add(ONE_STEP));
    }

    /// The loop goes to sleep.
    pub(super) fn fall_asleep(&self) {
        self.set(|steps| steps | IS_ASLEEP);
    }

    /// A handle is run from here to [`Mark::has_run`].
    #[inline]
    pub(super) fn runs(&self, handle: &Bound<'_, PyAny>) {
        self.step();
        self.running.set(handle);
    }

    /// The handle is not run any more.
    #[inline]
    pub(super) fn has_run(&self) {
        self.running.clear();
    }

    /// Where the loop is.
    pub(super) fn seen(&self) -> Seen {
        Seen(self.steps.load(Ordering::Relaxed))
    }

    /// The handle that is run now.
    pub(super) fn handle<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.running.get(py)
    }
}
