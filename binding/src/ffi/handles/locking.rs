//! The lock of a handle that several threads may use: whoever cancels it from another thread waits until its callback has
//! ended.
//!
//! A handle that nobody else holds when it is run can't be cancelled meanwhile, so that most never get a lock.

use pyo3::exceptions::PyAttributeError;
use pyo3::ffi;
use pyo3::prelude::*;

use super::{CLASSES, Classes, slot};

/// Whether somebody besides the caller has the handle, or may come by it.
///
/// # Safety
/// Attached; `handle` is of the class for other threads, and the caller holds it.
#[inline]
pub(super) unsafe fn is_held_elsewhere(classes: &Classes, handle: *mut ffi::PyObject) -> bool {
    let weak = classes.weak_references_of_threadsafe;
    // SAFETY: the caller's; the offset is that of its class.
    unsafe {
        ffi::Py_REFCNT(handle) > 1 || weak == 0 || !(*handle.byte_offset(weak).cast::<*mut ffi::PyObject>()).is_null()
    }
}

/// The handle's lock, made when it is asked for first.
///
/// # Errors
/// There is no memory.
///
/// # Safety
/// `handle` is of the class for other threads, which has a slot for it.
pub(super) unsafe fn lock_of<'py>(classes: &Classes, handle: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = handle.py();
    // SAFETY: attached; the slot holds a reference or null.
    unsafe {
        let place = slot(handle.as_ptr(), classes.slots.lock);
        if (*place).is_null() {
            let lock = classes.new_lock.bind(py).call0()?;
            // Another thread may have been here meanwhile.
            if (*place).is_null() {
                *place = lock.into_ptr();
            }
        }
        Ok(Bound::from_borrowed_ptr(py, *place))
    }
}

/// The lock of one of our handles of `call_soon_threadsafe`.
///
/// Args:
///     handle: a handle of the class that was installed.
#[pyfunction]
pub(crate) fn lock_of_handle(handle: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    let classes = CLASSES.get().filter(|classes| classes.slots.lock != 0);
    let Some(classes) = classes else { return Err(PyAttributeError::new_err("_lock")) };
    if !handle.is_instance(classes.threadsafe.bind(handle.py()))? {
        return Err(PyAttributeError::new_err("_lock"));
    }
    // SAFETY: its class, or one of its bases, was looked at.
    unsafe { lock_of(classes, handle) }.map(Bound::unbind)
}
