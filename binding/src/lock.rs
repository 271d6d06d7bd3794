//! `Lock`.

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use threefold_sync::Lock;
use threefold_trace::{Owner, Reason};
use threefold_wait::Wait;

use crate::acquire::{Acquirable, acquire, acquire_async, enter_async, install_fast_acquire, leave_async};
use crate::blocking::Subject;
use crate::convert::{Argument, Patience, lock_patience, truth, wait_patience};
use crate::ffi::{self, Fast, fast_method};
use crate::wait::PyWait;
use crate::{names, python};

/// Mutual exclusion between threads and tasks; any of them may release it.
///
/// Differs from the standard library: also serves asyncio tasks (`async with lock`, `await lock.acquire_async()`); in a
/// forked child a lock whose holder stayed behind in the parent is free.
///
/// Source: CPython threading.Lock.
#[pyclass(frozen, weakref, module = "threefold.threading", name = "Lock")]
pub(crate) struct PyLock {
    pub(crate) lock: Lock,
}

impl Acquirable for PyLock {
    #[inline]
    fn try_acquire(&self, owner: Owner) -> bool {
        self.lock.try_acquire(owner)
    }

    #[inline]
    fn try_release(&self) -> bool {
        self.lock.release().is_ok()
    }

    fn waiting(&self) -> impl Wait<Output = ()> {
        self.lock.acquire()
    }

    fn subject(&self) -> Subject {
        let object = std::ptr::from_ref(self).addr();
        Subject { reason: Reason::Lock, object, row: self.lock.row(), holder: self.lock.owner() }
    }
}

#[pymethods]
impl PyLock {
    #[new]
    fn new() -> Self {
        Self { lock: Lock::new() }
    }

    /// Takes the lock.
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

    /// Frees the lock, whoever holds it.
    ///
    /// Raises:
    ///     RuntimeError: nobody holds it.
    fn release(&self) -> PyResult<()> {
        self.lock.release().map_err(|error| PyRuntimeError::new_err(error.to_string()))
    }

    /// Whether somebody holds the lock.
    fn locked(&self) -> bool {
        !self.lock.owner().is_nobody()
    }

    /// Takes the lock from a task.
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
        _kind: Option<&Bound<'_, PyAny>>,
        _value: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.release()
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
        leave_async(move |_py| this.get().release())
    }

    fn _at_fork_reinit(&self) {
        self.lock.reset();
    }

    fn __reduce__(this: &Bound<'_, Self>) -> PyResult<()> {
        Err(cannot_pickle(this.as_any()))
    }

    fn __repr__(this: &Bound<'_, Self>) -> PyResult<String> {
        let owner = this.get().lock.owner();
        let state = if owner.is_nobody() { "unlocked" } else { "locked" };
        let holder =
            if owner.is_nobody() { String::new() } else { format!("owner={} ", owner_in_words(this.py(), owner)) };
        let name = python::class_name(this.as_any())?;
        Ok(format!("<{state} {name} object {holder}at {:#x}>", this.as_ptr().addr()))
    }
}

/// The error of every object that cannot leave its process.
pub(crate) fn cannot_pickle(object: &Bound<'_, PyAny>) -> PyErr {
    match object.get_type().fully_qualified_name() {
        Ok(name) => PyTypeError::new_err(format!("cannot pickle '{name}' object")),
        Err(error) => error,
    }
}

/// An owner for a `repr`: the thread's name, or its number if it has none.
pub(crate) fn owner_in_words(py: Python<'_>, owner: Owner) -> String {
    let identifier = threefold_sys::slot::identifier(owner.slot());
    let thread = names::name_of(py, identifier).map_or_else(|| identifier.to_string(), |name| format!("'{name}'"));
    match owner.task_address() {
        0 => thread,
        address => format!("task {address:#x} of {thread}"),
    }
}

fast_method!(FastLocked, PyLock, c"locked", |this, arguments| {
    if arguments.is_empty() { Fast::Bool(!this.lock.owner().is_nobody()) } else { Fast::Slow }
});

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyLock>()?;
    let py = module.py();
    install_fast_acquire!(py, PyLock);
    ffi::install::<FastLocked>(py)?;
    // The spellings of the standard library's first lock.
    let class = py.get_type::<PyLock>();
    for (alias, name) in [("acquire_lock", "acquire"), ("release_lock", "release"), ("locked_lock", "locked")] {
        class.setattr(alias, class.getattr(name)?)?;
    }
    Ok(())
}
