//! Futures and tasks of an event loop: the interpreter's own classes, called without a line of Python on the way.

use std::sync::OnceLock;

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

use super::call_complete;
use super::handles::add;

/// What tasks and futures belong to: an event loop.
pub(crate) trait TaskMaker: pyo3::PyClass<Frozen = pyo3::pyclass::boolean_struct::True> + Sync {
    /// Whether it is in debug mode.
    fn is_debugging(&self) -> bool;
    /// Whether tasks are made without looking at anything else: it is open, not in debug mode, and has no task factory.
    fn makes_plain_tasks(&self) -> bool;
}

struct Makers {
    /// What is in `asyncio.tasks` and `asyncio.futures`: programs may put other classes there.
    tasks: Py<PyDict>,
    futures: Py<PyDict>,
    task_name: Py<PyString>,
    future_name: Py<PyString>,
    /// The interpreter's own future: without arguments it belongs to the loop that runs on this thread.
    plain_future: Py<PyAny>,
    running_loop: Py<PyAny>,
    /// `("loop",)`.
    loop_keyword: Py<PyTuple>,
    create_task: OnceLock<Py<PyAny>>,
    create_future: OnceLock<Py<PyAny>>,
    get_debug: OnceLock<Py<PyAny>>,
}

static MAKERS: OnceLock<Makers> = OnceLock::new();

/// The most keywords that `create_task` passes on: `name`, `context`, `eager_start`.
const MOST_KEYWORDS: usize = 3;

/// Puts fast methods in front of those of the class `complete`.
///
/// # Errors
/// They were installed already.
pub(crate) fn install<M: TaskMaker>(complete: &Bound<'_, PyType>) -> PyResult<()> {
    let py = complete.py();
    let names_of = |module: &str| -> PyResult<Py<PyDict>> {
        Ok(py.import(module)?.getattr("__dict__")?.cast_into::<PyDict>()?.unbind())
    };
    let makers = Makers {
        tasks: names_of("asyncio.tasks")?,
        futures: names_of("asyncio.futures")?,
        task_name: PyString::intern(py, "Task").unbind(),
        future_name: PyString::intern(py, "Future").unbind(),
        plain_future: py.import("_asyncio")?.getattr("Future")?.unbind(),
        running_loop: py.import("_asyncio")?.getattr("_get_running_loop")?.unbind(),
        loop_keyword: PyTuple::new(py, [PyString::intern(py, "loop")])?.unbind(),
        create_task: OnceLock::from(complete.getattr("create_task")?.unbind()),
        create_future: OnceLock::from(complete.getattr("create_future")?.unbind()),
        get_debug: OnceLock::from(complete.getattr("get_debug")?.unbind()),
    };
    if MAKERS.set(makers).is_err() {
        return Err(PyTypeError::new_err("the tasks of event loops are installed once"));
    }
    let class = py.get_type::<M>();
    add(&class, c"create_task", create_task::<M>)?;
    add(&class, c"create_future", create_future::<M>)?;
    add(&class, c"get_debug", get_debug::<M>)
}

/// The loop's own part of a method's receiver.
///
/// # Safety
/// Attached; `this` is an instance of `M`, alive for `'a`.
#[inline]
unsafe fn maker<'a, M: TaskMaker>(this: *mut ffi::PyObject) -> &'a M {
    // SAFETY: the caller's; the class is frozen, so that shared references to its content are all there are.
    unsafe {
        let content: *const M = Borrowed::from_ptr(Python::assume_attached(), this).cast_unchecked::<M>().get();
        &*content
    }
}

unsafe extern "C" fn get_debug<M: TaskMaker>(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keyword_names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let Some(makers) = MAKERS.get() else { return std::ptr::null_mut() };
    // SAFETY: CPython calls methods attached, with an instance of the descriptor's class, alive during the call.
    unsafe {
        if count != 0 || !keyword_names.is_null() {
            return call_complete(&makers.get_debug, this, arguments, count, keyword_names);
        }
        ffi::Py_NewRef(if maker::<M>(this).is_debugging() { ffi::Py_True() } else { ffi::Py_False() })
    }
}

