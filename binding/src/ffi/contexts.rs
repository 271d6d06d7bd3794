//! Contexts (`contextvars`): copied, compared, and entered around a piece of work.

use std::sync::OnceLock;

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

/// Where a context keeps its variables, in words from the object's begin.
static VARIABLES: OnceLock<Option<usize>> = OnceLock::new();

/// Whether two contexts certainly have the same variables with the same values, told without looking at these: contexts are
/// copied by sharing an immutable map, which takes its place anew with each change.
///
/// # Safety
/// Attached; both are contexts, and alive.
#[inline]
pub(crate) unsafe fn have_same_variables(one: *mut ffi::PyObject, other: *mut ffi::PyObject) -> bool {
    let Some(Some(place)) = VARIABLES.get() else { return false };
    // SAFETY: the caller's; the place was found within the size of a context.
    unsafe { *one.cast::<usize>().add(*place) == *other.cast::<usize>().add(*place) }
}

/// Finds out where contexts keep their variables: where a copy has the same as its original, and neither an empty context nor
/// the copy has after another change. If that is not just one place, no two contexts are known to be the same.
///
/// # Errors
/// There is no memory.
pub(crate) fn find_variables(py: Python<'_>) -> PyResult<()> {
    let module = py.import("contextvars")?;
    let (class, variable) = (module.getattr("Context")?, module.getattr("ContextVar")?.call1(("probe",))?);
    let set = variable.getattr("set")?;
    let (empty, context) = (class.call0()?, class.call0()?);
    context.call_method1("run", (&set, 1))?;
    let copy = context.call_method0("copy")?;
    let (before, of_empty, of_context) = (words(&copy), words(&empty), words(&context));
    copy.call_method1("run", (&set, 2))?;
    let after = words(&copy);
    let is_place = |index: &usize| {
        let word = |words: &[usize]| words.get(*index).copied().unwrap_or_default();
        let shared = word(&of_context);
        shared != 0 && word(&before) == shared && word(&of_empty) != shared && word(&after) != shared
    };
    let places: Vec<_> = (size_of::<ffi::PyObject>() / size_of::<usize>()..before.len()).filter(is_place).collect();
    let _known = VARIABLES.set(if let [place] = places.as_slice() { Some(*place) } else { None });
    Ok(())
}

/// What an object of a class without items consists of.
fn words(object: &Bound<'_, PyAny>) -> Vec<usize> {
    // SAFETY: attached, and the object is valid and as long as its class says; a context is made of words.
    unsafe {
        let size = usize::try_from((*ffi::Py_TYPE(object.as_ptr())).tp_basicsize).unwrap_or_default();
        let begin = object.as_ptr().cast::<usize>();
        (0..size / size_of::<usize>()).map(|index| *begin.add(index)).collect()
    }
}
