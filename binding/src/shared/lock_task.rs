//! A task's wait for a lock or a permit that processes share.

use std::sync::Arc;

use pyo3::prelude::*;
use threefold_shared_memory::lookout::Sight;

use super::holder;
use super::sem_lock::SemLock;
use super::task::{Attempt, Tried, awaitable};
use crate::acquire::boolean;
use crate::blocking::Subject;
use crate::convert::Patience;
use crate::wait::PyWait;

/// The awaitable of `acquire_async`.
pub(super) fn acquire(lock: Py<SemLock>, patience: Patience) -> PyWait {
    awaitable(Acquire { lock, is_entering: false }, patience)
}

/// The awaitable of `__aenter__`.
pub(super) fn enter(lock: Py<SemLock>) -> PyWait {
    awaitable(Acquire { lock, is_entering: true }, Patience::Endless)
}

struct Acquire {
    lock: Py<SemLock>,
    /// Whether it is `async with`, which yields nothing.
    is_entering: bool,
}

impl Acquire {
    fn acquired(&self, py: Python<'_>, is_acquired: bool) -> Tried {
        if !is_acquired {
            return Ok(None);
        }
        if self.is_entering { Ok(Some(py.None())) } else { boolean(py, true).map(Some) }
    }
}

impl Attempt for Acquire {
    fn first(&mut self, py: Python<'_>) -> Tried {
        let is_acquired = self.lock.get().inheritance()?.try_acquire_within(py, holder::caller(py))?;
        self.acquired(py, is_acquired)
    }

    fn again(&mut self, py: Python<'_>) -> Tried {
        let is_acquired = self.lock.get().inheritance()?.try_acquire_again(py, holder::caller(py))?;
        self.acquired(py, is_acquired)
    }

    fn sight(&self) -> PyResult<Arc<dyn Sight>> {
        self.lock.get().lock()?.sight()
    }

    fn timed_out(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        boolean(py, false)
    }

    fn subject(&self, _py: Python<'_>) -> Subject {
        self.lock.get().subject()
    }

    fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.lock)
    }
}
