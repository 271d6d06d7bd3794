//! Objects of the standard library that we use, each looked up once.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

macro_rules! imported {
    ($(#[$documentation:meta] $function:ident = $module:literal, $attribute:literal;)*) => {$(
        #[$documentation]
        pub(crate) fn $function(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
            static CELL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
            CELL.get_or_try_init(py, || Ok(py.import($module)?.getattr($attribute)?.unbind())).map(|object| object.bind(py))
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
    /// `threading.BrokenBarrierError`.
    broken_barrier_error = "threading", "BrokenBarrierError";
    /// The table of live `threading.Thread` objects by identifier.
    active_threads = "threading", "_active";
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
    static CELL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let create_future = || Ok(base_event_loop(py)?.getattr("create_future")?.unbind());
    CELL.get_or_try_init(py, create_future).map(|object| object.bind(py))
}

/// The name of an object's class for a `repr`: that of the standard library's class, or a subclass's own.
pub(crate) fn class_name(object: &Bound<'_, PyAny>) -> PyResult<String> {
    let class = object.get_type();
    let module = class.module()?.to_string();
    Ok(format!("{}.{}", module.strip_prefix("threefold.").unwrap_or(&module), class.qualname()?))
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
