//! Who hears of a descriptor: a handle, which is made ready, a future, which gets its result, or a part of the engine,
//! which acts at once.

use std::sync::Arc;

use pyo3::prelude::*;
use threefold_event_loop::watch::Side;

/// Who hears of one side of a descriptor.
pub(super) enum Hearer {
    /// A handle of `add_reader` or `add_writer`.
    Handle(Py<PyAny>),
    /// The future of a task that waits for one piece of news.
    Future(Py<PyAny>),
    /// A transport.
    Native(Arc<dyn Native>),
}

/// A part of the engine that acts as soon as a descriptor is ready.
pub(super) trait Native: Send + Sync {
    /// The descriptor can be read or written to.
    ///
    /// # Errors
    /// What must leave the loop: `KeyboardInterrupt` and `SystemExit`. All else is reported where it happens.
    fn ready(&self, py: Python<'_>, side: Side) -> PyResult<()>;

    /// Shows the garbage collector what it refers to.
    fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError>;
}

impl Hearer {
    pub(super) fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Handle(handle) => Self::Handle(handle.clone_ref(py)),
            Self::Future(future) => Self::Future(future.clone_ref(py)),
            Self::Native(native) => Self::Native(Arc::clone(native)),
        }
    }

    pub(super) fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        match self {
            Self::Handle(object) | Self::Future(object) => visit.call(object),
            Self::Native(native) => native.traverse(visit),
        }
    }
}
