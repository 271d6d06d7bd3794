//! How a worker waits for its next job.

use std::time::Duration;

use threefold_shared_memory::ring::Frame;
use threefold_shared_memory::{Bell, Driver, Outcome, Wait, block};
use threefold_sys::clock::Instant;
use threefold_trace::Reason;

use super::error::{LinkError, Stop};
use super::worker::WorkerEnd;

/// The shortest time between two looks whether the parent lives: a little less than a slice, so that none is left out.
const PAUSE: Duration = Duration::from_millis(190);

/// From this look on the worker is about to sleep: those before it come before it has announced that.
const BEFORE_SLEEP: u32 = 2;
/// From this look on it has slept.
const AFTER_SLEEP: u32 = 3;

struct Next<'a> {
    end: &'a mut WorkerEnd,
    look_count: u32,
    looked_around: Option<Instant>,
}

impl WorkerEnd {
    /// The next frame; conditions as for [`WorkerEnd::try_next`].
    ///
    /// # Blocking
    /// While there is none.
    ///
    /// # Errors
    /// [`LinkError::ParentGone`] within about a slice of the parent's end, when there are no more frames; else as for
    /// [`WorkerEnd::try_next`]; the driver's.
    pub fn next<D: Driver>(&mut self, driver: &mut D) -> Result<Frame, Stop<D::Error>> {
        if let Some(frame) = self.try_next()? {
            return Ok(frame);
        }
        let mut next = Next { end: self, look_count: 0, looked_around: None };
        loop {
            match block(&mut next, None, driver).map_err(Stop::Driver)? {
                Outcome::Ready(frame) => return frame.map_err(Stop::Link),
                Outcome::TimedOut => {}
            }
        }
    }
}

impl Wait for Next<'_> {
    type Output = Result<Frame, LinkError>;

    const REASON: Reason = Reason::PoolJob;

    fn bell(&self) -> Bell<'_> {
        self.end.bell()
    }

    fn is_promising(&self) -> bool {
        self.end.has_frame()
    }

    fn poll<D: Driver>(&mut self, _driver: &mut D) -> Result<Option<Self::Output>, D::Error> {
        let found = self.end.try_next().transpose();
        self.look_count = self.look_count.saturating_add(1);
        if found.is_some() {
            return Ok(found);
        }
        if self.look_count >= BEFORE_SLEEP {
            self.end.ring_before_sleep();
        }
        if self.look_count > AFTER_SLEEP { Ok(self.look_around().err().map(Err)) } else { Ok(None) }
    }
}

impl Next<'_> {
    /// Once a slice: whether the parent lives, and whether it has read all reports.
    fn look_around(&mut self) -> Result<(), LinkError> {
        let now = Instant::now();
        if self.looked_around.is_some_and(|before| now.since(before) < PAUSE) {
            return Ok(());
        }
        self.looked_around = Some(now);
        if !self.end.is_parent_alive() {
            return Err(LinkError::ParentGone);
        }
        self.end.tidy()
    }
}
