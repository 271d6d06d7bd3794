//! `Semaphore` and `BoundedSemaphore`.

use std::sync::OnceLock;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use threefold_sync::Semaphore;
use threefold_trace::{Owner, Reason};
use threefold_wait::Wait;

use crate::acquire::{Acquirable, acquire, acquire_async, enter_async, install_fast_acquire, leave_async};
use crate::blocking::Subject;
use crate::convert::{Patience, truth, wait_patience};
use crate::python;
use crate::wait::PyWait;

/// A counter of permits: `acquire` takes one, `release` gives some.
///
/// Differs from the standard library: also serves asyncio tasks.
///
/// Source: CPython Lib/threading.py, Semaphore.
#[pyclass(frozen, weakref, dict, subclass, module = "threefold.threading", name = "Semaphore")]
pub(crate) struct PySemaphore {
    /// Set by `__init__`, which a subclass may call with other arguments than it was made with.
    semaphore: OnceLock<Semaphore>,
    is_bounded: bool,
}

impl PySemaphore {
    fn uninitialised(is_bounded: bool) -> Self {
        Self { semaphore: OnceLock::new(), is_bounded }
    }

    #[inline]
    fn semaphore(&self) -> &Semaphore {
        // One that `__init__` was never called for has the default's single permit.
        self.semaphore.get_or_init(|| Semaphore::new(1, self.bound_of(1)))
    }

    fn bound_of(&self, permits: u64) -> u64 {
        if self.is_bounded { permits } else { u64::MAX }
    }
}

impl Acquirable for PySemaphore {
    #[inline]
    fn try_acquire(&self, _owner: Owner) -> bool {
        self.semaphore().try_acquire()
    }

    #[inline]
    fn try_release(&self) -> bool {
        self.semaphore().release(1).is_ok()
    }

    fn waiting(&self) -> impl Wait<Output = ()> {
        self.semaphore().acquire()
    }

    fn subject(&self) -> Subject {
        Subject::unheld(Reason::Semaphore, self)
    }
}

#[pymethods]
impl PySemaphore {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords), text_signature = "(value=1)")]
    fn new(_arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) -> Self {
        Self::uninitialised(false)
    }

    #[pyo3(signature = (value=1))]
    fn __init__(&self, value: i64) -> PyResult<()> {
        let Ok(permits) = u64::try_from(value) else {
            return Err(PyValueError::new_err("semaphore initial value must be >= 0"));
        };
        // A second call changes nothing: others may be waiting already.
        let _already = self.semaphore.set(Semaphore::new(permits, self.bound_of(permits)));
        Ok(())
    }

    /// Takes a permit.
    ///
    /// Args:
    ///     blocking: whether to wait for one.
    ///     timeout: seconds to wait at most; None waits for ever.
    ///
    /// Returns:
    ///     Whether a permit was taken.
    ///
    /// Raises:
    ///     ValueError: a timeout without blocking.
    #[pyo3(signature = (blocking=None, timeout=None), text_signature = "($self, blocking=True, timeout=None)")]
    fn acquire(
        &self,
        py: Python<'_>,
        blocking: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let patience = match (truth(blocking, true)?, timeout) {
            (true, timeout) => wait_patience(timeout)?,
            (false, None) => Patience::None,
            (false, Some(_)) => return Err(PyValueError::new_err("can't specify timeout for non-blocking acquire")),
        };
        acquire(self, py, patience)
    }

    /// Gives permits.
    ///
    /// Args:
    ///     n: how many, at least one.
    ///
    /// Raises:
    ///     ValueError: less than one, or more than a bounded semaphore may have.
    #[pyo3(signature = (n=1))]
    fn release(&self, n: i64) -> PyResult<()> {
        match u64::try_from(n) {
            Ok(count) if count > 0 => {
                self.semaphore().release(count).map_err(|error| PyValueError::new_err(error.to_string()))
            }
            _ => Err(PyValueError::new_err("n must be one or more")),
        }
    }

    /// Takes a permit from a task.
    ///
    /// Args:
    ///     timeout: seconds to wait at most; None waits for ever.
    ///
    /// Returns:
    ///     An awaitable of whether a permit was taken.
    #[pyo3(signature = (timeout=None))]
    fn acquire_async(this: Py<Self>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<PyWait> {
        Ok(acquire_async(this, wait_patience(timeout)?))
    }

    #[getter]
    fn _value(&self) -> u64 {
        self.semaphore().permits()
    }

    #[getter]
    fn _initial_value(&self) -> PyResult<u64> {
        let bound = self.semaphore().bound();
        if self.is_bounded {
            Ok(bound)
        } else {
            Err(pyo3::exceptions::PyAttributeError::new_err("'Semaphore' object has no attribute '_initial_value'"))
        }
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
        self.release(1)
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
        leave_async(move |_py| this.get().release(1))
    }

    fn __reduce__(this: &Bound<'_, Self>) -> PyResult<()> {
        // The standard library's holds a lock, and refuses in its name.
        Err(crate::lock::cannot_pickle(this.as_any()))
    }

    fn __repr__(this: &Bound<'_, Self>) -> PyResult<String> {
        let semaphore = this.get().semaphore();
        let bound = if this.get().is_bounded { format!("/{}", semaphore.bound()) } else { String::new() };
        let (name, address) = (python::class_name(this.as_any())?, this.as_ptr().addr());
        Ok(format!("<{name} at {address:#x}: value={}{bound}>", semaphore.permits()))
    }
}

/// A semaphore that refuses to be released more often than it was acquired.
///
/// Source: CPython Lib/threading.py, BoundedSemaphore.
#[pyclass(frozen, extends = PySemaphore, subclass, module = "threefold.threading", name = "BoundedSemaphore")]
pub(crate) struct PyBoundedSemaphore;

#[pymethods]
impl PyBoundedSemaphore {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords), text_signature = "(value=1)")]
    fn new(_arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(PySemaphore::uninitialised(true)).add_subclass(Self)
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PySemaphore>()?;
    module.add_class::<PyBoundedSemaphore>()?;
    install_fast_acquire!(module.py(), PySemaphore);
    Ok(())
}
