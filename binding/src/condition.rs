//! `Condition`.

use std::sync::OnceLock;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use threefold_sync::Condition;
use threefold_trace::{Owner, Reason};
use threefold_wait::{Ticket, Wait};

use crate::acquire::leave_async;
use crate::blocking::{self, Subject};
use crate::condition_wait::WaitOnCondition;
use crate::convert::{Constructed, Patience, wait_patience};
use crate::ffi::{self, Fast, fast_method};
use crate::guard::Guard;
use crate::kept::intern;
use crate::lock::cannot_pickle;
use crate::python;
use crate::wait::PyWait;

/// A lock and a place to wait for a change of what the lock protects.
///
/// Differs from the standard library: also serves asyncio tasks, when its lock is one of threefold's; after
/// KeyboardInterrupt in `wait` the lock is always held again, as `with` expects.
///
/// Source: CPython Lib/threading.py, Condition.
#[pyclass(frozen, weakref, dict, subclass, module = "threefold.threading", name = "Condition")]
pub(crate) struct PyCondition {
    condition: Condition,
    guard: OnceLock<Guard>,
    constructed: Constructed,
}

impl PyCondition {
    pub(crate) fn guard(&self, py: Python<'_>) -> PyResult<&Guard> {
        if let Some(guard) = self.guard.get() {
            return Ok(guard);
        }
        let guard = Guard::new(py, None)?;
        Ok(self.guard.get_or_init(|| guard))
    }

    pub(crate) fn condition(&self) -> &Condition {
        &self.condition
    }

    pub(crate) fn check_owned(&self, py: Python<'_>, verb: &str) -> PyResult<&Guard> {
        let guard = self.guard(py)?;
        if guard.is_owned(py)? {
            Ok(guard)
        } else {
            Err(PyRuntimeError::new_err(format!("cannot {verb} on un-acquired lock")))
        }
    }

    /// A method of the lock, or the plain one that does for a lock without it.
    fn lock_method<'py>(&self, py: Python<'py>, name: &str, plain: &str) -> PyResult<Bound<'py, PyAny>> {
        let lock = self.guard(py)?.object(py);
        if lock.hasattr(name)? { lock.getattr(name) } else { lock.getattr(plain) }
    }

    fn wait_with(&self, py: Python<'_>, patience: Patience) -> PyResult<bool> {
        let guard = self.check_owned(py, "wait")?;
        let mut ticket = Ticket::thread(Owner::thread());
        let mut notified = self.condition.wait();
        // Queued before the lock is released: whoever takes the lock next finds us in the queue.
        let is_notified = notified.poll(&mut ticket).is_some();
        let held = match guard.release_save(py) {
            Ok(held) => held,
            Err(error) => {
                let _never_granted = notified.withdraw(&mut ticket, threefold_wait::Withdrawal::HandOn);
                return Err(error);
            }
        };
        let subject = || Subject::unheld(Reason::Condition, self);
        let result = if is_notified {
            Ok(Some(()))
        } else {
            blocking::wait_with(py, &mut notified, &mut ticket, patience, subject)
        };
        let restored = guard.acquire_restore(py, held);
        let is_notified = result?.is_some();
        restored.map(|()| is_notified)
    }
}

