//! A task's waits on a queue: for room, for an item, for all work to be done.

use pyo3::prelude::*;
use threefold_sync::error::{GetError, PutError};
use threefold_trace::Reason;
use threefold_wait::{Ticket, Wait, Withdrawal};

use crate::blocking::Subject;
use crate::operation::Operation;
use crate::python;
use crate::queue::PyQueue;

/// What a queue that has become compatible while a task waited tells that task.
fn moved() -> PyErr {
    pyo3::exceptions::PyRuntimeError::new_err(
        "the queue's insides (queue, mutex, ...) were first touched while this task waited for it; touch them earlier",
    )
}

/// Waiting to put an item.
pub(crate) struct PutItem {
    queue: Py<PyQueue>,
    item: Option<Py<PyAny>>,
}

impl PutItem {
    pub(crate) fn new(queue: Py<PyQueue>, item: Py<PyAny>) -> Self {
        Self { queue, item: Some(item) }
    }

    fn result(&self, py: Python<'_>, result: Result<(), PutError<()>>) -> PyResult<Py<PyAny>> {
        match result {
            Ok(()) => self.queue.get().settle_or_uncount(py).map(|()| py.None()),
            Err(PutError::Moved(())) => Err(moved()),
            Err(_) => Err(python::error(python::shut_down(py))),
        }
    }
}

impl Operation for PutItem {
    fn try_now(&mut self, py: Python<'_>) -> Option<PyResult<Py<PyAny>>> {
        match self.queue.get().queue.try_put(self.item.take()?) {
            Ok(()) => Some(self.result(py, Ok(()))),
            Err(PutError::Full(item)) => {
                self.item = Some(item);
                None
            }
            Err(PutError::ShutDown(_)) => Some(self.result(py, Err(PutError::ShutDown(())))),
            Err(PutError::Moved(_)) => Some(self.result(py, Err(PutError::Moved(())))),
        }
    }

    fn poll(&mut self, py: Python<'_>, ticket: &mut Ticket) -> Option<PyResult<Py<PyAny>>> {
        let result = self.queue.get().queue.put(&mut self.item).poll(ticket)?;
        Some(self.result(py, result))
    }

    fn withdraw(&mut self, py: Python<'_>, ticket: &mut Ticket, how: Withdrawal) -> Option<PyResult<Py<PyAny>>> {
        let result = self.queue.get().queue.put(&mut self.item).withdraw(ticket, how)?;
        Some(self.result(py, result))
    }

    fn timed_out(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Err(python::error(python::full(py)))
    }

    fn subject(&self, _py: Python<'_>) -> Subject {
        self.queue.get().subject(Reason::QueuePut)
    }

    fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.queue)?;
        visit.call(&self.item)
    }
}

/// Waiting to take an item.
pub(crate) struct GetItem {
    queue: Py<PyQueue>,
    /// What ends an `async for` instead of `ShutDown`.
    end: Option<fn(()) -> PyErr>,
}

impl GetItem {
    pub(crate) fn new(queue: Py<PyQueue>) -> Self {
        Self { queue, end: None }
    }

    /// For `async for`, which ends with another exception.
    pub(crate) fn iterating(queue: Py<PyQueue>, end: fn(()) -> PyErr) -> Self {
        Self { queue, end: Some(end) }
    }

    fn result(&self, py: Python<'_>, result: Result<Option<Py<PyAny>>, GetError>) -> PyResult<Py<PyAny>> {
        match (result, self.end) {
            (Ok(item), _) => self.queue.get().picked(py, item),
            (Err(GetError::Moved), _) => Err(moved()),
            (Err(_), Some(end)) => Err(end(())),
            (Err(_), None) => Err(python::error(python::shut_down(py))),
        }
    }
}

impl Operation for GetItem {
    fn try_now(&mut self, py: Python<'_>) -> Option<PyResult<Py<PyAny>>> {
        match self.queue.get().queue.try_get() {
            Err(GetError::Empty) => None,
            result => Some(self.result(py, result)),
        }
    }

    fn poll(&mut self, py: Python<'_>, ticket: &mut Ticket) -> Option<PyResult<Py<PyAny>>> {
        let result = self.queue.get().queue.get().poll(ticket)?;
        Some(self.result(py, result))
    }

    fn withdraw(&mut self, py: Python<'_>, ticket: &mut Ticket, how: Withdrawal) -> Option<PyResult<Py<PyAny>>> {
        let result = self.queue.get().queue.get().withdraw(ticket, how)?;
        Some(self.result(py, result))
    }

    fn timed_out(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Err(python::error(python::empty(py)))
    }

    fn subject(&self, _py: Python<'_>) -> Subject {
        self.queue.get().subject(Reason::QueueGet)
    }

    fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.queue)
    }
}

/// Waiting until all items have been dealt with.
pub(crate) struct JoinQueue(pub(crate) Py<PyQueue>);

impl JoinQueue {
    fn result(py: Python<'_>, result: Result<(), GetError>) -> PyResult<Py<PyAny>> {
        result.map(|()| py.None()).map_err(|_moved| moved())
    }
}

impl Operation for JoinQueue {
    fn try_now(&mut self, py: Python<'_>) -> Option<PyResult<Py<PyAny>>> {
        (self.0.get().queue.unfinished_count() == 0).then(|| Ok(py.None()))
    }

    fn poll(&mut self, py: Python<'_>, ticket: &mut Ticket) -> Option<PyResult<Py<PyAny>>> {
        Some(Self::result(py, self.0.get().queue.join().poll(ticket)?))
    }

    fn withdraw(&mut self, py: Python<'_>, ticket: &mut Ticket, how: Withdrawal) -> Option<PyResult<Py<PyAny>>> {
        Some(Self::result(py, self.0.get().queue.join().withdraw(ticket, how)?))
    }

    fn timed_out(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(py.None())
    }

    fn subject(&self, _py: Python<'_>) -> Subject {
        self.0.get().subject(Reason::QueueJoin)
    }

    fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.0)
    }
}
