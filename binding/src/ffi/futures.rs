//! Futures that are used again: the interpreter's own, which its own tasks take without a look for a method by name.
//!
//! To make a future for each wait, to end it and to make a handle for its callback costs more than all else that a wait does.
//! So a loop keeps those that have served, and ends them itself: what the interpreter's own methods write into a future is
//! written in the same places. Where these are is found out with a future that is only looked at, by asking its methods
//! before and after; where that is not beyond doubt, no future is used again, and all goes through the methods.
//!
//! | place | pending | ended, its task to go on | spare |
//! |---|---|---|---|
//! | state, result | pending, null | finished, `None` | pending, null |
//! | callback, context | the task's, or null | the task's | null |
//! | blocking | until the task has taken it | no | no |

use std::sync::OnceLock;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyType};

use super::contexts;
use crate::python;

/// Where futures keep what they keep: bytes from the object's begin.
#[derive(Debug)]
struct Places {
    class: Py<PyType>,
    callback: usize,
    context: usize,
    /// Where more than one callback stand.
    callbacks: usize,
    result: usize,
    state: usize,
    finished: u8,
    blocking: usize,
    blocking_bit: u8,
    weak_references: isize,
}

static PLACES: OnceLock<Option<Places>> = OnceLock::new();

fn places(py: Python<'_>) -> Option<&'static Places> {
    PLACES
        .get_or_init(|| {
            if cfg!(Py_GIL_DISABLED) { None } else { find(py).ok().flatten().filter(|found| works(py, found)) }
        })
        .as_ref()
}

/// Whether this is a future of the interpreter's own class, to be ended and used again.
#[inline]
fn known(future: &Bound<'_, PyAny>) -> Option<&'static Places> {
    let places = places(future.py())?;
    // An exact class: those derived from it may do as they like.
    std::ptr::eq(future.get_type_ptr().cast(), places.class.as_ptr()).then_some(places)
}

/// Whether this is a future that can be ended and used again.
#[inline]
pub(crate) fn is_known(future: &Bound<'_, PyAny>) -> bool {
    known(future).is_some()
}

/// Marks a future as one that a task waits for, for the task that gets it.
///
/// # Errors
/// Python's own.
#[inline]
pub(crate) fn set_blocking(future: &Bound<'_, PyAny>) -> PyResult<()> {
    let Some(places) = known(future) else {
        return future.setattr(crate::kept::intern!(future.py(), "_asyncio_future_blocking"), true);
    };
    // SAFETY: attached; a future of the class whose places these are.
    unsafe { *byte(future.as_ptr(), places.blocking) |= places.blocking_bit };
    Ok(())
}

/// Ends a pending future for which nothing waits but a task of the interpreter's own: the caller puts it behind what is ready,
/// and calls [`resume`] when it is its turn. False if it is not such a one, and nothing has changed.
#[inline]
pub(crate) fn finish(future: &Bound<'_, PyAny>) -> bool {
    let Some(places) = known(future) else { return false };
    let object = future.as_ptr();
    // SAFETY: attached; a future of the class whose places these are, which hold references or null.
    unsafe {
        let callback = *word(object, places.callback);
        let is_tasks = !callback.is_null()
            && ffi::PyCFunction_CheckExact(callback) != 0
            && (*word(object, places.callbacks)).is_null()
            && !(*word(object, places.context)).is_null();
        if !is_tasks || *byte(object, places.state) != 0 || !(*word(object, places.result)).is_null() {
            return false;
        }
        *byte(object, places.state) = places.finished;
        *word(object, places.result) = ffi::Py_NewRef(ffi::Py_None());
    }
    true
}

/// Goes on with the task that waits for a future that [`finish`] has ended.
///
/// # Errors
/// What must leave the loop.
#[inline]
pub(crate) fn resume(future: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = future.py();
    let Some(places) = known(future) else { return Ok(()) };
    let object = future.as_ptr();
    // SAFETY: attached; the references are taken out, so that they are ours.
    let (callback, context) = unsafe {
        let callback = std::mem::replace(&mut *word(object, places.callback), std::ptr::null_mut());
        let context = std::mem::replace(&mut *word(object, places.context), std::ptr::null_mut());
        (Bound::from_owned_ptr_or_opt(py, callback), Bound::from_owned_ptr_or_opt(py, context))
    };
    let (Some(callback), Some(context)) = (callback, context) else { return Ok(()) };
    contexts::run_in(&context, || callback.call1((future,))).map(drop)
}

/// Makes a future that a task has waited for pending again; none if somebody else has it, or could have noticed.
#[inline]
pub(crate) fn reuse(future: Bound<'_, PyAny>) -> Option<Py<PyAny>> {
    let places = known(&future)?;
    let object = future.as_ptr();
    // SAFETY: attached; a future of the class whose places these are. Nobody else has a reference or a weak one, so nobody
    // sees it change.
    unsafe {
        let is_ours_alone = ffi::Py_REFCNT(object) == 1
            && places.weak_references != 0
            && (*object.byte_offset(places.weak_references).cast::<*mut ffi::PyObject>()).is_null();
        let is_served = *byte(object, places.state) == places.finished
            && *word(object, places.result) == ffi::Py_None()
            && (*word(object, places.callback)).is_null()
            && (*word(object, places.callbacks)).is_null();
        if !is_ours_alone || !is_served {
            return None;
        }
        *byte(object, places.state) = 0;
        *byte(object, places.blocking) &= !places.blocking_bit;
        ffi::Py_DECREF(std::mem::replace(&mut *word(object, places.result), std::ptr::null_mut()));
    }
    Some(future.unbind())
}

/// # Safety
/// Attached; the place is one of the object's, which holds a reference or null.
#[inline]
unsafe fn word(object: *mut ffi::PyObject, place: usize) -> *mut *mut ffi::PyObject {
    // SAFETY: the caller's; it was found at a multiple of a word.
    unsafe { object.byte_add(place).cast() }
}

/// # Safety
/// Attached; the place is one of the object's.
#[inline]
unsafe fn byte(object: *mut ffi::PyObject, place: usize) -> *mut u8 {
    // SAFETY: the caller's.
    unsafe { object.byte_add(place).cast() }
}

/// A future of no loop.
fn new_future(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let builtins = py.import("builtins")?;
    // `bool()` is false: not in debug mode. A partial function takes all that a callback is scheduled with, and does nothing.
    let parts = [("get_debug", builtins.getattr("bool")?), ("call_soon", py.import("functools")?.getattr("partial")?)];
    let event_loop = py.import("types")?.getattr("SimpleNamespace")?.call((), Some(&parts.into_py_dict(py)?))?;
    let keywords = [("loop", event_loop)].into_py_dict(py)?;
    py.import("_asyncio")?.getattr("Future")?.call((), Some(&keywords))
}

/// A callback that a future has never seen, and a context.
fn new_callback(py: Python<'_>) -> PyResult<(Bound<'_, PyAny>, Bound<'_, PyAny>)> {
    Ok((
        py.import("builtins")?.getattr("list")?.call0()?.getattr("append")?,
        py.import("contextvars")?.getattr("Context")?.call0()?,
    ))
}

fn add(future: &Bound<'_, PyAny>, callback: &Bound<'_, PyAny>, context: &Bound<'_, PyAny>) -> PyResult<()> {
    let keywords = [("context", context)].into_py_dict(future.py())?;
    future.call_method("add_done_callback", (callback,), Some(&keywords)).map(drop)
}

/// Finds the places; none if one of them is not beyond doubt.
fn find(py: Python<'_>) -> PyResult<Option<Places>> {
    let future = new_future(py)?;
    let class = future.get_type();
    if !python::future_class(py)?.is(&class) {
        return Ok(None);
    }
    let (callback, context) = new_callback(py)?;
    let (other, _context) = new_callback(py)?;
    let fresh = bytes(&future);
    add(&future, &callback, &context)?;
    let with_one = bytes(&future);
    add(&future, &other, &context)?;
    let with_two = bytes(&future);
    future.call_method1("remove_done_callback", (&other,))?;
    future.call_method1("remove_done_callback", (&callback,))?;
    future.setattr("_asyncio_future_blocking", true)?;
    let blocking = bytes(&future);
    future.setattr("_asyncio_future_blocking", false)?;
    let unblocked = bytes(&future);
    future.call_method1("set_result", (py.None(),))?;
    let finished = bytes(&future);

    let (callback_word, context_word) = (callback.as_ptr().addr(), context.as_ptr().addr());
    let none_word = py.None().as_ptr().addr();
    let places_of = |before: &[u8], after: &[u8]| -> Vec<(usize, usize)> {
        changed_words(before, after).filter(|(_place, word)| *word != 0).collect()
    };
    let one = places_of(&fresh, &with_one);
    let two = places_of(&with_one, &with_two);
    let at = |found: &[(usize, usize)], wanted: usize| {
        found.iter().find(|(_, word)| *word == wanted).map(|(place, _)| *place)
    };
    let (Some(callback), Some(context), [(callbacks, _list)]) =
        (at(&one, callback_word), at(&one, context_word), two.as_slice())
    else {
        return Ok(None);
    };
    let [(blocking_place, 0, bit)] = *changed_bytes(&fresh, &blocking).collect::<Vec<_>>() else { return Ok(None) };
    let Some(result) = at(&places_of(&unblocked, &finished), none_word) else { return Ok(None) };
    let is_outside = |place: usize| !(result..result + size_of::<usize>()).contains(&place);
    let state: Vec<_> = changed_bytes(&unblocked, &finished).filter(|(place, ..)| is_outside(*place)).collect();
    let [(state, 0, finished)] = *state else { return Ok(None) };
    let is_clear = one.len() == 2 && bit.is_power_of_two() && changed_bytes(&fresh, &unblocked).next().is_none();
    // SAFETY: attached; the type is valid.
    let weak_references = unsafe { (*class.as_type_ptr()).tp_weaklistoffset };
    let class = class.unbind();
    let (blocking, blocking_bit) = (blocking_place, bit);
    let callbacks = *callbacks;
    let places = Places {
        class,
        callback,
        context,
        callbacks,
        result,
        state,
        finished,
        blocking,
        blocking_bit,
        weak_references,
    };
    Ok(is_clear.then_some(places))
}

/// Whether the methods of a future see what is written in these places.
fn works(py: Python<'_>, places: &Places) -> bool {
    let check = || -> PyResult<bool> {
        let future = new_future(py)?;
        let (callback, context) = new_callback(py)?;
        let is = |name: &str| future.call_method0(name)?.is_truthy();
        for _again in 0..2 {
            add(&future, &callback, &context)?;
            // SAFETY: attached; a future of the class whose places these are.
            let is_waiting = unsafe {
                *byte(future.as_ptr(), places.blocking) |= places.blocking_bit;
                *word(future.as_ptr(), places.callback) == callback.as_ptr()
                    && *word(future.as_ptr(), places.context) == context.as_ptr()
            };
            if !is_waiting || is("done")? || !future.getattr("_asyncio_future_blocking")?.is_truthy()? {
                return Ok(false);
            }
            // SAFETY: as above; the references are taken out and dropped, the new one is the future's.
            unsafe {
                *byte(future.as_ptr(), places.state) = places.finished;
                *word(future.as_ptr(), places.result) = ffi::Py_NewRef(ffi::Py_None());
                for place in [places.callback, places.context] {
                    ffi::Py_DECREF(std::mem::replace(&mut *word(future.as_ptr(), place), std::ptr::null_mut()));
                }
            }
            let has_ended = is("done")? && !is("cancelled")? && future.call_method0("result")?.is_none();
            if !has_ended || future.getattr("_callbacks")?.is_truthy()? {
                return Ok(false);
            }
            // SAFETY: as above.
            unsafe {
                *byte(future.as_ptr(), places.state) = 0;
                *byte(future.as_ptr(), places.blocking) &= !places.blocking_bit;
                ffi::Py_DECREF(std::mem::replace(&mut *word(future.as_ptr(), places.result), std::ptr::null_mut()));
            }
            if is("done")? || future.getattr("_asyncio_future_blocking")?.is_truthy()? {
                return Ok(false);
            }
        }
        // It can be cancelled, as any other.
        Ok(is("cancel")? && is("cancelled")?)
    };
    check().unwrap_or_default()
}

/// What a future consists of, behind what every object begins with.
fn bytes(future: &Bound<'_, PyAny>) -> Vec<u8> {
    // SAFETY: attached, and the object is valid and as long as its class says.
    unsafe {
        let size = usize::try_from((*ffi::Py_TYPE(future.as_ptr())).tp_basicsize).unwrap_or_default();
        let mut bytes = std::slice::from_raw_parts(future.as_ptr().cast::<u8>(), size).to_vec();
        bytes.iter_mut().take(size_of::<ffi::PyObject>()).for_each(|byte| *byte = 0);
        bytes
    }
}

/// The places of words that have changed, with what they are now.
fn changed_words(before: &[u8], after: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    const WORD: usize = size_of::<usize>();
    let words = |bytes: &[u8]| -> Vec<usize> {
        bytes.chunks_exact(WORD).map(|word| usize::from_ne_bytes(word.try_into().unwrap_or_default())).collect()
    };
    let (before, after) = (words(before), words(after));
    let all = before.into_iter().zip(after).enumerate();
    all.filter(|(_, (before, after))| before != after).map(|(index, (_, after))| (index * WORD, after))
}

/// The places of bytes that have changed, with what they were and are.
fn changed_bytes(before: &[u8], after: &[u8]) -> impl Iterator<Item = (usize, u8, u8)> {
    let all = before.iter().zip(after).enumerate();
    all.filter(|(_, (before, after))| before != after).map(|(place, (before, after))| (place, *before, *after))
}