unsafe extern "C" fn create_future<M: TaskMaker>(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keyword_names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let Some(makers) = MAKERS.get() else { return std::ptr::null_mut() };
    // SAFETY: as above; the class is held during its call, and the loop is the value of the only keyword.
    unsafe {
        if count != 0 || !keyword_names.is_null() {
            return call_complete(&makers.create_future, this, arguments, count, keyword_names);
        }
        let class = ffi::PyDict_GetItemWithError(makers.futures.as_ptr(), makers.future_name.as_ptr());
        if class.is_null() {
            return call_complete(&makers.create_future, this, arguments, count, keyword_names);
        }
        // Naming the loop costs a dictionary; earlier interpreters ask the kernel who they are when they look for theirs.
        if cfg!(Py_3_14) && class == makers.plain_future.as_ptr() {
            let running = ffi::PyObject_CallNoArgs(makers.running_loop.as_ptr());
            if running == this {
                ffi::Py_DECREF(running);
                return ffi::PyObject_CallNoArgs(class);
            }
            if running.is_null() {
                return running;
            }
            ffi::Py_DECREF(running);
        }
        let class = ffi::Py_NewRef(class);
        let given = [std::ptr::null_mut(), this];
        let future = ffi::PyObject_Vectorcall(
            class,
            given.as_ptr().add(1),
            ffi::PY_VECTORCALL_ARGUMENTS_OFFSET,
            makers.loop_keyword.as_ptr(),
        );
        ffi::Py_DECREF(class);
        future
    }
}

unsafe extern "C" fn create_task<M: TaskMaker>(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keyword_names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let Some(makers) = MAKERS.get() else { return std::ptr::null_mut() };
    // SAFETY: as above.
    unsafe {
        if count == 1 && maker::<M>(this).makes_plain_tasks() {
            if let Some(task) = new_task(makers, this, arguments, keyword_names) {
                return task;
            }
        }
        call_complete(&makers.create_task, this, arguments, count, keyword_names)
    }
}

/// The new task, or null with an exception; none if this is not the common case.
///
/// # Safety
/// Attached; `arguments` are one positional one and one for each name of a keyword in the tuple.
#[allow(clippy::cast_sign_loss, clippy::cast_possible_wrap, reason = "a tuple's length, and an index in it")]
unsafe fn new_task(
    makers: &Makers,
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    keyword_names: *mut ffi::PyObject,
) -> Option<*mut ffi::PyObject> {
    // SAFETY: the caller's; what is called and what it is given are alive during the call.
    unsafe {
        let keyword_count = if keyword_names.is_null() { 0 } else { ffi::PyTuple_GET_SIZE(keyword_names) as usize };
        if keyword_count > MOST_KEYWORDS {
            return None;
        }
        let class = ffi::PyDict_GetItemWithError(makers.tasks.as_ptr(), makers.task_name.as_ptr());
        if class.is_null() {
            return None;
        }
        let mut given = [std::ptr::null_mut(); MOST_KEYWORDS + 3];
        let loop_name = ffi::PyTuple_GET_ITEM(makers.loop_keyword.as_ptr(), 0);
        let names = if keyword_count == 0 {
            ffi::Py_NewRef(makers.loop_keyword.as_ptr())
        } else {
            let names = ffi::PyTuple_New((keyword_count + 1) as ffi::Py_ssize_t);
            if names.is_null() {
                return Some(names);
            }
            for index in 0..keyword_count {
                let name = ffi::PyTuple_GET_ITEM(keyword_names, index as ffi::Py_ssize_t);
                if !is_passed_on(name) {
                    ffi::Py_DECREF(names);
                    return None;
                }
                ffi::PyTuple_SET_ITEM(names, index as ffi::Py_ssize_t, ffi::Py_NewRef(name));
            }
            ffi::PyTuple_SET_ITEM(names, keyword_count as ffi::Py_ssize_t, ffi::Py_NewRef(loop_name));
            names
        };
        for (index, place) in given.iter_mut().skip(1).take(keyword_count + 1).enumerate() {
            *place = *arguments.add(index);
        }
        if let Some(place) = given.get_mut(keyword_count + 2) {
            *place = this;
        }
        let class = ffi::Py_NewRef(class);
        let task =
            ffi::PyObject_Vectorcall(class, given.as_ptr().add(1), 1 | ffi::PY_VECTORCALL_ARGUMENTS_OFFSET, names);
        ffi::Py_DECREF(class);
        ffi::Py_DECREF(names);
        Some(task)
    }
}

/// Whether the loop's method passes a keyword on to the task's class, in this Python.
///
/// # Safety
/// Attached; `name` is a `str`.
unsafe fn is_passed_on(name: *mut ffi::PyObject) -> bool {
    // SAFETY: the caller's; the texts end with zeros.
    unsafe {
        ffi::PyUnicode_CompareWithASCIIString(name, c"name".as_ptr()) == 0
            || ffi::PyUnicode_CompareWithASCIIString(name, c"context".as_ptr()) == 0
    }
}
