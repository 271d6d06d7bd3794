//! A part of a message that is looked at where it lies, and stays there as long as somebody looks.

use std::sync::Arc;

use pyo3::prelude::*;
use threefold_shared_memory::queue::{Received, Source};

use crate::ffi::Exported;

/// Read-only bytes in a queue's memory: the target of a memoryview. They stay the process's until the last view is gone.
#[pyclass(frozen, module = "threefold._threefold")]
pub(crate) struct SharedPart {
    received: Arc<Received>,
    part: usize,
}

impl SharedPart {
    /// A memoryview of a part.
    pub(super) fn view(py: Python<'_>, received: &Arc<Received>, part: usize) -> PyResult<Py<PyAny>> {
        let this = Bound::new(py, Self { received: Arc::clone(received), part })?;
        Ok(pyo3::types::PyMemoryView::from(&this)?.into_any().unbind())
    }
}

impl Exported for SharedPart {
    fn source(&self) -> Option<Source<'_>> {
        self.received.source(self.part)
    }
}
