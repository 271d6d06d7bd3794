//! The fast forms of `put` and `get`, for all kinds of queue.

use pyo3::prelude::*;
use threefold_sync::Queue;
use threefold_sync::error::PutError;

use crate::ffi::{self, Arguments, Fast, fast_method};
use crate::queue::PyQueue;

fast_method!(FastPut, PyQueue, c"put", |this, arguments| {
    if !this.is_ranked() { put_fast(&this.queue, arguments) } else { Fast::Slow }
});

fast_method!(FastGet, PyQueue, c"get", |this, arguments| {
    if arguments.is_empty() && !this.is_ranked() { get_fast(&this.queue) } else { Fast::Slow }
});

/// Puts without waiting, outside PyO3's bookkeeping.
#[inline]
pub(crate) fn put_fast(queue: &Queue<Py<PyAny>>, arguments: &Arguments<'_>) -> Fast {
    let Some(item) = arguments.only() else { return Fast::Slow };
    match queue.try_put(item) {
        Ok(()) => Fast::Nothing,
        Err(PutError::Full(item) | PutError::ShutDown(item) | PutError::Moved(item)) => {
            forget(item);
            Fast::Slow
        }
    }
}

/// Gets without waiting, outside PyO3's bookkeeping.
#[inline]
pub(crate) fn get_fast(queue: &Queue<Py<PyAny>>) -> Fast {
    match queue.try_get() {
        Ok(Some(item)) => Fast::Object(item),
        _ => Fast::Slow,
    }
}

/// Drops a reference outside PyO3's bookkeeping. The caller's own keeps the object alive.
#[cold]
fn forget(item: Py<PyAny>) {
    Python::attach(|_py| drop(item));
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    ffi::install::<FastPut>(module.py())?;
    ffi::install::<FastGet>(module.py())
}
