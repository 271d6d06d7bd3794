//! The fast forms of `put` and `get`, for all kinds of queue.

use pyo3::prelude::*;
use threefold_sync::Queue;
use threefold_sync::error::PutError;

use crate::convert::Patience;
use crate::ffi::{self, Arguments, Fast, fast_method};
use crate::queue::PyQueue;
use crate::queue_wait::{GetItem, PutItem};
use crate::wait::PyWait;

fast_method!(FastPut, PyQueue, c"put", |this, arguments| {
    if this.is_ranked() { Fast::Slow } else { put_fast(&this.queue, arguments) }
});

fast_method!(FastGet, PyQueue, c"get", |this, arguments| {
    if arguments.is_empty() && !this.is_ranked() { get_fast(&this.queue) } else { Fast::Slow }
});

fast_method!(FastPutAsync, PyQueue, c"put_async", |this, arguments| {
    match arguments.only() {
        Some(item) if !this.has_moved() => {
            let operation = PutItem::new(arguments.receiver::<FastPutAsync>(), item);
            awaitable(arguments, PyWait::new(operation, Patience::Endless))
        }
        Some(item) => {
            forget(item);
            Fast::Slow
        }
        None => Fast::Slow,
    }
});

fast_method!(FastGetAsync, PyQueue, c"get_async", |this, arguments| {
    if arguments.is_empty() && !this.has_moved() {
        let operation = GetItem::new(arguments.receiver::<FastGetAsync>());
        awaitable(arguments, PyWait::new(operation, Patience::Endless))
    } else {
        Fast::Slow
    }
});

fn awaitable(arguments: &Arguments<'_, '_>, wait: PyWait) -> Fast {
    match Py::new(arguments.py(), wait) {
        Ok(wait) => Fast::Object(wait.into_any()),
        // No memory: the complete method fails the same way, and says so.
        Err(_no_memory) => Fast::Slow,
    }
}

/// Puts without waiting, outside PyO3's bookkeeping.
#[inline]
pub(crate) fn put_fast(queue: &Queue<Py<PyAny>>, arguments: &Arguments<'_, '_>) -> Fast {
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
    ffi::install::<FastGet>(module.py())?;
    ffi::install::<FastPutAsync>(module.py())?;
    ffi::install::<FastGetAsync>(module.py())
}
