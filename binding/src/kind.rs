//! The three kinds of queue, and whether a subclass has changed what its kind does.

use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::queue::{PyLifoQueue, PyPriorityQueue, PyQueue};

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
