//! Objects of the standard library that we use, each looked up once.

use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::kept::{Kept, intern};

macro_rules! imported {
    ($(#[$documentation:meta] $function:ident = $module:literal, $attribute:expr;)*) => {$(
        #[$documentation]
        pub(crate) fn $function(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
            static OBJECT: Kept<PyAny> = Kept::new();
            OBJECT.get_or_find(py, || py.import($module)?.getattr($attribute))
        }
    )*};
}

imported! {
    /// `queue.Empty`.
    empty = "_queue", "Empty";
    /// `queue.Full`.
    full = "queue", "Full";
    /// `queue.ShutDown`, or ours where there is none.
    shut_down = "threefold.queue", "ShutDown";
    /// `threefold.OwnerDied`.
    owner_died = "threefold._errors", "OwnerDied";
    /// `threading.BrokenBarrierError`.
    broken_barrier_error = "threading", "BrokenBarrierError";
    /// The table of live `threading.Thread` objects by identifier.
    active_threads = "threading", "_active";
    /// Whether the interpreter ends: only the thread that ends it runs then, so nobody is left who could wake it.
    is_finalizing = "sys", "is_finalizing";
    /// What is raised instead of a wait for ever then: `PythonFinalizationError`, before 3.13 its base class.
    finalization_error = "builtins", if cfg!(Py_3_13) { "PythonFinalizationError" } else { "RuntimeError" };
    /// `asyncio.current_task`.
    current_task = "asyncio", "current_task";
    /// `asyncio.get_running_loop`.
    running_loop = "asyncio", "get_running_loop";
    /// The event loop that runs on this thread, or `None`.
    maybe_running_loop = "asyncio.events", "_get_running_loop";
    /// `asyncio.InvalidStateError`.
    invalid_state_error = "asyncio", "InvalidStateError";
    /// `asyncio.Future`.
    future_class = "asyncio", "Future";
    /// The asyncio module's own loops, whose futures are asyncio's own.
    base_event_loop = "asyncio", "BaseEventLoop";
    /// `heapq.heappush`.
    heappush = "heapq", "heappush";
    /// `heapq.heappop`.
    heappop = "heapq", "heappop";
    /// The slower, fully visible queue.
    compatible_queue = "threefold._compatible_queue", "CompatibleQueue";
    /// Our own package's folder.
    package_path = "threefold", "__path__";
    /// Waits for a predicate on a condition, in a task.
    condition_wait_for = "threefold._conditions", "wait_for_async";
}

/// `create_future` of asyncio's own loops.
pub(crate) fn base_create_future(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static OBJECT: Kept<PyAny> = Kept::new();
    OBJECT.get_or_find(py, || base_event_loop(py)?.getattr("create_future"))
}

/// The name of an object's class for a `repr`: that of the standard library's class, or a subclass's own.
pub(crate) fn class_name(object: &Bound<'_, PyAny>) -> PyResult<String> {
    let (py, class) = (object.py(), object.get_type());
    let module = class.getattr(intern!(py, "__module__"))?.to_string();
    let name = class.getattr(intern!(py, "__qualname__"))?;
    Ok(format!("{}.{name}", module.strip_prefix("threefold.").unwrap_or(&module)))
}

/// Warns the caller that it uses something that is on its way out.
pub(crate) fn warn_deprecated(py: Python<'_>, message: &std::ffi::CStr) -> PyResult<()> {
    PyErr::warn(py, &py.get_type::<pyo3::exceptions::PyDeprecationWarning>(), message, 1)
}

/// An error of a class that was looked up.
pub(crate) fn error(class: PyResult<&Bound<'_, PyAny>>) -> PyErr {
    match class.and_then(|class| class.cast::<PyType>().cloned().map_err(PyErr::from)) {
        Ok(class) => PyErr::from_type(class, ()),
        Err(error) => error,
    }
}

/// A class method `__class_getitem__` for classes that take item types: `Queue[int]`.
pub(crate) fn generic_alias<'py>(class: &Bound<'py, PyType>, item: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    class.py().import("types")?.getattr("GenericAlias")?.call1((class, item))
}

/// `error`, which was raised when `earlier` had happened, as Python shows it.
pub(crate) fn in_view_of(py: Python<'_>, error: PyErr, earlier: Option<&PyErr>) -> PyErr {
    if let Some(earlier) = earlier {
        // Only the traceback would be poorer.
        let _shown = error.value(py).setattr(intern!(py, "__context__"), earlier.value(py));
    }
    error
}
