//! Waiting for a guard for a moment only: for callers that must not hold up an event loop.

use std::time::Duration;

use threefold_sys::clock::Instant;
use threefold_sys::futex;

use crate::wait::{Driver, Nap};

/// Longer than a guarded section lasts whose process runs.
const LONGEST: Duration = Duration::from_millis(10);

/// Sleeps for a few milliseconds in all.
#[derive(Debug)]
pub struct Brief(Instant);

/// Somebody was in a guarded section all the while: a process that was stopped there, most likely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

impl Brief {
    /// From now on.
    pub fn new() -> Self {
        Self(Instant::now().after(LONGEST))
    }
}

impl Default for Brief {
    fn default() -> Self {
        Self::new()
    }
}

impl Driver for Brief {
    type Error = Busy;

    fn park(&mut self, nap: &Nap<'_>) -> Result<(), Busy> {
        if Instant::now() >= self.0 {
            return Err(Busy);
        }
        let _look_again = futex::wait_shared(nap.word, nap.expected, Some(nap.until.min(self.0)));
        Ok(())
    }
}
