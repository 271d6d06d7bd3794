//! A task's wait at a condition that processes share: sit down, give the lock back, be notified, have the lock again.

use std::sync::Arc;

use pyo3::exceptions::{PyAssertionError, PyRuntimeError};
use pyo3::prelude::*;
use threefold_shared_memory::Seat;
use threefold_shared_memory::lookout::Sight;
use threefold_trace::Reason;
use threefold_wait::Withdrawal;

use super::condition::SharedCondition;
use super::holder;
use super::place::home_error;
use super::sem_lock::SemLock;
use super::task::{Attempt, Tried};
use crate::acquire::boolean;
use crate::blocking::Subject;

/// Waiting to be notified.
pub(super) struct WaitAtCondition {
    condition: Py<SharedCondition>,
    lock: Py<SemLock>,
    phase: Phase,
}

#[derive(Clone, Copy)]
enum Phase {
    /// The lock is held.
    Before,
    /// The lock was given back, so often.
    Waiting { seat: Seat, count: u64 },
    /// Whether or not there was a notification, the lock must be had again.
    Returning { count: u64, is_notified: bool },
    /// The lock is held again.
    After,
}

impl WaitAtCondition {
    pub(super) fn new(condition: Py<SharedCondition>, lock: Py<SemLock>) -> Self {
        Self { condition, lock, phase: Phase::Before }
    }

    fn sit_down(&mut self, py: Python<'_>) -> PyResult<()> {
        let (condition, lock) = (self.condition.get().condition()?, self.lock.get().lock()?);
        if !lock.is_callers(py) {
            return Err(PyAssertionError::new_err("must acquire() condition before using wait()"));
        }
        // Before the lock is given back: whoever takes it next finds the seat.
        let seat = condition.take_seat().map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        match lock.release_all(py) {
            Ok(count) => self.phase = Phase::Waiting { seat, count },
            Err(error) => {
                condition.give_up_seat(seat);
                return Err(error);
            }
        }
        Ok(())
    }

    fn stand_up(&mut self) -> PyResult<()> {
        if let Phase::Waiting { seat, count } = self.phase {
            let condition = self.condition.get().condition()?;
            if condition.is_told(seat) {
                let is_notified = condition.leave_seat(seat);
                self.phase = Phase::Returning { count, is_notified };
            }
        }
        Ok(())
    }

    fn come_back(&mut self, py: Python<'_>) -> Tried {
        let Phase::Returning { count, is_notified } = self.phase else { return Ok(None) };
        let inheritance = self.lock.get().inheritance()?;
        let lock = inheritance.lock();
        let Some(acquired) = lock.try_acquire_again(holder::caller(py)) else { return Ok(None) };
        lock.set_count(count);
        self.phase = Phase::After;
        inheritance.tell(py, acquired)?;
        boolean(py, is_notified).map(Some)
    }
}

impl Attempt for WaitAtCondition {
    fn first(&mut self, _py: Python<'_>) -> Tried {
        Ok(None)
    }

    fn again(&mut self, py: Python<'_>) -> Tried {
        if matches!(self.phase, Phase::Before) {
            self.sit_down(py)?;
        }
        self.stand_up()?;
        self.come_back(py)
    }

    fn sight(&self) -> PyResult<Arc<dyn Sight>> {
        match self.phase {
            Phase::Waiting { seat, .. } => self.condition.get().condition()?.sight(seat).map_err(home_error),
            _ => self.lock.get().lock()?.sight(),
        }
    }

    fn phase(&self) -> u8 {
        match self.phase {
            Phase::Before => 0,
            Phase::Waiting { .. } => 1,
            Phase::Returning { .. } => 2,
            Phase::After => 3,
        }
    }

    fn give_up(&mut self, _py: Python<'_>, how: Withdrawal) -> Tried {
        let condition = self.condition.get().condition()?;
        self.phase = match (self.phase, how) {
            (Phase::Waiting { seat, count }, Withdrawal::Keep) => {
                Phase::Returning { count, is_notified: condition.leave_seat(seat) }
            }
            (Phase::Waiting { seat, count }, Withdrawal::HandOn) => {
                condition.give_up_seat(seat);
                Phase::Returning { count, is_notified: false }
            }
            // Only an awaitable that is thrown away comes here: its lock stays given back.
            (Phase::Returning { .. }, _) => Phase::After,
            (phase, _) => phase,
        };
        Ok(None)
    }

    fn must_finish(&self) -> bool {
        matches!(self.phase, Phase::Returning { .. })
    }

    fn timed_out(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        boolean(py, false)
    }

    fn subject(&self, _py: Python<'_>) -> Subject {
        match self.phase {
            Phase::Returning { .. } => self.lock.get().subject(),
            _ => Subject::unheld(Reason::Condition, self.condition.get()),
        }
    }

    fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.condition)?;
        visit.call(&self.lock)
    }
}