#[pymethods]
impl PyCondition {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords), text_signature = "(lock=None)")]
    fn new(_arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) -> Self {
        Self { condition: Condition::new(), guard: OnceLock::new(), constructed: Constructed::YES }
    }

    #[pyo3(signature = (lock=None))]
    fn __init__(&self, py: Python<'_>, lock: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        // A second call changes nothing: others may be waiting already.
        let _already = self.guard.set(Guard::new(py, lock)?);
        Ok(())
    }

    /// Takes the lock: `acquire` of the lock that the condition was made with.
    #[pyo3(signature = (*arguments, **keywords))]
    fn acquire(
        &self,
        py: Python<'_>,
        arguments: &Bound<'_, PyTuple>,
        keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        self.guard(py)?.acquire(py, arguments, keywords)
    }

    /// Releases the lock: `release` of the lock that the condition was made with.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        self.guard(py)?.release(py)
    }

    /// Whether somebody holds the lock.
    fn locked(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.guard(py)?.object(py).call_method0(intern!(py, "locked"))?.unbind())
    }

    /// Takes the lock from a task.
    ///
    /// Args:
    ///     timeout: seconds to wait at most; None waits for ever.
    ///
    /// Returns:
    ///     An awaitable of whether the lock was taken.
    #[pyo3(signature = (timeout=None))]
    fn acquire_async(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<PyWait> {
        self.guard(py)?.acquire_async(py, wait_patience(timeout)?)
    }

    /// Releases the lock, waits to be notified, and takes the lock again.
    ///
    /// Args:
    ///     timeout: seconds to wait at most for the notification; None waits for ever.
    ///
    /// Returns:
    ///     Whether it was notified; False when the time was up.
    ///
    /// Raises:
    ///     RuntimeError: the caller does not hold the lock.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        self.wait_with(py, wait_patience(timeout)?)
    }

    /// Waits until a predicate is true; looks at it at each notification.
    ///
    /// Args:
    ///     predicate: a callable; its result is taken as a truth value.
    ///     timeout: seconds to wait at most; None waits for ever.
    ///
    /// Returns:
    ///     What the predicate returned last.
    ///
    /// Raises:
    ///     RuntimeError: the caller does not hold the lock.
    #[pyo3(signature = (predicate, timeout=None))]
    fn wait_for<'py>(
        this: &Bound<'py, Self>,
        predicate: &Bound<'py, PyAny>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let patience = wait_patience(timeout)?;
        loop {
            let result = predicate.call0()?;
            if result.is_truthy()? || patience.is_over() {
                return Ok(result);
            }
            // By name, since a subclass may have a `wait` of its own.
            this.call_method1(intern!(this.py(), "wait"), (patience.seconds_left(),))?;
        }
    }

    /// As `wait`, in a task that holds the lock.
    ///
    /// Args:
    ///     timeout: seconds to wait at most for the notification; None waits for ever.
    ///
    /// Returns:
    ///     An awaitable of whether it was notified. A task that is cancelled meanwhile has the lock again when it hears
    ///     of it, as `async with` expects.
    #[pyo3(signature = (timeout=None))]
    fn wait_async(this: Py<Self>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<PyWait> {
        Ok(PyWait::new(WaitOnCondition::new(this), wait_patience(timeout)?))
    }

    /// As `wait_for`, in a task that holds the lock.
    ///
    /// Args:
    ///     predicate: a callable; its result is taken as a truth value.
    ///     timeout: seconds to wait at most; None waits for ever.
    ///
    /// Returns:
    ///     An awaitable of what the predicate returned last.
    #[pyo3(signature = (predicate, timeout=None))]
    fn wait_for_async<'py>(
        this: &Bound<'py, Self>,
        predicate: &Bound<'py, PyAny>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        python::condition_wait_for(this.py())?.call1((this, predicate, timeout))
    }

    /// Notifies waiters, first come first served.
    ///
    /// Args:
    ///     n: how many at most.
    ///
    /// Raises:
    ///     RuntimeError: the caller does not hold the lock.
    #[pyo3(signature = (n=1))]
    fn notify(&self, py: Python<'_>, n: i64) -> PyResult<()> {
        self.check_owned(py, "notify")?;
        self.condition.notify(usize::try_from(n).unwrap_or(0));
        Ok(())
    }

    /// Notifies all waiters.
    ///
    /// Raises:
    ///     RuntimeError: the caller does not hold the lock.
    fn notify_all(&self, py: Python<'_>) -> PyResult<()> {
        self.check_owned(py, "notify")?;
        self.condition.notify(usize::MAX);
        Ok(())
    }

    /// The old spelling of `notify_all`.
    #[pyo3(name = "notifyAll")]
    fn notify_all_old(&self, py: Python<'_>) -> PyResult<()> {
        python::warn_deprecated(py, c"notifyAll() is deprecated, use notify_all() instead")?;
        self.notify_all(py)
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.guard(py)?.enter(py)
    }

    #[pyo3(signature = (_kind=None, _value=None, _traceback=None, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: Option<&Bound<'_, PyAny>>,
        _value: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.guard(py)?.release(py)
    }

    fn __aenter__(&self, py: Python<'_>) -> PyResult<PyWait> {
        self.guard(py)?.enter_async(py)
    }

    #[pyo3(signature = (_kind=None, _value=None, _traceback=None, /))]
    fn __aexit__(
        this: Py<Self>,
        _kind: Option<&Bound<'_, PyAny>>,
        _value: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyWait {
        leave_async(move |py| this.get().release(py))
    }

    #[getter]
    fn _lock<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.guard(py)?.object(py))
    }

    fn _is_owned(&self, py: Python<'_>) -> PyResult<bool> {
        self.guard(py)?.is_owned(py)
    }

    fn _release_save<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.lock_method(py, "_release_save", "release")?.call0()
    }

    fn _acquire_restore<'py>(&self, state: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = state.py();
        let restore = self.lock_method(py, "_acquire_restore", "acquire")?;
        if self.guard(py)?.object(py).hasattr(intern!(py, "_acquire_restore"))? {
            restore.call1((state,))
        } else {
            restore.call0()
        }
    }

    fn _at_fork_reinit(&self, py: Python<'_>) -> PyResult<()> {
        self.condition.reset();
        self.guard(py)?.reset(py)
    }

    fn __reduce__(this: &Bound<'_, Self>) -> PyResult<()> {
        Err(cannot_pickle(this.as_any()))
    }

    fn __repr__(this: &Bound<'_, Self>) -> PyResult<String> {
        let lock = this.get().guard(this.py())?.object(this.py());
        Ok(format!("<Condition({}, {})>", lock.repr()?, this.get().condition.waiter_count()))
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        if !self.constructed.is_true() {
            return Ok(());
        }
        self.guard.get().map_or(Ok(()), |guard| guard.traverse(&visit))
    }
}

fast_method!(FastEnter, PyCondition, c"__enter__", |this, arguments| {
    if arguments.is_empty() && this.guard.get().is_some_and(Guard::try_enter) { Fast::Bool(true) } else { Fast::Slow }
});

fast_method!(FastExit, PyCondition, c"__exit__", |this, _arguments| {
    if this.guard.get().is_some_and(Guard::try_release) { Fast::Nothing } else { Fast::Slow }
});

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyCondition>()?;
    let py = module.py();
    ffi::install::<FastEnter>(py)?;
    ffi::install::<FastExit>(py)
}
