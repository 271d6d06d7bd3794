//! Handles of callbacks: real `asyncio.Handle` objects, made, cancelled and run without a line of Python.
//!
//! The classes are plain Python subclasses without slots of their own. What the standard library's class keeps stands in
//! its slots, at offsets that its member descriptors tell; so every method of it works on our handles.

mod cancelling;
mod locking;
mod making;
mod marking;
mod running;

use std::ffi::CStr;
use std::sync::OnceLock;

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::attached::Attached;
use super::{call_complete, contexts};
pub(crate) use cancelling::is_cancelled;
use cancelling::{cancel, cancel_timer};
pub(crate) use locking::lock_of_handle;
use making::new_handle;
pub(crate) use making::{SharedContext, args_of_handle, context_of_handle};
pub(crate) use marking::Running;
pub(crate) use running::{Ran, release, run, traverse};

/// Arguments of a callback that are copied to the stack for the call; more are passed where they are.
const FEW: usize = 6;

/// How many handles are kept for callbacks to come, after a burst: 128 bytes each, 4 MiB together.
const MOST_SPARE: usize = 32_768;

/// What takes handles: an event loop.
pub(crate) trait Scheduler: pyo3::PyClass<Frozen = pyo3::pyclass::boolean_struct::True> + Sync {
    /// Whether callbacks may be taken as they come: the loop is open and not in debug mode.
    fn is_plain(&self) -> bool;
    /// Takes a handle to be run in the next turn.
    fn take_soon(&self, py: Python<'_>, handle: Py<PyAny>);
    /// Takes a handle to be run at a time.
    fn take_at(&self, when: f64, handle: Py<PyAny>);
    /// Takes a handle from any thread.
    fn take_threadsafe(&self, py: Python<'_>, handle: Py<PyAny>);
    /// A handle that waits for its time was cancelled.
    fn note_cancelled(&self);
    /// The time, in seconds.
    fn time(&self) -> f64;
    /// Counts a callback that needs a copy of the current context. If so many do that they should share it: where.
    fn crowd(&self) -> Option<&SharedContext>;
}

/// Where `asyncio.Handle` and `asyncio.TimerHandle` keep what they keep, in bytes from the object's begin.
#[derive(Debug)]
struct Slots {
    callback: usize,
    args: usize,
    cancelled: usize,
    event_loop: usize,
    source_traceback: usize,
    repr: usize,
    context: usize,
    scheduled: usize,
    when: usize,
    /// Of handles that several threads may use; there are none before Python 3.14.
    lock: usize,
}

struct Classes {
    plain: Py<PyType>,
    timer: Py<PyType>,
    /// For callbacks of other threads: from Python 3.14 on a class whose instances have a lock.
    threadsafe: Py<PyType>,
    new_lock: Py<PyAny>,
    no_arguments: Py<PyAny>,
    context_keyword: Py<PyAny>,
    /// The interpreter's tasks and futures name their keyword with a string of their own, which is not interned.
    context_keyword_of_tasks: OnceLock<Py<PyAny>>,
    slots: Slots,
    /// Where objects of the plain class, and of that for other threads, keep their weak references.
    weak_references: isize,
    weak_references_of_threadsafe: isize,
    /// Plain handles that have run and are nobody's: their slots are empty, and the garbage collector does not see them.
    spare: Attached<Vec<Py<PyAny>>>,
    /// The same, of those for callbacks of other threads.
    spare_threadsafe: Attached<Vec<Py<PyAny>>>,
    /// The complete methods, for what is not the common case.
    complete: [OnceLock<Py<PyAny>>; METHOD_COUNT],
}

static CLASSES: OnceLock<Classes> = OnceLock::new();

/// The fast methods, by the place of their complete form.
const CALL_SOON: usize = 0;
const CALL_LATER: usize = 1;
const CALL_AT: usize = 2;
const CALL_SOON_THREADSAFE: usize = 3;
const CANCEL: usize = 4;
const CANCEL_TIMER: usize = 5;
const METHOD_COUNT: usize = 6;

/// Makes `plain`, `timer` and `threadsafe`, subclasses of the standard library's handles without slots, the handles of the
/// event loop `S`, and puts the fast methods in front of the complete ones.
///
/// # Errors
/// The standard library's classes have not the slots that they have in every Python known.
pub(crate) fn install<S: Scheduler>(
    plain: &Bound<'_, PyType>,
    timer: &Bound<'_, PyType>,
    threadsafe: &Bound<'_, PyType>,
    event_loop: &Bound<'_, PyType>,
) -> PyResult<()> {
    let py = plain.py();
    contexts::find_variables(py)?;
    let slots = Slots {
        callback: offset(plain, "_callback")?,
        args: offset(&base_of(plain)?, "_args")?,
        cancelled: offset(plain, "_cancelled")?,
        event_loop: offset(plain, "_loop")?,
        source_traceback: offset(plain, "_source_traceback")?,
        repr: offset(plain, "_repr")?,
        context: offset(&base_of(plain)?, "_context")?,
        scheduled: offset(timer, "_scheduled")?,
        when: offset(timer, "_when")?,
        lock: if threadsafe.is(plain) { 0 } else { offset(&base_of(threadsafe)?, "_lock")? },
    };
    let complete = [
        event_loop.getattr("call_soon")?,
        event_loop.getattr("call_later")?,
        event_loop.getattr("call_at")?,
        event_loop.getattr("call_soon_threadsafe")?,
        plain.getattr("cancel")?,
        timer.getattr("cancel")?,
    ];
    let classes = Classes {
        plain: plain.clone().unbind(),
        timer: timer.clone().unbind(),
        threadsafe: threadsafe.clone().unbind(),
        new_lock: py.import("threading")?.getattr("RLock")?.unbind(),
        no_arguments: pyo3::types::PyTuple::empty(py).into_any().unbind(),
        context_keyword: pyo3::types::PyString::intern(py, "context").into_any().unbind(),
        context_keyword_of_tasks: OnceLock::new(),
        slots,
        weak_references: weak_references_of(plain),
        weak_references_of_threadsafe: weak_references_of(threadsafe),
        spare: Attached::default(),
        spare_threadsafe: Attached::default(),
        complete: complete.map(|method| OnceLock::from(method.unbind())),
    };
    if CLASSES.set(classes).is_err() {
        return Err(PyTypeError::new_err("the handles of event loops are installed once"));
    }
    let class = py.get_type::<S>();
    add(&class, c"call_soon", call_soon::<S>)?;
    add(&class, c"call_later", call_later::<S>)?;
    add(&class, c"call_at", call_at::<S>)?;
    add(&class, c"call_soon_threadsafe", call_soon_threadsafe::<S>)?;
    add(plain, c"cancel", cancel::<S>)?;
    add(timer, c"cancel", cancel_timer::<S>)
}

/// The standard library's class: ours have properties in front of some of its slots.
fn base_of<'py>(class: &Bound<'py, PyType>) -> PyResult<Bound<'py, PyType>> {
    Ok(class.getattr("__base__")?.cast_into()?)
}

