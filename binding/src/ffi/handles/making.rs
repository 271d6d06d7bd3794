//! Makes handles, and the contexts in which they run.
//!
//! A callback runs in a copy of the context in which it was scheduled. While few wait, the copy is made at once. In a crowd
//! those that were scheduled in the same context, unchanged meanwhile, share one copy, and each makes its own when it is run
//! or when somebody asks for it: otherwise the garbage collector would look through hundreds of thousands of contexts again
//! and again. Such a handle has `False` for its source traceback, which is `None` in others.
//!
//! An only argument that is neither a tuple nor `None` stands in the place of the tuple of arguments, until somebody asks for
//! that.

use pyo3::ffi;
use pyo3::prelude::*;

use super::{CLASSES, Call, Classes, Scheduler, Slots, slot};
use crate::ffi::attached::Attached;
use crate::ffi::contexts;

/// The copy of a context that the callbacks of a crowd share.
pub(crate) type SharedContext = Attached<Option<Py<PyAny>>>;

/// A new handle; null with an exception when there is no memory.
///
/// # Safety
/// Attached; `class` is one of the handles' classes, `event_loop` is an instance of `S`, the pointers of the call are valid.
#[inline]
#[allow(clippy::cast_possible_wrap, reason = "arguments are fewer than that")]
pub(super) unsafe fn new_handle<S: Scheduler>(
    classes: &Classes,
    class: *mut ffi::PyTypeObject,
    event_loop: *mut ffi::PyObject,
    scheduler: &S,
    call: &Call<'_>,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's. The allocator answers zeroed slots, and a spare handle has the same, of which null is a valid
    // state; each gets a new reference.
    unsafe {
        let py = Python::assume_attached();
        let is_plain = class.cast::<ffi::PyObject>() == classes.plain.as_ptr();
        let is_threadsafe = class.cast::<ffi::PyObject>() == classes.threadsafe.as_ptr();
        let spare = if is_plain {
            classes.spare.close(py).pop()
        } else if is_threadsafe {
            classes.spare_threadsafe.close(py).pop()
        } else {
            None
        };
        let handle = match spare {
            Some(spare) => spare.into_ptr(),
            None => ffi::PyType_GenericAlloc(class, 0),
        };
        if handle.is_null() {
            return handle;
        }
        let slots = &classes.slots;
        let mut mark = ffi::Py_None();
        let context = if !call.context.is_null() {
            ffi::Py_NewRef(call.context)
        } else if let Some(shared) = scheduler.crowd() {
            let (context, is_shared) = shared_copy(shared);
            if is_shared {
                mark = ffi::Py_False();
            }
            context
        } else {
            ffi::PyContext_CopyCurrent()
        };
        let args = if let &[argument] = call.given {
            if is_tuple_or_none(argument) { ffi::PyTuple_Pack(1, argument) } else { ffi::Py_NewRef(argument) }
        } else if call.given.is_empty() {
            ffi::Py_NewRef(classes.no_arguments.as_ptr())
        } else {
            let args = ffi::PyTuple_New(call.given.len() as ffi::Py_ssize_t);
            if !args.is_null() {
                for (index, argument) in call.given.iter().enumerate() {
                    ffi::PyTuple_SET_ITEM(args, index as ffi::Py_ssize_t, ffi::Py_NewRef(*argument));
                }
            }
            args
        };
        *slot(handle, slots.context) = context;
        *slot(handle, slots.args) = args;
        *slot(handle, slots.callback) = ffi::Py_NewRef(call.callback);
        *slot(handle, slots.cancelled) = ffi::Py_NewRef(ffi::Py_False());
        *slot(handle, slots.event_loop) = ffi::Py_NewRef(event_loop);
        *slot(handle, slots.source_traceback) = ffi::Py_NewRef(mark);
        *slot(handle, slots.repr) = ffi::Py_NewRef(ffi::Py_None());
        // Hundreds of thousands may be ready at once, and none of them is garbage before it has run.
        ffi::PyObject_GC_UnTrack(handle.cast());
        if context.is_null() || args.is_null() {
            ffi::Py_DECREF(handle);
            return std::ptr::null_mut();
        }
        handle
    }
}

/// Whether an only argument needs a tuple, because it could be taken for one, or for that of a handle that was cancelled.
///
/// # Safety
/// Attached; `argument` is valid.
#[inline]
pub(super) unsafe fn is_tuple_or_none(argument: *mut ffi::PyObject) -> bool {
    // SAFETY: the caller's.
    unsafe { ffi::PyTuple_Check(argument) != 0 || argument == ffi::Py_None() }
}

