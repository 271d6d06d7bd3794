//! Runs handles, and uses those that nobody else holds again.

use pyo3::ffi;
use pyo3::prelude::*;

use super::cancelling::show_to_collector;
use super::locking::{is_held_elsewhere, lock_of};
use super::making::{is_tuple_or_none, own_context};
use super::{CLASSES, Classes, FEW, MOST_SPARE, Slots, slot};
use crate::kept::intern;

/// What became of a handle that was to be run.
pub(crate) enum Ran {
    /// It ran, or had been cancelled.
    Done,
    /// Its callback raised.
    Raised(PyErr),
    /// It is not one of ours: ask its own methods.
    Foreign,
}

/// # Safety
/// `handle` is alive.
#[inline]
pub(super) unsafe fn is_ours(classes: &Classes, handle: *mut ffi::PyObject) -> bool {
    // SAFETY: the caller's; an object's class does not change while it is a handle of ours, which have no others.
    let class = unsafe { ffi::Py_TYPE(handle) }.cast::<ffi::PyObject>();
    class == classes.plain.as_ptr() || class == classes.timer.as_ptr()
}

/// Lets go of a handle that has run; if it is nobody else's, the next callback gets it.
#[inline]
pub(crate) fn release(handle: Bound<'_, PyAny>) {
    let Some(classes) = CLASSES.get() else { return };
    let (py, object) = (handle.py(), handle.as_ptr());
    let mut is_threadsafe = false;
    // SAFETY: attached, and we hold the handle; its class is looked at before its slots are. Nobody else has a reference
    // or a weak one, so nobody sees it change.
    unsafe {
        let class = ffi::Py_TYPE(object).cast::<ffi::PyObject>();
        let slots = &classes.slots;
        let (weak_references, has_lock) = if class == classes.plain.as_ptr() {
            (classes.weak_references, false)
        } else if class == classes.threadsafe.as_ptr() {
            is_threadsafe = true;
            (classes.weak_references_of_threadsafe, !(*slot(object, slots.lock)).is_null())
        } else {
            return;
        };
        let is_ours_alone = ffi::Py_REFCNT(object) == 1
            && ffi::PyObject_GC_IsTracked(object) == 0
            && weak_references != 0
            && !has_lock
            && (*object.byte_offset(weak_references).cast::<*mut ffi::PyObject>()).is_null();
        if !is_ours_alone {
            return;
        }
        for offset in [
            slots.callback,
            slots.args,
            slots.context,
            slots.event_loop,
            slots.cancelled,
            slots.source_traceback,
            slots.repr,
        ] {
            ffi::Py_XDECREF(std::mem::replace(&mut *slot(object, offset), std::ptr::null_mut()));
        }
    }
    let mut spare = if is_threadsafe { classes.spare_threadsafe.close(py) } else { classes.spare.close(py) };
    if spare.len() < MOST_SPARE {
        spare.push(handle.unbind());
    }
}

/// Calls a handle's callback, in its context.
#[inline]
pub(crate) fn run(handle: &Bound<'_, PyAny>) -> Ran {
    let Some(classes) = CLASSES.get() else { return Ran::Foreign };
    let py = handle.py();
    let handle = handle.as_ptr();
    // SAFETY: attached, and the handle is alive and held. Its slots are read after a look at its class.
    unsafe {
        let is_locked = ffi::Py_TYPE(handle).cast::<ffi::PyObject>() == classes.threadsafe.as_ptr();
        if !is_locked && !is_ours(classes, handle) {
            return Ran::Foreign;
        }
        show_to_collector(handle);
        let slots = &classes.slots;
        if is_locked && slots.lock != 0 && is_held_elsewhere(classes, handle) {
            let lock = match lock_of(classes, &Bound::from_borrowed_ptr(py, handle)) {
                Ok(lock) => lock,
                Err(error) => return Ran::Raised(error),
            };
            if let Err(error) = lock.call_method0(intern!(py, "acquire")) {
                return Ran::Raised(error);
            }
            let ran = run_callback(py, slots, handle);
            return match lock.call_method0(intern!(py, "release")) {
                Err(error) if matches!(ran, Ran::Done) => Ran::Raised(error),
                _ => ran,
            };
        }
        run_callback(py, slots, handle)
    }
}

