//! The waiting half of `multiprocessing.Condition`; the lock is another object.

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use threefold_shared_memory::Condition;

use super::condition_task::WaitAtCondition;
use super::driver::PythonDriver;
use super::place::{Place, address_of};
use super::sem_lock::SemLock;
use super::task::awaitable;
use super::timeout::{deadline, is_ready, patience};
use crate::kept::intern;
use crate::python::in_view_of;
use crate::wait::PyWait;

/// The line of those who wait at a condition that processes share.
#[pyclass(frozen, module = "threefold._threefold")]
pub(crate) struct SharedCondition {
    place: Place<Condition>,
}

/// The lock of a condition.
enum Guard<'py> {
    Ours(Bound<'py, SemLock>),
    /// The standard library's.
    Foreign(Bound<'py, PyAny>),
}

impl<'py> Guard<'py> {
    fn of(lock: &Bound<'py, PyAny>) -> Self {
        lock.cast::<SemLock>().map_or_else(|_| Self::Foreign(lock.clone()), |lock| Self::Ours(lock.clone()))
    }

    /// Gives the lock back as often as the caller has it.
    fn release_all(&self) -> PyResult<u64> {
        match self {
            Self::Ours(lock) => lock.get().lock()?.release_all(lock.py()),
            Self::Foreign(lock) => {
                let py = lock.py();
                let count = lock.getattr(intern!(py, "_semlock"))?.call_method0(intern!(py, "_count"))?.extract()?;
                for _ in 0..count {
                    lock.call_method0(intern!(py, "release"))?;
                }
                Ok(count)
            }
        }
    }

    /// Has it back, as often as before.
    fn restore(&self, count: u64) -> PyResult<()> {
        match self {
            Self::Ours(lock) => lock.get().inheritance()?.restore(lock.py(), count),
            Self::Foreign(lock) => {
                for _ in 0..count {
                    lock.call_method0(intern!(lock.py(), "acquire"))?;
                }
                Ok(())
            }
        }
    }
}

impl SharedCondition {
    pub(super) fn condition(&self) -> PyResult<&Condition> {
        self.place.get()
    }
}

#[pymethods]
impl SharedCondition {
    #[new]
    fn new() -> PyResult<Self> {
        let place = Place::empty();
        place.make(Condition::bytes(Condition::WAITERS), |home| Condition::create(home, Condition::WAITERS))?;
        Ok(Self { place })
    }

    /// The one that another process made.
    #[staticmethod]
    fn _find(descriptor: i32, len_bytes: usize) -> PyResult<Self> {
        let place = Place::empty();
        place.find(descriptor, len_bytes, Condition::attach)?;
        Ok(Self { place })
    }

    /// What `_find` needs in another process.
    fn _address(&self) -> PyResult<(i32, usize)> {
        Ok(address_of(self.place.get()?.home()))
    }

    /// Gives `lock` back, waits to be notified, and takes it again.
    ///
    /// Args:
    ///     lock: the condition's lock, which the caller has.
    ///     timeout: seconds to wait at most; None waits for ever.
    ///
    /// Returns:
    ///     Whether there was a notification.
    ///
    /// Raises:
    ///     OwnerDied: a process died with the lock, which was made to tell; the caller has the lock all the same.
    #[pyo3(signature = (lock, timeout=None))]
    fn wait(&self, lock: &Bound<'_, PyAny>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        let (py, deadline, guard) = (lock.py(), deadline(timeout)?, Guard::of(lock));
        let enrolled = self.place.get()?.enroll().map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        let count = guard.release_all()?;
        let outcome = enrolled.wait(deadline, &mut PythonDriver::new(py, self, deadline));
        let restored = guard.restore(count);
        let outcome = outcome.map_err(|error| in_view_of(py, error, restored.as_ref().err()))?;
        restored?;
        Ok(is_ready(&outcome))
    }

    /// As `wait`, in a task that has the lock.
    ///
    /// Args:
    ///     lock: the condition's lock, of ours.
    ///     timeout: seconds to wait at most for the notification; None waits for ever.
    ///
    /// Returns:
    ///     An awaitable of whether there was a notification. A task that is cancelled meanwhile has the lock again when
    ///     it hears of it.
    #[pyo3(signature = (lock, timeout=None))]
    fn wait_async(this: Py<Self>, lock: &Bound<'_, PyAny>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<PyWait> {
        let Ok(lock) = lock.cast::<SemLock>() else {
            return Err(PyTypeError::new_err("tasks need a condition whose lock is one of threefold.multiprocessing"));
        };
        Ok(awaitable(WaitAtCondition::new(this, lock.clone().unbind()), patience(timeout)?))
    }

    /// Notifies up to `limit` waiters; how many there were.
    fn notify(&self, limit: usize) -> PyResult<usize> {
        Ok(self.place.get()?.notify(limit))
    }

    /// How many wait and have not been notified.
    fn waiter_count(&self) -> PyResult<usize> {
        Ok(self.place.get()?.waiter_count())
    }
}