/// A copy of the current context, and whether others have it, too; null with an exception when there is no memory.
///
/// # Safety
/// Attached.
#[inline]
unsafe fn shared_copy(shared: &SharedContext) -> (*mut ffi::PyObject, bool) {
    // SAFETY: the caller's; what is compared are contexts, alive while they are.
    unsafe {
        let copy = ffi::PyContext_CopyCurrent();
        if copy.is_null() {
            return (copy, false);
        }
        let mut known = shared.close(Python::assume_attached());
        if let Some(known) = known.as_ref().filter(|known| contexts::have_same_variables(known.as_ptr(), copy)) {
            let context = ffi::Py_NewRef(known.as_ptr());
            // The current context has all that it has: nothing else ends with it.
            ffi::Py_DECREF(copy);
            return (context, true);
        }
        let previous = known.replace(Bound::from_borrowed_ptr(Python::assume_attached(), copy).unbind());
        drop(known);
        if let Some(previous) = previous {
            ffi::Py_DECREF(previous.into_ptr());
        }
        (copy, true)
    }
}

/// Gives a handle a context of its own, if it shares one; false with an exception when there is no memory.
///
/// # Safety
/// Attached; `handle` is one of ours.
#[inline]
pub(super) unsafe fn own_context(slots: &Slots, handle: *mut ffi::PyObject) -> bool {
    // SAFETY: the caller's; the slots hold references or null.
    unsafe {
        if *slot(handle, slots.source_traceback) != ffi::Py_False() {
            return true;
        }
        let shared = *slot(handle, slots.context);
        if shared.is_null() {
            return true;
        }
        let own = ffi::PyContext_Copy(shared);
        if own.is_null() {
            return false;
        }
        *slot(handle, slots.context) = own;
        ffi::Py_DECREF(std::mem::replace(&mut *slot(handle, slots.source_traceback), ffi::Py_NewRef(ffi::Py_None())));
        // Last: others may have let go of it, and its end may run any code.
        ffi::Py_DECREF(shared);
        true
    }
}

/// What is known of the classes, if a handle is of one of them.
fn classes_of(handle: &Bound<'_, PyAny>) -> Option<&'static Classes> {
    CLASSES.get().filter(|classes| {
        [&classes.plain, &classes.timer, &classes.threadsafe]
            .iter()
            .any(|class| handle.is_instance(class.bind(handle.py())).unwrap_or(false))
    })
}

/// The arguments of one of our handles.
///
/// Args:
///     handle: a handle of one of the classes that were installed.
#[pyfunction]
pub(crate) fn args_of_handle(handle: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    let py = handle.py();
    let missing = || pyo3::exceptions::PyAttributeError::new_err("_args");
    let classes = classes_of(handle).ok_or_else(missing)?;
    // SAFETY: attached; the handle's class, or one of its bases, was looked at before its slots are. The tuple takes over the
    // reference that the slot had.
    unsafe {
        let place = slot(handle.as_ptr(), classes.slots.args);
        let args = Bound::from_borrowed_ptr_or_opt(py, *place).ok_or_else(missing)?;
        if is_tuple_or_none(args.as_ptr()) {
            return Ok(args.unbind());
        }
        let tuple = pyo3::types::PyTuple::new(py, [args])?.into_any();
        // Making it may have run the garbage collector, and that any code.
        if !is_tuple_or_none(*place) {
            ffi::Py_DECREF(std::mem::replace(&mut *place, ffi::Py_NewRef(tuple.as_ptr())));
        }
        Ok(tuple.unbind())
    }
}

/// The context in which one of our handles runs.
///
/// Args:
///     handle: a handle of one of the classes that were installed.
#[pyfunction]
pub(crate) fn context_of_handle(handle: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    let py = handle.py();
    let classes = classes_of(handle);
    let missing = || pyo3::exceptions::PyAttributeError::new_err("_context");
    let classes = classes.ok_or_else(missing)?;
    // SAFETY: attached; the handle's class, or one of its bases, was looked at before its slots are.
    unsafe {
        if !own_context(&classes.slots, handle.as_ptr()) {
            return Err(PyErr::fetch(py));
        }
        let context = Bound::from_borrowed_ptr_or_opt(py, *slot(handle.as_ptr(), classes.slots.context));
        context.map(Bound::unbind).ok_or_else(missing)
    }
}
