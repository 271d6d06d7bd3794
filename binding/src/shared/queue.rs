//! The queue behind `Queue`, `JoinableQueue` and `SimpleQueue` of `threefold.multiprocessing`.

use std::os::fd::AsRawFd;

use pyo3::exceptions::{PyException, PyMemoryError, PyOSError, PyValueError};
use pyo3::prelude::*;
use threefold_shared_memory::queue::{Options, Outcome, Queue, QueueError, Stop};

use super::driver::PythonDriver;
use super::pickle::{Buffers, Packed, unpack};
use super::queue_task::{Get, Join, Put};
use super::task::awaitable;
use super::timeout::{deadline_if, is_ready, patience};
use crate::acquire::boolean;
use crate::convert::Patience;
use crate::wait::PyWait;
use crate::{convert::truth, python};

/// A queue of objects that processes share.
#[pyclass(frozen, module = "threefold._threefold")]
pub(crate) struct SharedQueue {
    pub(super) queue: Queue,
}

#[pymethods]
impl SharedQueue {
    /// For at most `maxsize` objects (0: any number) in `max_bytes` of memory (None: half of what there is).
    #[new]
    #[pyo3(signature = (maxsize, max_bytes=None))]
    fn new(maxsize: u64, max_bytes: Option<u64>) -> PyResult<Self> {
        let defaults = Options::default();
        let message_cap = Some(maxsize).filter(|&cap| cap > 0);
        let queue = Queue::create(&Options { message_cap, byte_cap: max_bytes.unwrap_or(defaults.byte_cap) });
        Ok(Self { queue: queue.map_err(|error| queue_error(&error))? })
    }

    /// The one that another process made, behind a descriptor of this process, which stays open.
    #[staticmethod]
    fn _find(descriptor: i32) -> PyResult<Self> {
        let queue = Queue::reopen(std::process::id(), descriptor).map_err(|error| queue_error(&error))?;
        Ok(Self { queue })
    }

    /// The descriptor that `_find` needs in another process.
    fn _descriptor(&self) -> i32 {
        self.queue.descriptor().as_raw_fd()
    }

    /// Pickles an object and puts it.
    ///
    /// Args:
    ///     item: the object.
    ///     block: whether to wait while the queue is full.
    ///     timeout: seconds to wait at most; None waits for ever.
    ///
    /// Returns:
    ///     Whether there was room in time, or the error of an object that cannot be pickled.
    #[pyo3(signature = (item, block=None, timeout=None), text_signature = "($self, item, block=True, timeout=None)")]
    fn put(
        &self,
        item: &Bound<'_, PyAny>,
        block: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let py = item.py();
        let packed = match Packed::of(item) {
            Err(error) if error.is_instance_of::<PyException>(py) => return Ok(error.into_value(py).into_any()),
            packed => packed?,
        };
        let deadline = deadline_if(truth(block, true)?, timeout)?;
        let mut driver = PythonDriver::new(py, self, deadline);
        let outcome = packed.with_message(|message| self.queue.put(message, deadline, &mut driver))?.map_err(stop)?;
        boolean(py, is_ready(&outcome))
    }

    /// Takes the first object.
    ///
    /// Args:
    ///     block: whether to wait while the queue is empty.
    ///     timeout: seconds to wait at most; None waits for ever.
    ///     zero_copy: whether large buffers stay where they are: as read-only views that keep their memory.
    ///
    /// Raises:
    ///     Empty: there was none in time.
    #[pyo3(
        signature = (block=None, timeout=None, zero_copy=false),
        text_signature = "($self, block=True, timeout=None, zero_copy=False)"
    )]
    fn get(
        &self,
        py: Python<'_>,
        block: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
        zero_copy: bool,
    ) -> PyResult<Py<PyAny>> {
        let deadline = deadline_if(truth(block, true)?, timeout)?;
        let mut driver = PythonDriver::new(py, self, deadline);
        let buffers = if zero_copy { Buffers::InPlace } else { Buffers::Copied };
        match self.queue.get(deadline, &mut driver).map_err(stop)? {
            Outcome::Ready(received) => unpack(py, received, buffers),
            Outcome::TimedOut => Err(python::error(python::empty(py))),
        }
    }

    /// Pickles an object and puts it, in a task.
    ///
    /// Args:
    ///     item: the object, pickled when the awaitable is first awaited.
    ///     timeout: seconds to wait at most; None waits for ever.
    ///     on_error: called with the error and the object if that cannot be pickled; None raises the error.
    ///
    /// Returns:
    ///     An awaitable of None.
    ///
    /// Raises:
    ///     Full: there was no room in time.
    #[pyo3(signature = (item, timeout=None, on_error=None))]
    fn put_async(
        this: Py<Self>,
        item: Py<PyAny>,
        timeout: Option<&Bound<'_, PyAny>>,
        on_error: Option<Py<PyAny>>,
    ) -> PyResult<PyWait> {
        Ok(awaitable(Put::new(this, item, on_error), patience(timeout)?))
    }

    /// Takes the first object, in a task.
    ///
    /// Args:
    ///     timeout: seconds to wait at most; None waits for ever.
    ///
    /// Returns:
    ///     An awaitable of the object.
    ///
    /// Raises:
    ///     Empty: there was none in time.
    #[pyo3(signature = (timeout=None))]
    fn get_async(this: Py<Self>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<PyWait> {
        Ok(awaitable(Get(this), patience(timeout)?))
    }

    /// Waits in a task until every object that was put has been dealt with.
    fn join_async(this: Py<Self>) -> PyWait {
        awaitable(Join(this), Patience::Endless)
    }

    /// How many objects are in the queue.
    fn qsize(&self) -> u64 {
        self.queue.len()
    }

    /// Whether as many objects are in the queue as may be.
    fn full(&self) -> bool {
        self.queue.message_cap().is_some_and(|cap| self.queue.len() >= cap)
    }

    /// Says that one object that was taken has been dealt with.
    ///
    /// Raises:
    ///     ValueError: all have been already.
    fn task_done(&self) -> PyResult<()> {
        self.queue.task_done().map_err(|error| queue_error(&error))
    }

    /// Waits until every object that was put has been dealt with.
    fn join(&self, py: Python<'_>) -> PyResult<()> {
        self.queue.join(None, &mut PythonDriver::new(py, self, None)).map(drop).map_err(stop)
    }
}

fn stop(stop: Stop<PyErr>) -> PyErr {
    match stop {
        Stop::Queue(error) => queue_error(&error),
        Stop::Driver(error) => error,
    }
}

pub(super) fn queue_error(error: &QueueError) -> PyErr {
    match error {
        QueueError::OutOfMemory { .. } => PyMemoryError::new_err(error.to_string()),
        QueueError::TooManyDone => PyValueError::new_err("task_done() called too many times"),
        QueueError::System(cause) => match cause.raw_os_error() {
            Some(number) => PyOSError::new_err((number, error.to_string())),
            None => PyOSError::new_err(error.to_string()),
        },
        _ => PyOSError::new_err(error.to_string()),
    }
}
