//! `Lock`, `RLock`, `Semaphore` and `BoundedSemaphore` of `threefold.multiprocessing`: what they have in common.

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use threefold_trace::{Owner, Reason};

use super::driver::PythonDriver;
use super::inheritance::Inheritance;
use super::lock::{AnyLock, Kind, MOST_LENT};
use super::lock_task;
use super::place::{Place, address_of};
use super::timeout::{deadline, patience};
use crate::acquire::leave_async;
use crate::blocking::Subject;
use crate::convert::truth;
use crate::ffi::{self, Fast, Singleton, fast_method};
use crate::wait::PyWait;

/// A lock or semaphore that processes share.
///
/// A process that dies gives back a Lock, an RLock and the permits of a BoundedSemaphore that it had.
#[pyclass(frozen, weakref, subclass, module = "threefold._threefold")]
pub(crate) struct SemLock {
    place: Place<Inheritance>,
}

impl SemLock {
    #[inline]
    pub(super) fn lock(&self) -> PyResult<&AnyLock> {
        self.place.get().map(Inheritance::lock)
    }

    /// The lock, with what its next owner gets when this one dies.
    #[inline]
    pub(super) fn inheritance(&self) -> PyResult<&Inheritance> {
        self.place.get()
    }

    /// What the wait table says of a wait for it.
    pub(super) fn subject(&self) -> Subject {
        let object = std::ptr::from_ref(self).addr();
        let (reason, holder) =
            self.try_get().map_or((Reason::Lock, Owner::NOBODY), |lock| (lock.reason(), lock.owner()));
        Subject { reason, object, row: None, holder }
    }

    #[inline]
    fn try_get(&self) -> Option<&AnyLock> {
        self.place.try_get().map(Inheritance::lock)
    }

    #[inline]
    fn take_if_free(&self) -> bool {
        self.try_get().is_some_and(AnyLock::take_if_free)
    }

    #[inline]
    fn try_release(&self) -> bool {
        self.try_get().is_some_and(AnyLock::try_release)
    }
}

