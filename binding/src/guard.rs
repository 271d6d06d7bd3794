//! The lock under a `Condition`: one of ours, or any object with `acquire` and `release`.

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use threefold_trace::Owner;
use threefold_wait::{Ticket, Wait, Withdrawal};

use crate::acquire::{Acquirable, acquire, acquire_async, enter_async};
use crate::blocking;
use crate::convert::Patience;
use crate::kept::intern;
use crate::lock::PyLock;
use crate::rlock::PyRLock;
use crate::wait::PyWait;

/// A condition's lock.
pub(crate) enum Guard {
    Lock(Py<PyLock>),
    RLock(Py<PyRLock>),
    /// The standard library's, a subclass of ours, or anything else that behaves like a lock.
    Foreign(Py<PyAny>),
}

/// How a lock was held before it was released for a wait.
pub(crate) enum Held {
    Once,
    Times(u64),
    /// What a foreign lock's `_release_save` returned.
    Foreign(Option<Py<PyAny>>),
}

impl Guard {
    /// The lock given to a condition, or a new re-entrant one.
    pub(crate) fn new(py: Python<'_>, lock: Option<Bound<'_, PyAny>>) -> PyResult<Self> {
        let Some(lock) = lock else { return Ok(Self::RLock(Py::new(py, PyRLock::create())?)) };
        let lock = match lock.cast_into_exact::<PyLock>() {
            Ok(lock) => return Ok(Self::Lock(lock.unbind())),
            Err(error) => error.into_inner(),
        };
        match lock.cast_into_exact::<PyRLock>() {
            Ok(lock) => Ok(Self::RLock(lock.unbind())),
            Err(error) => {
                let lock = error.into_inner();
                lock.getattr(intern!(py, "acquire"))?;
                lock.getattr(intern!(py, "release"))?;
                Ok(Self::Foreign(lock.unbind()))
            }
        }
    }

