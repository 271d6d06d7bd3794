//! `SimpleQueue`: the unbounded queue without `task_done` and `join`.

use std::collections::VecDeque;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use threefold_sync::Queue;
use threefold_sync::error::GetError;
use threefold_sync::queue::Order;
use threefold_trace::{Owner, Reason};
use threefold_wait::{Ticket, Wait, Withdrawal};

use crate::blocking::{self, Subject};
use crate::convert::{Constructed, Patience, queue_patience, truth, wait_patience};
use crate::ffi::{self, fast_method};
use crate::lock::cannot_pickle;
use crate::operation::Operation;
use crate::python;
use crate::queue_fast::{get_fast, put_fast};
use crate::wait::PyWait;

/// An unbounded queue, first in, first out; `put` never waits and may be called from anywhere.
///
/// Differs from the standard library: also serves asyncio tasks.
///
/// Source: CPython queue.SimpleQueue.
#[pyclass(frozen, weakref, subclass, module = "threefold.queue", name = "SimpleQueue")]
pub(crate) struct PySimpleQueue {
    queue: Queue<Py<PyAny>>,
    constructed: Constructed,
}

impl PySimpleQueue {
    fn get_with(&self, py: Python<'_>, patience: Patience) -> PyResult<Py<PyAny>> {
        let item = match self.queue.try_get() {
            Ok(item) => item,
            Err(_) if matches!(patience, Patience::None) => None,
            Err(_) => {
                let subject = || Subject::unheld(Reason::QueueGet, self);
                let got = blocking::wait(py, &mut self.queue.get(), Owner::thread(), patience, subject)?;
                got.and_then(Result::ok).flatten()
            }
        };
        item.ok_or_else(|| python::error(python::empty(py)))
    }
}

#[pymethods]
impl PySimpleQueue {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords), text_signature = "()")]
    fn new(_arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) -> Self {
        Self { queue: Queue::new(Order::FirstInFirstOut, 0), constructed: Constructed::YES }
    }

    /// Puts an item in, at once.
    ///
    /// Args:
    ///     item: any object.
    ///     block: ignored; there is always room.
    ///     timeout: ignored.
    #[pyo3(signature = (item, block=None, timeout=None), text_signature = "($self, item, block=True, timeout=None)")]
    fn put(&self, item: Py<PyAny>, block: Option<&Bound<'_, PyAny>>, timeout: Option<&Bound<'_, PyAny>>) {
        // Taken for compatibility only.
        let _ = (block, timeout);
        // Always open and unbounded: nothing can refuse the item.
        let _stored = self.queue.try_put(item);
    }

    /// As `put(item)`.
    fn put_nowait(&self, item: Py<PyAny>) {
        self.put(item, None, None);
    }

    /// Takes an item out.
    ///
    /// Args:
    ///     block: whether to wait for an item when the queue is empty.
    ///     timeout: seconds to wait at most; None waits for ever.
    ///
    /// Returns:
    ///     The item.
    ///
    /// Raises:
    ///     Empty: there was no item in time.
    ///     ValueError: a negative timeout.
    #[pyo3(signature = (block=None, timeout=None), text_signature = "($self, block=True, timeout=None)")]
    fn get(
        &self,
        py: Python<'_>,
        block: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        self.get_with(py, queue_patience(truth(block, true)?, timeout)?)
    }

    /// As `get(block=False)`.
    fn get_nowait(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.get_with(py, Patience::None)
    }

    /// Puts an item in, from a task: an awaitable that never waits.
    fn put_async(this: &Bound<'_, Self>, item: Py<PyAny>) -> PyWait {
        let (queue, mut item) = (this.clone().unbind(), Some(item));
        crate::acquire::leave_async(move |py| {
            if let Some(item) = item.take() {
                queue.bind(py).get().put(item, None, None);
            }
            Ok(())
        })
    }

    /// Takes an item out, in a task.
    ///
    /// Args:
    ///     timeout: seconds to wait at most for an item; None waits for ever.
    ///
    /// Returns:
    ///     An awaitable of the item. A task that is cancelled while it waits takes nothing.
    ///
    /// Raises:
    ///     Empty: there was no item in time.
    #[pyo3(signature = (timeout=None))]
    fn get_async(this: Py<Self>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<PyWait> {
        Ok(PyWait::new(GetSimply(this), wait_patience(timeout)?))
    }

    /// Puts many items in, in one step.
    fn put_many(&self, items: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut items = items.try_iter()?.map(|item| item.map(Bound::unbind)).collect::<PyResult<VecDeque<_>>>()?;
        let _stored = self.queue.try_put_many(&mut items);
        Ok(())
    }

    /// Takes many items out: waits for the first, and takes what else is there.
    ///
    /// Args:
    ///     max: how many at most, at least 1.
    ///     timeout: seconds to wait at most for the first; None waits for ever.
    ///
    /// Returns:
    ///     A list of 1 to max items.
    ///
    /// Raises:
    ///     Empty: there was no item in time.
    ///     ValueError: max is less than 1, or the timeout is negative.
    #[pyo3(signature = (max, timeout=None))]
    fn get_many(&self, py: Python<'_>, max: i64, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<Py<PyAny>>> {
        let Some(others) = usize::try_from(max).ok().and_then(|max| max.checked_sub(1)) else {
            return Err(PyValueError::new_err("'max' must be at least 1"));
        };
        let first = self.get_with(py, queue_patience(true, timeout)?)?;
        let others = self.queue.try_get_many(others);
        Ok(std::iter::once(first).chain(others.into_iter().flatten()).collect())
    }

    /// How many items it holds; more may come or go any time.
    fn qsize(&self) -> usize {
        self.queue.len()
    }

    /// Whether it holds no item; one may come any time.
    fn empty(&self) -> bool {
        self.queue.is_empty()
    }

    #[classmethod]
    fn __class_getitem__<'py>(class: &Bound<'py, PyType>, item: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        python::generic_alias(class, item)
    }

    fn __reduce__(this: &Bound<'_, Self>) -> PyResult<()> {
        Err(cannot_pickle(this.as_any()))
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        if !self.constructed.is_true() {
            return Ok(());
        }
        let mut result = Ok(());
        self.queue.visit(|item| {
            if result.is_ok() {
                result = visit.call(item);
            }
        });
        result
    }

    fn __clear__(&self) {
        drop(self.queue.clear());
    }
}