/// Where instances of the class keep their weak references, in bytes from the object's begin; it may be in front of it.
fn weak_references_of(class: &Bound<'_, PyType>) -> isize {
    // SAFETY: attached; the type is valid.
    unsafe { (*class.as_type_ptr()).tp_weaklistoffset }
}

/// Where instances of the class keep the slot of this name.
pub(super) fn offset(class: &Bound<'_, PyType>, name: &str) -> PyResult<usize> {
    let descriptor = class.getattr(name)?;
    // SAFETY: attached; the type of a slot's descriptor is looked at before it is read as one, and lives with its class.
    unsafe {
        if ffi::Py_TYPE(descriptor.as_ptr()) == &raw mut ffi::PyMemberDescr_Type {
            let member = (*descriptor.as_ptr().cast::<ffi::PyMemberDescrObject>()).d_member;
            return usize::try_from((*member).offset).map_err(|error| PyTypeError::new_err(error.to_string()));
        }
    }
    Err(PyTypeError::new_err(format!("{class}.{name} is no slot")))
}

pub(super) type Method = unsafe extern "C" fn(
    *mut ffi::PyObject,
    *const *mut ffi::PyObject,
    ffi::Py_ssize_t,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;

/// Gives a class a method; its documentation is that of the method of the same name, if it has one.
pub(super) fn add(class: &Bound<'_, PyType>, name: &'static CStr, method: Method) -> PyResult<()> {
    let complete = class.getattr(&*name.to_string_lossy());
    let documentation = match complete {
        Ok(complete) => super::documentation_of(&name.to_string_lossy(), &complete).unwrap_or_default(),
        Err(_not_there) => std::ffi::CString::default(),
    };
    // A method definition must outlive its type, which lives as long as the process.
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: method },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: documentation.into_raw(),
    }));
    // SAFETY: attached (we hold a `Bound`); the type is valid; the definition is leaked and its flags match the
    // function's signature. The result is a new reference or null with an exception set.
    let descriptor =
        unsafe { Bound::from_owned_ptr_or_err(class.py(), ffi::PyDescr_NewMethod(class.as_type_ptr(), definition))? };
    class.setattr(&*name.to_string_lossy(), descriptor)
}

