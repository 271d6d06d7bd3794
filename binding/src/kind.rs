//! The three kinds of queue, and whether a subclass has changed what its kind does.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use crate::queue::PyQueue;

/// Which item a queue yields next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Fifo,
    Lifo,
    Priority,
}

/// What a subclass may override to store its items elsewhere.
const HOOKS: [&str; 4] = ["_init", "_qsize", "_put", "_get"];

impl Kind {
    /// Whether a class derived from this kind's own overrides a hook.
    pub(crate) fn is_overridden(self, class: &Bound<'_, PyType>) -> PyResult<bool> {
        let py = class.py();
        let own = match self {
            Self::Fifo => py.get_type::<PyQueue>(),
            Self::Lifo => py.get_type::<PyLifoQueue>(),
            Self::Priority => py.get_type::<PyPriorityQueue>(),
        };
        if class.is(&own) {
            return Ok(false);
        }
        for hook in HOOKS {
            if !class.getattr(hook)?.is(&own.getattr(hook)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A queue that yields the newest item first.
///
/// Source: CPython Lib/queue.py, LifoQueue.
#[pyclass(frozen, extends = PyQueue, subclass, module = "threefold.queue", name = "LifoQueue")]
pub(crate) struct PyLifoQueue;

#[pymethods]
impl PyLifoQueue {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords), text_signature = "(maxsize=0)")]
    fn new(
        py: Python<'_>,
        _arguments: &Bound<'_, PyTuple>,
        _keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<Self> {
        PyClassInitializer::from(PyQueue::create(py, Kind::Lifo)).add_subclass(Self)
    }
}

/// A queue that yields the lowest item first; items are compared by `<`.
///
/// Source: CPython Lib/queue.py, PriorityQueue.
#[pyclass(frozen, extends = PyQueue, subclass, module = "threefold.queue", name = "PriorityQueue")]
pub(crate) struct PyPriorityQueue;

#[pymethods]
impl PyPriorityQueue {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords), text_signature = "(maxsize=0)")]
    fn new(
        py: Python<'_>,
        _arguments: &Bound<'_, PyTuple>,
        _keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<Self> {
        PyClassInitializer::from(PyQueue::create(py, Kind::Priority)).add_subclass(Self)
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyLifoQueue>()?;
    module.add_class::<PyPriorityQueue>()
}