/// A task's wait for an item.
struct GetSimply(Py<PySimpleQueue>);

impl GetSimply {
    fn result(py: Python<'_>, result: Result<Option<Py<PyAny>>, GetError>) -> PyResult<Py<PyAny>> {
        result.ok().flatten().ok_or_else(|| python::error(python::empty(py)))
    }
}

impl Operation for GetSimply {
    fn try_now(&mut self, py: Python<'_>) -> Option<PyResult<Py<PyAny>>> {
        self.0.get().queue.try_get().ok().map(|item| Self::result(py, Ok(item)))
    }

    fn poll(&mut self, py: Python<'_>, ticket: &mut Ticket) -> Option<PyResult<Py<PyAny>>> {
        Some(Self::result(py, self.0.get().queue.get().poll(ticket)?))
    }

    fn withdraw(&mut self, py: Python<'_>, ticket: &mut Ticket, how: Withdrawal) -> Option<PyResult<Py<PyAny>>> {
        Some(Self::result(py, self.0.get().queue.get().withdraw(ticket, how)?))
    }

    fn timed_out(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Err(python::error(python::empty(py)))
    }

    fn subject(&self, _py: Python<'_>) -> Subject {
        Subject::unheld(Reason::QueueGet, self.0.get())
    }

    fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.0)
    }
}

fast_method!(FastPut, PySimpleQueue, c"put", |this, arguments| put_fast(&this.queue, arguments));

fast_method!(FastGet, PySimpleQueue, c"get", |this, arguments| {
    if arguments.is_empty() { get_fast(&this.queue) } else { ffi::Fast::Slow }
});

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PySimpleQueue>()?;
    let py = module.py();
    ffi::install::<FastPut>(py)?;
    ffi::install::<FastGet>(py)
}
