//! Cancels handles, which the garbage collector sees from then on.

use pyo3::ffi;
use pyo3::prelude::*;

use super::running::is_ours;
use super::{CANCEL, CANCEL_TIMER, CLASSES, Scheduler, complete, scheduler, slot};

/// Whether this is one of our handles, and cancelled.
pub(crate) fn is_cancelled(handle: &Py<PyAny>) -> bool {
    let Some(classes) = CLASSES.get() else { return false };
    let handle = handle.as_ptr();
    // SAFETY: the handle is alive; its class is looked at before its slots are, and the comparison needs no interpreter.
    unsafe { is_ours(classes, handle) && *slot(handle, classes.slots.cancelled) == ffi::Py_True() }
}

pub(super) unsafe extern "C" fn cancel<S: Scheduler>(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keyword_names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls methods attached, with an instance of the descriptor's class, alive during the call.
    unsafe { cancel_handle::<S>(CANCEL, this, arguments, count, keyword_names) }
}

pub(super) unsafe extern "C" fn cancel_timer<S: Scheduler>(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keyword_names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as above.
    unsafe { cancel_handle::<S>(CANCEL_TIMER, this, arguments, count, keyword_names) }
}

/// # Safety
/// As CPython calls a `METH_FASTCALL | METH_KEYWORDS` method of a handle.
unsafe fn cancel_handle<S: Scheduler>(
    method: usize,
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keyword_names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's; the slots hold valid references or null.
    unsafe {
        let Some(classes) = CLASSES.get() else { return std::ptr::null_mut() };
        let slots = &classes.slots;
        let event_loop = *slot(this, slots.event_loop);
        let py = Python::assume_attached();
        let is_ours = !event_loop.is_null()
            && ffi::PyObject_TypeCheck(event_loop, py.get_type::<S>().as_type_ptr()) != 0
            && count == 0
            && keyword_names.is_null();
        if !is_ours || !scheduler::<S>(event_loop).is_plain() {
            return complete(method, this, arguments, count, keyword_names);
        }
        if *slot(this, slots.cancelled) != ffi::Py_True() {
            set(slot(this, slots.cancelled), ffi::Py_True());
            if method == CANCEL_TIMER {
                scheduler::<S>(event_loop).note_cancelled();
            }
            show_to_collector(this);
            // Last: what they drop may run any code.
            set(slot(this, slots.callback), ffi::Py_None());
            set(slot(this, slots.args), ffi::Py_None());
        }
        ffi::Py_NewRef(ffi::Py_None())
    }
}

/// From now on a handle may be a part of garbage, if somebody else than the caller holds it.
///
/// # Safety
/// Attached; `handle` is one of ours, and the caller holds it.
#[inline]
pub(super) unsafe fn show_to_collector(handle: *mut ffi::PyObject) {
    // SAFETY: the caller's; all slots are filled, and it is not tracked twice.
    unsafe {
        if ffi::Py_REFCNT(handle) > 1 && ffi::PyObject_GC_IsTracked(handle) == 0 {
            ffi::PyObject_GC_Track(handle.cast());
        }
    }
}

/// Puts a new reference in the place of the old one.
///
/// # Safety
/// Attached; `place` holds a valid reference or null, and `object` is valid.
unsafe fn set(place: *mut *mut ffi::PyObject, object: *mut ffi::PyObject) {
    // SAFETY: the caller's. The old object goes last: its end may run any code, which finds the new one.
    unsafe {
        let previous = std::mem::replace(&mut *place, ffi::Py_NewRef(object));
        ffi::Py_XDECREF(previous);
    }
}
