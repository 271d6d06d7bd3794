//! Contexts (`contextvars`): copied, and entered around a piece of work.

use pyo3::ffi;
use pyo3::prelude::*;

/// A copy of the context in which this thread runs.
///
/// # Errors
/// There is no memory.
pub(crate) fn copy_current(py: Python<'_>) -> PyResult<Py<PyAny>> {
    // SAFETY: attached; a new reference, or null with an exception.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_CopyCurrent()) }.map(Bound::unbind)
}

/// Works inside a context.
///
/// # Errors
/// The context is entered already; otherwise what the work's are.
pub(crate) fn run_in<T>(context: &Bound<'_, PyAny>, work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    // SAFETY: attached; anything that is no context is refused with an exception.
    if unsafe { ffi::PyContext_Enter(context.as_ptr()) } != 0 {
        return Err(PyErr::fetch(context.py()));
    }
    let outcome = work();
    // SAFETY: as above, and it was entered by this thread. No exception is set: the work's stands in `outcome`.
    if unsafe { ffi::PyContext_Exit(context.as_ptr()) } != 0 {
        return Err(PyErr::fetch(context.py()));
    }
    outcome
}