/// Calls a handle's callback, unless it was cancelled.
///
/// # Safety
/// Attached; `handle` is one of ours, and held by the caller.
#[inline]
unsafe fn run_callback(py: Python<'_>, slots: &Slots, handle: *mut ffi::PyObject) -> Ran {
    // SAFETY: the caller's; callback, arguments and context are held during the call, since the callback may cancel its
    // own handle.
    unsafe {
        if *slot(handle, slots.cancelled) == ffi::Py_True() {
            return Ran::Done;
        }
        if !own_context(slots, handle) {
            return Ran::Raised(PyErr::fetch(py));
        }
        let (callback, args, context) =
            (*slot(handle, slots.callback), *slot(handle, slots.args), *slot(handle, slots.context));
        let is_whole = !callback.is_null() && !args.is_null() && !context.is_null();
        if !is_whole || ffi::PyContext_CheckExact(context) == 0 {
            return Ran::Foreign;
        }
        let is_only = !is_tuple_or_none(args);
        if !is_only && ffi::PyTuple_CheckExact(args) == 0 {
            return Ran::Foreign;
        }
        ffi::Py_INCREF(callback);
        ffi::Py_INCREF(args);
        ffi::Py_INCREF(context);
        let mut result = std::ptr::null_mut();
        if ffi::PyContext_Enter(context) == 0 {
            result = if is_only { call_with_one(callback, args) } else { call(callback, args) };
            if ffi::PyContext_Exit(context) != 0 {
                ffi::Py_XDECREF(result);
                result = std::ptr::null_mut();
            }
        }
        ffi::Py_DECREF(context);
        ffi::Py_DECREF(args);
        ffi::Py_DECREF(callback);
        if result.is_null() {
            return Ran::Raised(PyErr::fetch(py));
        }
        ffi::Py_DECREF(result);
        Ran::Done
    }
}

/// Calls `callback(argument)`.
///
/// # Safety
/// Attached; both are valid.
#[inline]
unsafe fn call_with_one(callback: *mut ffi::PyObject, argument: *mut ffi::PyObject) -> *mut ffi::PyObject {
    let stack = [std::ptr::null_mut(), argument];
    // SAFETY: the caller's. The place before the argument is ours to be written to, as the flag says.
    unsafe {
        ffi::PyObject_Vectorcall(
            callback,
            stack.as_ptr().add(1),
            1 | ffi::PY_VECTORCALL_ARGUMENTS_OFFSET,
            std::ptr::null_mut(),
        )
    }
}

/// Calls `callback(*args)`.
///
/// # Safety
/// Attached; both are valid, and `args` is a tuple.
#[inline]
#[allow(clippy::cast_sign_loss, clippy::cast_possible_wrap, reason = "a tuple's length, and an index in it")]
unsafe fn call(callback: *mut ffi::PyObject, args: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the caller's. The place before the arguments is ours to be written to, as the flag says.
    unsafe {
        let count = ffi::PyTuple_GET_SIZE(args) as usize;
        if count > FEW {
            return ffi::PyObject_Call(callback, args, std::ptr::null_mut());
        }
        let mut stack = [std::ptr::null_mut(); FEW + 1];
        for (index, place) in stack.iter_mut().skip(1).take(count).enumerate() {
            *place = ffi::PyTuple_GET_ITEM(args, index as ffi::Py_ssize_t);
        }
        ffi::PyObject_Vectorcall(
            callback,
            stack.as_ptr().add(1),
            count | ffi::PY_VECTORCALL_ARGUMENTS_OFFSET,
            std::ptr::null_mut(),
        )
    }
}

/// Shows the garbage collector a handle that a loop keeps. One that nobody else has is not tracked: the collector cannot
/// look into it, so that it is shown as a part of the loop.
pub(crate) fn traverse(handle: &Py<PyAny>, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
    let object = handle.as_ptr();
    let Some(classes) = CLASSES.get() else { return visit.call(handle) };
    // SAFETY: called by the collector, so attached; the handle is alive, and its class is looked at before its slots. Those
    // that other threads bring have the same ones, and a lock that refers to nothing.
    let is_part = unsafe {
        let is_threadsafe = ffi::Py_TYPE(object).cast::<ffi::PyObject>() == classes.threadsafe.as_ptr();
        let is_known = is_threadsafe || is_ours(classes, object);
        is_known && ffi::Py_REFCNT(object) == 1 && ffi::PyObject_GC_IsTracked(object) == 0
    };
    if !is_part {
        return visit.call(handle);
    }
    let slots = &classes.slots;
    for offset in [slots.callback, slots.args, slots.context, slots.event_loop] {
        // SAFETY: a slot of the handle; it holds a reference or null, as `Option<Py<_>>` does.
        let part = unsafe { &*slot(object, offset).cast::<Option<Py<PyAny>>>() };
        visit.call(part.as_ref())?;
    }
    Ok(())
}