/// The place of a slot.
///
/// # Safety
/// `handle` is an instance of one of the handles' classes, and `offset` one of its slots.
#[inline]
pub(super) unsafe fn slot(handle: *mut ffi::PyObject, offset: usize) -> *mut *mut ffi::PyObject {
    // SAFETY: the caller's; slots are pointers, aligned as such.
    unsafe { handle.byte_add(offset).cast() }
}

/// A call's arguments: a callback, what it is to be given, and perhaps a context (borrowed, or null).
struct Call<'a> {
    callback: *mut ffi::PyObject,
    given: &'a [*mut ffi::PyObject],
    context: *mut ffi::PyObject,
}

/// Reads arguments behind the first `skipped`; none if that is not the common case.
///
/// # Safety
/// As CPython calls a `METH_FASTCALL | METH_KEYWORDS` method.
#[inline]
#[allow(clippy::cast_sign_loss, reason = "CPython counts arguments from 0 on")]
unsafe fn read_call<'a>(
    classes: &Classes,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keyword_names: *mut ffi::PyObject,
    skipped: usize,
) -> Option<Call<'a>> {
    let count = count as usize;
    if count <= skipped {
        return None;
    }
    // SAFETY: `count` positional arguments, followed by one for each name of a keyword in the tuple.
    unsafe {
        let positional = std::slice::from_raw_parts(arguments, count);
        let mut context = std::ptr::null_mut();
        if !keyword_names.is_null() {
            if ffi::PyTuple_GET_SIZE(keyword_names) != 1
                || !is_context(classes, ffi::PyTuple_GET_ITEM(keyword_names, 0))
            {
                return None;
            }
            context = *arguments.add(count);
            if context == ffi::Py_None() {
                context = std::ptr::null_mut();
            } else if ffi::PyContext_CheckExact(context) == 0 {
                return None;
            }
        }
        let (callback, given) = positional.get(skipped..)?.split_first()?;
        Some(Call { callback: *callback, given, context })
    }
}

/// Whether a keyword is `context`.
///
/// # Safety
/// Attached; `keyword` is a `str`.
#[inline]
unsafe fn is_context(classes: &Classes, keyword: *mut ffi::PyObject) -> bool {
    let is_known = |known: &Py<PyAny>| known.as_ptr() == keyword;
    if is_known(&classes.context_keyword) || classes.context_keyword_of_tasks.get().is_some_and(is_known) {
        return true;
    }
    // SAFETY: the caller's; the text ends with a zero.
    unsafe {
        let is_equal = ffi::PyUnicode_CompareWithASCIIString(keyword, c"context".as_ptr()) == 0;
        if is_equal && classes.context_keyword_of_tasks.get().is_none() {
            let kept = reference(keyword);
            if let Err(kept) = classes.context_keyword_of_tasks.set(kept) {
                Python::attach(|_py| drop(kept));
            }
        }
        is_equal
    }
}

/// A reference of its own.
///
/// # Safety
/// Attached; `object` is valid.
#[inline]
unsafe fn reference(object: *mut ffi::PyObject) -> Py<PyAny> {
    // SAFETY: the caller's.
    unsafe { Bound::from_borrowed_ptr(Python::assume_attached(), object).unbind() }
}

/// The loop's own part of a method's receiver.
///
/// # Safety
/// Attached; `this` is an instance of `S`, alive for `'a`.
#[inline]
unsafe fn scheduler<'a, S: Scheduler>(this: *mut ffi::PyObject) -> &'a S {
    // SAFETY: the caller's; the class is frozen, so that shared references to its content are all there are.
    unsafe {
        let content: *const S = Borrowed::from_ptr(Python::assume_attached(), this).cast_unchecked::<S>().get();
        &*content
    }
}

