//! A task's wait at a barrier that processes share.

use std::sync::Arc;

use pyo3::prelude::*;
use threefold_shared_memory::lookout::Sight;
use threefold_shared_memory::{Arrival, Broken, Seat, Standing};
use threefold_trace::Reason;
use threefold_wait::Withdrawal;

use super::barrier::SharedBarrier;
use super::place::home_error;
use super::task::{Attempt, Tried};
use crate::blocking::Subject;
use crate::python;

/// Waiting for the other parties.
pub(super) struct WaitAtBarrier {
    barrier: Py<SharedBarrier>,
    action: Option<Py<PyAny>>,
    /// Once it is a party; before, it waits for the round before to end.
    seat: Option<Seat>,
}

impl WaitAtBarrier {
    pub(super) fn new(barrier: Py<SharedBarrier>, action: Option<Py<PyAny>>) -> Self {
        Self { barrier, action, seat: None }
    }

    fn end(&self, py: Python<'_>, answer: Result<Arrival, Broken>) -> Tried {
        let action = self.action.as_ref().map(|action| action.bind(py));
        let index = self.barrier.get().pass(py, answer, action)?;
        Ok(Some(index.into_pyobject(py)?.into_any().unbind()))
    }
}

impl Attempt for WaitAtBarrier {
    fn again(&mut self, py: Python<'_>) -> Tried {
        let barrier = self.barrier.get().barrier()?;
        if let Some(seat) = self.seat {
            return barrier.verdict(seat).map_or(Ok(None), |answer| self.end(py, answer));
        }
        match barrier.arrive_now() {
            Ok(Standing::Broken) => self.end(py, Err(Broken)),
            Ok(Standing::Last(index)) => self.end(py, Ok(Arrival::Last(index))),
            Ok(Standing::Inside(seat)) => {
                self.seat = Some(seat);
                Ok(None)
            }
            // Busy: comes again at the end of a slice.
            Ok(Standing::Outside) | Err(_) => Ok(None),
        }
    }

    fn sight(&self) -> PyResult<Arc<dyn Sight>> {
        self.barrier.get().barrier()?.sight(self.seat).map_err(home_error)
    }

    fn phase(&self) -> u8 {
        self.seat.is_some().into()
    }

    fn give_up(&mut self, py: Python<'_>, how: Withdrawal) -> Tried {
        let barrier = self.barrier.get().barrier()?;
        let answer = match (self.seat.take(), how) {
            (Some(seat), Withdrawal::Keep) => barrier.time_out(seat),
            (Some(seat), Withdrawal::HandOn) => barrier.leave_seat(seat).and(None),
            (None, _) => None,
        };
        answer.map_or(Ok(None), |answer| self.end(py, answer))
    }

    fn timed_out(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Err(python::error(python::broken_barrier_error(py)))
    }

    fn subject(&self, _py: Python<'_>) -> Subject {
        Subject::unheld(Reason::Barrier, self.barrier.get())
    }

    fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.barrier)?;
        visit.call(&self.action)
    }
}
