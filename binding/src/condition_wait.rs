//! A task's wait on a `Condition`: queue, release the lock, be notified, have the lock back.

use pyo3::prelude::*;
use threefold_trace::Reason;
use threefold_wait::{Ticket, Wait, Withdrawal};

use crate::acquire::boolean;
use crate::blocking::Subject;
use crate::condition::PyCondition;
use crate::guard::Held;
use crate::operation::Operation;

/// The wait, phase by phase.
pub(crate) struct WaitOnCondition {
    condition: Py<PyCondition>,
    phase: Phase,
}

enum Phase {
    /// The lock is held.
    Before,
    /// The lock is released.
    Waiting(Held),
    /// Whether or not there was a notification, the lock must be had back.
    Returning { held: Held, is_notified: bool },
    /// The lock is held again.
    After,
}

impl WaitOnCondition {
    pub(crate) fn new(condition: Py<PyCondition>) -> Self {
        Self { condition, phase: Phase::Before }
    }

    fn start(&mut self, py: Python<'_>, ticket: &mut Ticket) -> PyResult<()> {
        let condition = self.condition.get();
        let guard = condition.check_owned(py, "wait")?;
        // Queued before the lock is released: whoever takes the lock next finds us in the queue.
        let mut notified = condition.condition().wait();
        let _never_ready_yet = notified.poll(ticket);
        match guard.release_save(py) {
            Ok(held) => self.phase = Phase::Waiting(held),
            Err(error) => {
                let _handed_on = notified.withdraw(ticket, Withdrawal::HandOn);
                return Err(error);
            }
        }
        Ok(())
    }

    fn go_back(&mut self, is_notified: bool) {
        self.phase = match std::mem::replace(&mut self.phase, Phase::After) {
            Phase::Waiting(held) => Phase::Returning { held, is_notified },
            phase => phase,
        };
    }
}

impl Operation for WaitOnCondition {
    fn try_now(&mut self, _py: Python<'_>) -> Option<PyResult<Py<PyAny>>> {
        None
    }

    fn poll(&mut self, py: Python<'_>, ticket: &mut Ticket) -> Option<PyResult<Py<PyAny>>> {
        if matches!(self.phase, Phase::Before) {
            if let Err(error) = self.start(py, ticket) {
                return Some(Err(error));
            }
        }
        if matches!(self.phase, Phase::Waiting(_)) {
            self.condition.get().condition().wait().poll(ticket)?;
            self.go_back(true);
        }
        let Phase::Returning { held, is_notified } = &self.phase else { return None };
        let guard = match self.condition.get().guard(py) {
            Ok(guard) => guard,
            Err(error) => return Some(Err(error)),
        };
        if let Err(error) = guard.poll_acquire(py, ticket)? {
            return Some(Err(error));
        }
        guard.restore(held);
        let result = boolean(py, *is_notified);
        self.phase = Phase::After;
        Some(result)
    }

    fn withdraw(&mut self, py: Python<'_>, ticket: &mut Ticket, how: Withdrawal) -> Option<PyResult<Py<PyAny>>> {
        if self.must_finish() {
            // Only an awaitable that is thrown away comes here: its lock stays released.
            if let Ok(guard) = self.condition.get().guard(py) {
                guard.withdraw_acquire(ticket);
            }
            self.phase = Phase::After;
        }
        if matches!(self.phase, Phase::Waiting(_)) {
            let notified = self.condition.get().condition().wait().withdraw(ticket, how);
            self.go_back(notified.is_some());
        }
        None
    }

    fn timed_out(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        boolean(py, false)
    }

    fn subject(&self, py: Python<'_>) -> Subject {
        let condition = self.condition.get();
        match (&self.phase, condition.guard(py)) {
            (Phase::Returning { .. }, Ok(crate::guard::Guard::Lock(lock))) => {
                crate::acquire::Acquirable::subject(lock.get())
            }
            (Phase::Returning { .. }, Ok(crate::guard::Guard::RLock(lock))) => {
                crate::acquire::Acquirable::subject(lock.get())
            }
            _ => Subject::unheld(Reason::Condition, condition),
        }
    }

    fn must_finish(&self) -> bool {
        matches!(self.phase, Phase::Returning { .. })
    }

    fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.condition)
    }
}