#[pymethods]
impl SemLock {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords), text_signature = "()")]
    fn new(_arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) -> Self {
        Self { place: Place::empty() }
    }

    #[pyo3(signature = (*_arguments, **_keywords))]
    #[allow(clippy::unused_self, reason = "CPython calls it on the new object")]
    fn __init__(&self, _arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) {}

    /// Makes it: a "Lock", "RLock", "Semaphore" or "BoundedSemaphore" with `value` of at most `bound` permits; `raises`
    /// says whether who comes after a dead owner gets an `OwnerDied` instead.
    fn _make(&self, name: &str, value: i32, bound: i32, raises: bool) -> PyResult<()> {
        let (Ok(permits), Ok(bound)) = (u64::try_from(value), u64::try_from(bound)) else {
            return Err(PyOSError::new_err((22, "Invalid argument")));
        };
        let kind = Kind::of_name(name, bound)?;
        if raises && !kind.knows_its_owners() {
            return Err(PyValueError::new_err(format!(
                "owner_died=\"raise\" needs to know who has a permit, and this {name} only counts them: take a \
                 BoundedSemaphore of at most {MOST_LENT}"
            )));
        }
        self.place.make(AnyLock::bytes(kind, bound), |home| {
            Ok(Inheritance::new(AnyLock::create(kind, home, permits, bound)?, raises))
        })
    }

    /// What `_find` needs in another process: a descriptor, the length of the memory, the kind, and whether it raises.
    fn _address(&self) -> PyResult<(i32, usize, u8, bool)> {
        let (lock, raises) = (self.lock()?, self.inheritance()?.raises());
        let (descriptor, len_bytes) = address_of(lock.home());
        Ok((descriptor, len_bytes, lock.kind().number(), raises))
    }

    /// Finds what another process made.
    fn _find(&self, descriptor: i32, len_bytes: usize, kind: u8, raises: bool) -> PyResult<()> {
        let kind = Kind::of_number(kind)?;
        self.place.find(descriptor, len_bytes, |home| Ok(Inheritance::new(AnyLock::attach(kind, home)?, raises)))
    }

    /// Takes it.
    ///
    /// Args:
    ///     block: whether to wait for it.
    ///     timeout: seconds to wait at most; None waits for ever.
    ///
    /// Returns:
    ///     Whether it was had.
    ///
    /// Raises:
    ///     OwnerDied: a process died with it, and it was made with `owner_died="raise"`; it is free now.
    #[pyo3(signature = (block=None, timeout=None), text_signature = "($self, block=True, timeout=None)")]
    fn acquire(
        &self,
        py: Python<'_>,
        block: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let deadline = deadline(timeout)?;
        let lock = self.inheritance()?;
        if lock.try_acquire(py)? {
            return Ok(true);
        }
        Ok(truth(block, true)? && lock.acquire(py, deadline, &mut PythonDriver::new(py, self, deadline))?)
    }

    /// Gives it back.
    ///
    /// Raises:
    ///     AssertionError: an RLock that the calling thread does not have.
    ///     ValueError: there is nothing to give back.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        self.lock()?.release(py)
    }

    /// Takes it from a task.
    ///
    /// Args:
    ///     timeout: seconds to wait at most; None waits for ever.
    ///
    /// Returns:
    ///     An awaitable of whether it was had; it raises what `acquire` raises.
    #[pyo3(signature = (timeout=None))]
    fn acquire_async(this: Py<Self>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<PyWait> {
        Ok(lock_task::acquire(this, patience(timeout)?))
    }

    fn __aenter__(this: Py<Self>) -> PyWait {
        lock_task::enter(this)
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

    /// Whether there is nothing to be had without waiting.
    fn locked(&self) -> PyResult<bool> {
        Ok(self.lock()?.permits() == 0)
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        let lock = self.inheritance()?;
        Ok(lock.try_acquire(py)? || lock.acquire(py, None, &mut PythonDriver::new(py, self, None))?)
    }

    #[pyo3(signature = (_kind=None, _value=None, _traceback=None, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: Option<&Bound<'_, PyAny>>,
        _value: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.release(py)
    }

    /// The object itself: where the standard library's classes keep theirs, which its other modules look at.
    #[getter(_semlock)]
    fn itself(this: Py<Self>) -> Py<Self> {
        this
    }

    #[getter]
    fn maxvalue(&self) -> PyResult<u64> {
        Ok(self.lock()?.bound())
    }

    fn _get_value(&self) -> PyResult<u64> {
        Ok(self.lock()?.permits())
    }

    fn _is_zero(&self) -> PyResult<bool> {
        self.locked()
    }

    fn _is_mine(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.lock()?.is_callers(py))
    }

    fn _count(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.lock()?.count(py))
    }
}

fast_method!(FastAcquire, SemLock, c"acquire", |this, arguments| {
    let is_usual = arguments.is_empty() || arguments.is_only(Singleton::True);
    if is_usual && this.take_if_free() { Fast::Bool(true) } else { Fast::Slow }
});
fast_method!(FastEnter, SemLock, c"__enter__", |this, arguments| {
    if arguments.is_empty() && this.take_if_free() { Fast::Bool(true) } else { Fast::Slow }
});
fast_method!(FastRelease, SemLock, c"release", |this, arguments| {
    if arguments.is_empty() && this.try_release() { Fast::Nothing } else { Fast::Slow }
});
fast_method!(FastExit, SemLock, c"__exit__", |this, _arguments| {
    if this.try_release() { Fast::Nothing } else { Fast::Slow }
});

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<SemLock>()?;
    let py = module.py();
    ffi::install::<FastAcquire>(py)?;
    ffi::install::<FastEnter>(py)?;
    ffi::install::<FastRelease>(py)?;
    ffi::install::<FastExit>(py)
}
