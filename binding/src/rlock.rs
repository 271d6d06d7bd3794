//! `RLock`.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use threefold_sync::RLock;
use threefold_trace::{Owner, Reason};
use threefold_wait::Wait;

use crate::acquire::{Acquirable, acquire, acquire_async, enter_async, install_fast_acquire, leave_async};
use crate::blocking::Subject;
use crate::convert::{Argument, Patience, lock_patience, truth, wait_patience};
use crate::lock::{cannot_pickle, owner_in_words};
use crate::python;
use crate::wait::{self, PyWait};

/// A lock that its owner, a thread or a task, may take again; it is free after as many releases.
///
/// Differs from the standard library: also serves asyncio tasks, each of which is an owner of its own.
///
/// Source: CPython threading.RLock.
#[pyclass(frozen, weakref, subclass, module = "threefold.threading", name = "RLock")]
pub(crate) struct PyRLock {
    pub(crate) lock: RLock,
}

impl PyRLock {
    pub(crate) fn create() -> Self {
        Self { lock: RLock::new() }
    }

    /// The owner, if that is the calling thread or the task that it runs.
    pub(crate) fn owner_if_caller(&self, py: Python<'_>) -> Option<Owner> {
        let owner = self.lock.owner();
        (!owner.is_nobody() && wait::is_caller(py, owner)).then_some(owner)
    }

    pub(crate) fn release_by_caller(&self, py: Python<'_>) -> PyResult<()> {
        let owner = self.owner_if_caller(py).unwrap_or_else(Owner::thread);
        self.lock.release(owner).map_err(|error| PyRuntimeError::new_err(error.to_string()))
    }
}

/// Arguments never had a meaning; Python 3.15 is the first to refuse them, in the words of a Python function.
#[cfg(Py_3_15)]
fn refuse_arguments(arguments: &Bound<'_, PyTuple>, keywords: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
    let keyword = keywords.and_then(|keywords| keywords.keys().into_iter().next());
    let fault = match (keyword, arguments.len()) {
        (Some(keyword), _) => format!("got an unexpected keyword argument '{keyword}'"),
        (None, 1) => "takes 0 positional arguments but 1 was given".to_owned(),
        (None, count) => format!("takes 0 positional arguments but {count} were given"),
    };
    Err(pyo3::exceptions::PyTypeError::new_err(format!("RLock() {fault}")))
}

/// Arguments never had a meaning; Python 3.15 is the first to refuse them.
#[cfg(not(Py_3_13))]
#[allow(clippy::unnecessary_wraps, reason = "later versions of Python have an error here")]
fn refuse_arguments(_arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
    Ok(())
}

/// Arguments never had a meaning; Python 3.15 is the first to refuse them.
#[cfg(all(Py_3_13, not(Py_3_15)))]
fn refuse_arguments(arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
    python::warn_deprecated(arguments.py(), c"Passing arguments to RLock is deprecated and will be removed in 3.15")
}

impl Acquirable for PyRLock {
    #[inline]
    fn try_acquire(&self, owner: Owner) -> bool {
        self.lock.try_acquire(owner)
    }

    #[inline]
    fn try_release(&self) -> bool {
        self.lock.release(Owner::thread()).is_ok()
    }

    fn owner_for(&self, py: Python<'_>) -> Owner {
        self.owner_if_caller(py).unwrap_or_else(Owner::thread)
    }

    fn waiting(&self) -> impl Wait<Output = ()> {
        self.lock.acquire()
    }

    fn subject(&self) -> Subject {
        let object = std::ptr::from_ref(self).addr();
        Subject { reason: Reason::RLock, object, row: self.lock.row(), holder: self.lock.owner() }
    }
}

#[pymethods]
impl PyRLock {
    #[new]
    #[classmethod]
    #[pyo3(signature = (*arguments, **keywords), text_signature = "()")]
    fn new(
        class: &Bound<'_, PyType>,
        arguments: &Bound<'_, PyTuple>,
        keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        // A subclass may have an `__init__` with arguments of its own.
        let is_given_any = !arguments.is_empty() || keywords.is_some_and(|keywords| !keywords.is_empty());
        if is_given_any && class.is(class.py().get_type::<Self>()) {
            refuse_arguments(arguments, keywords)?;
        }
        Ok(Self::create())
    }