unsafe extern "C" fn call_soon<S: Scheduler>(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keyword_names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls methods attached, with an instance of the descriptor's class, alive during the call.
    unsafe { schedule::<S>(CALL_SOON, this, arguments, count, keyword_names, S::take_soon) }
}

unsafe extern "C" fn call_soon_threadsafe<S: Scheduler>(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keyword_names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as above.
    unsafe { schedule::<S>(CALL_SOON_THREADSAFE, this, arguments, count, keyword_names, S::take_threadsafe) }
}

/// # Safety
/// As CPython calls a `METH_FASTCALL | METH_KEYWORDS` method of `S`.
#[inline]
unsafe fn schedule<S: Scheduler>(
    method: usize,
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keyword_names: *mut ffi::PyObject,
    take: impl FnOnce(&S, Python<'_>, Py<PyAny>),
) -> *mut ffi::PyObject {
    // SAFETY: the caller's.
    unsafe {
        let event_loop = scheduler::<S>(this);
        if event_loop.is_plain() {
            if let Some(classes) = CLASSES.get() {
                if let Some(call) = read_call(classes, arguments, count, keyword_names, 0) {
                    let class = if method == CALL_SOON_THREADSAFE { &classes.threadsafe } else { &classes.plain };
                    let handle = new_handle(classes, class.as_ptr().cast(), this, event_loop, &call);
                    if !handle.is_null() {
                        take(event_loop, Python::assume_attached(), reference(handle));
                    }
                    return handle;
                }
            }
        }
        complete(method, this, arguments, count, keyword_names)
    }
}

unsafe extern "C" fn call_later<S: Scheduler>(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keyword_names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as above.
    unsafe { schedule_timer::<S>(CALL_LATER, this, arguments, count, keyword_names, |now, delay| now + delay) }
}

unsafe extern "C" fn call_at<S: Scheduler>(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keyword_names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as above.
    unsafe { schedule_timer::<S>(CALL_AT, this, arguments, count, keyword_names, |_now, when| when) }
}

/// # Safety
/// As CPython calls a `METH_FASTCALL | METH_KEYWORDS` method of `S`.
#[inline]
unsafe fn schedule_timer<S: Scheduler>(
    method: usize,
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keyword_names: *mut ffi::PyObject,
    time: impl FnOnce(f64, f64) -> f64,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's. A handle just made is of the timer's class.
    unsafe {
        let event_loop = scheduler::<S>(this);
        if event_loop.is_plain() {
            if let Some(classes) = CLASSES.get() {
                if let Some(call) = read_call(classes, arguments, count, keyword_names, 1) {
                    let number = *arguments;
                    let seconds = if ffi::PyFloat_CheckExact(number) != 0 {
                        Some(ffi::PyFloat_AS_DOUBLE(number))
                    } else if ffi::PyLong_CheckExact(number) != 0 {
                        let seconds = ffi::PyLong_AsDouble(number);
                        if ffi::PyErr_Occurred().is_null() {
                            Some(seconds)
                        } else {
                            ffi::PyErr_Clear();
                            None
                        }
                    } else {
                        None
                    };
                    if let Some(seconds) = seconds.filter(|seconds| !seconds.is_nan()) {
                        let when = time(event_loop.time(), seconds);
                        let handle = new_handle(classes, classes.timer.as_ptr().cast(), this, event_loop, &call);
                        if handle.is_null() {
                            return handle;
                        }
                        *slot(handle, classes.slots.when) = ffi::PyFloat_FromDouble(when);
                        *slot(handle, classes.slots.scheduled) = ffi::Py_NewRef(ffi::Py_True());
                        event_loop.take_at(when, reference(handle));
                        return handle;
                    }
                }
            }
        }
        complete(method, this, arguments, count, keyword_names)
    }
}

/// # Safety
/// As CPython calls a `METH_FASTCALL | METH_KEYWORDS` method.
#[cold]
unsafe fn complete(
    method: usize,
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keyword_names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let complete = CLASSES.get().and_then(|classes| classes.complete.get(method));
    match complete {
        // SAFETY: the caller's.
        Some(complete) => unsafe { call_complete(complete, this, arguments, count, keyword_names) },
        None => std::ptr::null_mut(),
    }
}
