//! A task's waits on a queue that processes share: for a message, for room, for all work to be done.

use std::sync::Arc;

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use threefold_shared_memory::Brief;
use threefold_shared_memory::lookout::Sight;
use threefold_shared_memory::queue::{Message, Outcome, Source, Stop};
use threefold_trace::Reason;

use super::pickle::{Buffers, Packed, unpack};
use super::queue::{SharedQueue, queue_error};
use super::task::{Attempt, Tried};
use super::timeout::ONCE;
use crate::blocking::Subject;
use crate::python;

/// What became of a call that does not wait: somebody who is in the section all the while counts as nothing to be had.
fn settle<T>(result: Result<Outcome<T>, Stop<threefold_shared_memory::Busy>>) -> PyResult<Option<T>> {
    match result {
        Ok(Outcome::Ready(output)) => Ok(Some(output)),
        Ok(Outcome::TimedOut) | Err(Stop::Driver(_)) => Ok(None),
        Err(Stop::Queue(error)) => Err(queue_error(&error)),
    }
}

/// Waiting to take an object.
pub(super) struct Get(pub(super) Py<SharedQueue>);

impl Attempt for Get {
    fn again(&mut self, py: Python<'_>) -> Tried {
        let received = settle(self.0.get().queue.get(ONCE, &mut Brief::new()))?;
        received.map(|received| unpack(py, received, Buffers::Copied)).transpose()
    }

    fn sight(&self) -> PyResult<Arc<dyn Sight>> {
        Ok(self.0.get().queue.filled_sight())
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

/// Waiting to put an object.
pub(super) struct Put {
    queue: Py<SharedQueue>,
    item: Option<Py<PyAny>>,
    /// Called with the error and the object, if that cannot be pickled; without it the error is raised.
    on_error: Option<Py<PyAny>>,
    /// The pickled object, once there was no room for it.
    kept: Option<Kept>,
}

/// A message's own copy of its bytes.
struct Kept {
    tag: u8,
    stream: Vec<u8>,
    buffers: Vec<Vec<u8>>,
}

impl Kept {
    fn of(message: Message<'_>) -> Self {
        let copy = |buffer: &Source<'_>| {
            let mut bytes = Vec::new();
            buffer.append_to(&mut bytes);
            bytes
        };
        let buffers = message.buffers.iter().map(copy).collect();
        Self { tag: message.tag, stream: message.stream.to_vec(), buffers }
    }
}

impl Put {
    pub(super) fn new(queue: Py<SharedQueue>, item: Py<PyAny>, on_error: Option<Py<PyAny>>) -> Self {
        Self { queue, item: Some(item), on_error, kept: None }
    }

    fn send(&self, message: Message<'_>) -> PyResult<bool> {
        let queue = &self.queue.get().queue;
        // Asked first: a long message would be copied into the queue's memory in vain.
        if queue.is_full() {
            return Ok(false);
        }
        Ok(settle(queue.put(message, ONCE, &mut Brief::new()))?.is_some())
    }

    fn refused(&self, error: PyErr, item: Py<PyAny>, py: Python<'_>) -> Tried {
        match &self.on_error {
            Some(on_error) if error.is_instance_of::<PyException>(py) => {
                on_error.call1(py, (error.into_value(py), item))?;
                Ok(Some(py.None()))
            }
            _ => Err(error),
        }
    }
}

impl Attempt for Put {
    fn first(&mut self, py: Python<'_>) -> Tried {
        let Some(item) = self.item.take() else { return self.again(py) };
        let packed = match Packed::of(item.bind(py)) {
            Ok(packed) => packed,
            Err(error) => return self.refused(error, item, py),
        };
        let is_put = packed.with_message(|message| {
            let is_put = self.send(message)?;
            Ok::<_, PyErr>(if is_put { None } else { Some(Kept::of(message)) })
        });
        self.kept = is_put??;
        Ok(self.kept.is_none().then(|| py.None()))
    }

    fn again(&mut self, py: Python<'_>) -> Tried {
        let Some(kept) = &self.kept else { return Ok(Some(py.None())) };
        let buffers: Vec<Source<'_>> = kept.buffers.iter().map(|buffer| buffer[..].into()).collect();
        let is_put = self.send(Message { tag: kept.tag, stream: &kept.stream, buffers: &buffers })?;
        Ok(is_put.then(|| py.None()))
    }

    fn sight(&self) -> PyResult<Arc<dyn Sight>> {
        Ok(self.queue.get().queue.taken_sight())
    }

    fn timed_out(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Err(python::error(python::full(py)))
    }

    fn subject(&self, _py: Python<'_>) -> Subject {
        Subject::unheld(Reason::QueuePut, self.queue.get())
    }

    fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.queue)?;
        visit.call(&self.item)?;
        visit.call(&self.on_error)
    }
}

/// Waiting until every object has been dealt with.
pub(super) struct Join(pub(super) Py<SharedQueue>);

impl Attempt for Join {
    fn again(&mut self, py: Python<'_>) -> Tried {
        let is_done = settle(self.0.get().queue.join(ONCE, &mut Brief::new()))?.is_some();
        Ok(is_done.then(|| py.None()))
    }

    fn sight(&self) -> PyResult<Arc<dyn Sight>> {
        Ok(self.0.get().queue.done_sight())
    }

    fn timed_out(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(py.None())
    }

    fn subject(&self, _py: Python<'_>) -> Subject {
        Subject::unheld(Reason::QueueJoin, self.0.get())
    }

    fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.0)
    }
}