    /// Takes the lock; at once if the caller has it already.
    ///
    /// Args:
    ///     blocking: whether to wait for it.
    ///     timeout: seconds to wait at most; -1 waits for ever.
    ///
    /// Returns:
    ///     Whether the lock was taken.
    ///
    /// Raises:
    ///     ValueError: a negative timeout other than -1, or a timeout without blocking.
    ///     OverflowError: a timeout above threading.TIMEOUT_MAX.
    #[pyo3(signature = (blocking=None, timeout=Argument::Missing), text_signature = "($self, blocking=True, timeout=-1)")]
    fn acquire(&self, py: Python<'_>, blocking: Option<&Bound<'_, PyAny>>, timeout: Argument<'_>) -> PyResult<bool> {
        acquire(self, py, lock_patience(truth(blocking, true)?, timeout)?)
    }

    /// Undoes one acquisition.
    ///
    /// Raises:
    ///     RuntimeError: the caller does not hold the lock.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        self.release_by_caller(py)
    }

    /// Whether somebody holds the lock.
    fn locked(&self) -> bool {
        !self.lock.owner().is_nobody()
    }

    /// Takes the lock from a task; at once if the task has it already.
    ///
    /// Args:
    ///     timeout: seconds to wait at most; None waits for ever.
    ///
    /// Returns:
    ///     An awaitable of whether the lock was taken.
    #[pyo3(signature = (timeout=None))]
    fn acquire_async(this: Py<Self>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<PyWait> {
        Ok(acquire_async(this, wait_patience(timeout)?))
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        acquire(self, py, Patience::Endless)
    }

    #[pyo3(signature = (_kind=None, _value=None, _traceback=None, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: Option<&Bound<'_, PyAny>>,
        _value: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.release_by_caller(py)
    }

    fn __aenter__(this: Py<Self>) -> PyWait {
        enter_async(this)
    }

    #[pyo3(signature = (_kind=None, _value=None, _traceback=None, /))]
    fn __aexit__(
        this: Py<Self>,
        _kind: Option<&Bound<'_, PyAny>>,
        _value: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyWait {
        leave_async(move |py| this.get().release_by_caller(py))
    }

    fn _at_fork_reinit(&self) {
        self.lock.reset();
    }

    fn _is_owned(&self, py: Python<'_>) -> bool {
        self.owner_if_caller(py).is_some()
    }

    fn _recursion_count(&self, py: Python<'_>) -> u64 {
        self.owner_if_caller(py).map_or(0, |owner| self.lock.count(owner))
    }

    /// Releases all acquisitions at once; returns what `_acquire_restore` needs.
    fn _release_save(&self, py: Python<'_>) -> PyResult<(u64, u64)> {
        let owner = self.owner_if_caller(py).unwrap_or_else(Owner::thread);
        let count = self.lock.release_all(owner).map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        Ok((count, owner.0))
    }

    fn _acquire_restore(&self, py: Python<'_>, state: (u64, u64)) -> PyResult<()> {
        acquire(self, py, Patience::Endless)?;
        self.lock.restore(state.0);
        Ok(())
    }

    fn __reduce__(this: &Bound<'_, Self>) -> PyResult<()> {
        Err(cannot_pickle(this.as_any()))
    }

    fn __repr__(this: &Bound<'_, Self>) -> PyResult<String> {
        let lock = &this.get().lock;
        let owner = lock.owner();
        let state = if owner.is_nobody() { "unlocked" } else { "locked" };
        let words = if owner.is_nobody() { "0".to_owned() } else { owner_in_words(this.py(), owner) };
        let (name, count, address) = (python::class_name(this.as_any())?, lock.total_count(), this.as_ptr().addr());
        Ok(format!("<{state} {name} object owner={words} count={count} at {address:#x}>"))
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyRLock>()?;
    install_fast_acquire!(module.py(), PyRLock);
    Ok(())
}