    /// The lock itself.
    pub(crate) fn object<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        match self {
            Self::Lock(lock) => lock.bind(py).clone().into_any(),
            Self::RLock(lock) => lock.bind(py).clone().into_any(),
            Self::Foreign(lock) => lock.bind(py).clone(),
        }
    }

    /// `lock.acquire(...)` with the caller's arguments.
    pub(crate) fn acquire(
        &self,
        py: Python<'_>,
        arguments: &Bound<'_, PyTuple>,
        keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        Ok(self.object(py).call_method(intern!(py, "acquire"), arguments, keywords)?.unbind())
    }

    /// `lock.__enter__()`.
    pub(crate) fn enter(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let is_acquired = match self {
            Self::Lock(lock) => acquire(lock.get(), py, Patience::Endless)?,
            Self::RLock(lock) => acquire(lock.get(), py, Patience::Endless)?,
            Self::Foreign(lock) => return lock.call_method0(py, "__enter__"),
        };
        crate::acquire::boolean(py, is_acquired)
    }

    /// The fast form of [`Guard::enter`]: whether it could be done without waiting or calling Python.
    #[inline]
    pub(crate) fn try_enter(&self) -> bool {
        match self {
            Self::Lock(lock) => lock.get().try_acquire(Owner::thread()),
            Self::RLock(lock) => lock.get().try_acquire(Owner::thread()),
            Self::Foreign(_) => false,
        }
    }

    /// The fast form of [`Guard::release`].
    #[inline]
    pub(crate) fn try_release(&self) -> bool {
        match self {
            Self::Lock(lock) => lock.get().try_release(),
            Self::RLock(lock) => lock.get().try_release(),
            Self::Foreign(_) => false,
        }
    }

    /// `lock.release()`.
    pub(crate) fn release(&self, py: Python<'_>) -> PyResult<()> {
        match self {
            Self::Lock(lock) => lock.get().lock.release().map_err(|error| PyRuntimeError::new_err(error.to_string())),
            Self::RLock(lock) => lock.get().release_by_caller(py),
            Self::Foreign(lock) => lock.call_method0(py, "release").map(drop),
        }
    }

    /// Whether the caller may wait and notify: it holds the lock, or, of a lock that knows no owner, somebody does.
    pub(crate) fn is_owned(&self, py: Python<'_>) -> PyResult<bool> {
        match self {
            Self::Lock(lock) => Ok(!lock.get().lock.owner().is_nobody()),
            Self::RLock(lock) => Ok(lock.get().owner_if_caller(py).is_some()),
            Self::Foreign(lock) => {
                let lock = lock.bind(py);
                if lock.hasattr(intern!(py, "_is_owned"))? {
                    return lock.call_method0(intern!(py, "_is_owned"))?.is_truthy();
                }
                if lock.call_method1(intern!(py, "acquire"), (false,))?.is_truthy()? {
                    lock.call_method0(intern!(py, "release"))?;
                    return Ok(false);
                }
                Ok(true)
            }
        }
    }

    /// Releases it as often as the caller holds it, for a wait.
    pub(crate) fn release_save(&self, py: Python<'_>) -> PyResult<Held> {
        match self {
            Self::Lock(_) => self.release(py).map(|()| Held::Once),
            Self::RLock(lock) => {
                let owner = lock.get().owner_if_caller(py).unwrap_or_else(Owner::thread);
                let count =
                    lock.get().lock.release_all(owner).map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
                Ok(Held::Times(count))
            }
            Self::Foreign(lock) if lock.bind(py).hasattr(intern!(py, "_release_save"))? => {
                Ok(Held::Foreign(Some(lock.call_method0(py, "_release_save")?)))
            }
            Self::Foreign(_) => self.release(py).map(|()| Held::Foreign(None)),
        }
    }

    /// Has it back after a wait, whatever signals say meanwhile; what their handlers raised is returned at the end.
    pub(crate) fn acquire_restore(&self, py: Python<'_>, held: Held) -> PyResult<()> {
        let owner = Owner::thread();
        match (self, held) {
            (Self::Lock(lock), _) => {
                let lock = lock.get();
                if lock.try_acquire(owner) {
                    return Ok(());
                }
                blocking::wait_through(py, &mut lock.waiting(), owner, || lock.subject())
            }
            (Self::RLock(lock), held) => {
                let lock = lock.get();
                let result = if lock.try_acquire(owner) {
                    Ok(())
                } else {
                    blocking::wait_through(py, &mut lock.waiting(), owner, || lock.subject())
                };
                self.restore(&held);
                result
            }
            (Self::Foreign(lock), Held::Foreign(Some(state))) => {
                lock.call_method1(py, "_acquire_restore", (state,)).map(drop)
            }
            (Self::Foreign(lock), _) => lock.call_method0(py, "acquire").map(drop),
        }
    }

    /// Once acquired again: as often as before.
    pub(crate) fn restore(&self, held: &Held) {
        if let (Self::RLock(lock), Held::Times(count)) = (self, held) {
            lock.get().lock.restore(*count);
        }
    }

    /// For a task: goes on acquiring; `None` = queued.
    pub(crate) fn poll_acquire(&self, py: Python<'_>, ticket: &mut Ticket) -> Option<PyResult<()>> {
        match self {
            Self::Lock(lock) => lock.get().waiting().poll(ticket).map(Ok),
            Self::RLock(lock) => lock.get().waiting().poll(ticket).map(Ok),
            Self::Foreign(lock) => Some(lock.call_method0(py, "acquire").map(drop)),
        }
    }

    /// For a task: gives up what [`Guard::poll_acquire`] began.
    pub(crate) fn withdraw_acquire(&self, ticket: &mut Ticket) {
        let _handed_on = match self {
            Self::Lock(lock) => lock.get().waiting().withdraw(ticket, Withdrawal::HandOn),
            Self::RLock(lock) => lock.get().waiting().withdraw(ticket, Withdrawal::HandOn),
            Self::Foreign(_) => None,
        };
    }

    /// The awaitable of `acquire_async`.
    pub(crate) fn acquire_async(&self, py: Python<'_>, patience: Patience) -> PyResult<PyWait> {
        match self {
            Self::Lock(lock) => Ok(acquire_async(lock.clone_ref(py), patience)),
            Self::RLock(lock) => Ok(acquire_async(lock.clone_ref(py), patience)),
            Self::Foreign(lock) => Err(cannot_await(lock.bind(py))),
        }
    }

    /// The awaitable of `__aenter__`.
    pub(crate) fn enter_async(&self, py: Python<'_>) -> PyResult<PyWait> {
        match self {
            Self::Lock(lock) => Ok(enter_async(lock.clone_ref(py))),
            Self::RLock(lock) => Ok(enter_async(lock.clone_ref(py))),
            Self::Foreign(lock) => Err(cannot_await(lock.bind(py))),
        }
    }

    /// As after construction: for a forked child.
    pub(crate) fn reset(&self, py: Python<'_>) -> PyResult<()> {
        match self {
            Self::Lock(lock) => lock.get().lock.reset(),
            Self::RLock(lock) => lock.get().lock.reset(),
            Self::Foreign(lock) => return lock.call_method0(py, "_at_fork_reinit").map(drop),
        }
        Ok(())
    }

    pub(crate) fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        match self {
            Self::Lock(lock) => visit.call(lock),
            Self::RLock(lock) => visit.call(lock),
            Self::Foreign(lock) => visit.call(lock),
        }
    }
}

fn cannot_await(lock: &Bound<'_, PyAny>) -> PyErr {
    match lock.get_type().fully_qualified_name() {
        Ok(name) => PyTypeError::new_err(format!(
            "this Condition was made with a '{name}', which only threads can wait for; make it with a threefold lock"
        )),
        Err(error) => error,
    }
}
