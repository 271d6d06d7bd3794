//! Counting messages as done, and waiting until all are.

use std::sync::Arc;

use threefold_sys::clock::Instant;
use threefold_trace::Reason;

use super::error::{QueueError, Stop};
use super::layout::{DONE_BELL_WORD, DONE_COUNT, PUT_COUNT};
use super::section::Shared;
use crate::bell::Bell;
use crate::wait::{Driver, Wait};

/// Waits until every message that was put is done.
pub(super) struct Join<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) deadline: Option<Instant>,
}

impl Join<'_> {
    fn is_done<D: Driver>(&self, driver: &mut D) -> Result<bool, Stop<D::Error>> {
        let section = self.shared.enter_with(self.deadline, driver)?;
        Ok(section.is_some_and(|section| section.read(DONE_COUNT) == section.read(PUT_COUNT)))
    }
}

impl Wait for Join<'_> {
    type Output = Result<(), QueueError>;

    const REASON: Reason = Reason::QueueJoin;

    fn bell(&self) -> Bell<'_> {
        self.shared.bell(DONE_BELL_WORD)
    }

    fn is_promising(&self) -> bool {
        self.shared.peek(DONE_COUNT) == self.shared.peek(PUT_COUNT)
    }

    fn poll<D: Driver>(&mut self, driver: &mut D) -> Result<Option<Self::Output>, D::Error> {
        match self.is_done(driver) {
            Ok(true) => Ok(Some(Ok(()))),
            Ok(false) => Ok(None),
            Err(Stop::Queue(error)) => Ok(Some(Err(error))),
            Err(Stop::Driver(error)) => Err(error),
        }
    }
}

impl Shared {
    /// Counts one message as done.
    pub(super) fn task_done(&self) -> Result<(), QueueError> {
        let section = self.enter()?;
        let (done, put) = (section.read(DONE_COUNT), section.read(PUT_COUNT));
        if done >= put {
            return Err(QueueError::TooManyDone);
        }
        let mut change = section.change();
        change.write(DONE_COUNT, done + 1);
        change.commit()?;
        drop(section);
        if done + 1 == put {
            self.bell(DONE_BELL_WORD).ring_all();
        }
        Ok(())
    }
}
