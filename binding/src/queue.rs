//! `Queue`, `LifoQueue`, `PriorityQueue`.

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

use pyo3::exceptions::{PyStopAsyncIteration, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use threefold_sync::Queue;
use threefold_sync::error::{DoneError, PutError};
use threefold_sync::queue::Order;
use threefold_trace::{Owner, Reason};

use crate::blocking::{self, Subject};
use crate::convert::{Constructed, Patience, queue_patience, truth, wait_patience};
use crate::kept::intern;
use crate::kind::Kind;
use crate::lock::cannot_pickle;
use crate::python;
use crate::queue_wait::{GetItem, JoinQueue, PutItem};
use crate::ranking::Ranking;
use crate::wait::PyWait;

/// A queue for any number of producers and consumers, threads and tasks: first in, first out.
///
/// Differs from the standard library: also serves asyncio tasks; `shutdown` is there on every Python; `put` may be
/// called again from a signal handler or a finalizer while it is running. A queue whose `queue`, `mutex`, `not_empty`,
/// `not_full` or `all_tasks_done` is touched, or whose subclass overrides `_init`, `_qsize`, `_put` or `_get`, turns into
/// a slower one in Python that has all these.
///
/// Source: CPython Lib/queue.py, Queue.
#[pyclass(frozen, weakref, dict, subclass, module = "threefold.queue", name = "Queue")]
pub(crate) struct PyQueue {
    pub(crate) queue: Queue<Py<PyAny>>,
    pub(crate) kind: Kind,
    /// What `maxsize` was set to: any number below 1 means no limit.
    maxsize: AtomicI64,
    /// Of a priority queue.
    pub(crate) ranking: Option<Box<Ranking>>,
    /// What it has turned into, once somebody has asked for its insides.
    pub(crate) compatible: OnceLock<Py<PyAny>>,
    constructed: Constructed,
}

impl PyQueue {
    pub(crate) fn create(py: Python<'_>, kind: Kind) -> Self {
        let (order, ranking) = match kind {
            Kind::Fifo => (Order::FirstInFirstOut, None),
            Kind::Lifo => (Order::LastInFirstOut, None),
            Kind::Priority => (Order::Ranked, Some(Box::new(Ranking::new(py)))),
        };
        Self {
            queue: Queue::new(order, 0),
            kind,
            maxsize: AtomicI64::new(0),
            ranking,
            compatible: OnceLock::new(),
            constructed: Constructed::YES,
        }
    }

    /// Whether it has turned into the slower queue.
    #[inline]
    pub(crate) fn has_moved(&self) -> bool {
        self.compatible.get().is_some()
    }

    /// Whether it is a priority queue.
    #[inline]
    pub(crate) fn is_ranked(&self) -> bool {
        self.ranking.is_some()
    }

    fn limit(&self, maxsize: i64) {
        self.maxsize.store(maxsize, Ordering::Relaxed);
        self.queue.set_maxsize(usize::try_from(maxsize).unwrap_or(0));
    }

    /// The slower queue, if this one has turned into it.
    pub(crate) fn compatible<'py>(&self, py: Python<'py>) -> Option<&Bound<'py, PyAny>> {
        self.compatible.get().map(|compatible| compatible.bind(py))
    }

    /// What the wait table says of a wait on this queue.
    pub(crate) fn subject(&self, reason: Reason) -> Subject {
        Subject::unheld(reason, self)
    }

    /// After an item has been stored: a priority queue compares it, unless that is going on in a frame below.
    pub(crate) fn settle(&self, py: Python<'_>) -> PyResult<()> {
        self.ranking.as_ref().map_or(Ok(()), |ranking| ranking.settle(py, &self.queue))
    }

    /// The item that was taken, or the lowest of a priority queue.
    pub(crate) fn picked(&self, py: Python<'_>, item: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        match (item, &self.ranking) {
            (Some(item), _) => Ok(item),
            (None, Some(ranking)) => ranking.pick(py, &self.queue, || self.subject(Reason::QueueGet)),
            (None, None) => Err(python::error(python::empty(py))),
        }
    }
}

#[pymethods]
impl PyQueue {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords), text_signature = "(maxsize=0)")]
    fn new(py: Python<'_>, _arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) -> Self {
        Self::create(py, Kind::Fifo)
    }

    #[pyo3(signature = (maxsize=0))]
    fn __init__(this: &Bound<'_, Self>, maxsize: i64) -> PyResult<()> {
        this.get().limit(maxsize);
        if this.get().kind.is_overridden(&this.get_type())? {
            let new = Self::make_compatible(this)?;
            new.setattr(intern!(this.py(), "maxsize"), maxsize)?;
            new.call_method0(intern!(this.py(), "open"))?;
        }
        Ok(())
    }

    /// The queue in Python that this one has turned into; it does so now if it had not yet.
    fn _compatible<'py>(this: &'py Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::make_compatible(this).cloned()
    }

    /// Puts an item in.
    ///
    /// Args:
    ///     item: any object.
    ///     block: whether to wait for room when the queue is full.
    ///     timeout: seconds to wait at most; None waits for ever.
    ///
    /// Raises:
    ///     Full: there was no room in time.
    ///     ShutDown: the queue was shut down.
    ///     ValueError: a negative timeout.
    #[pyo3(signature = (item, block=None, timeout=None), text_signature = "($self, item, block=True, timeout=None)")]
    fn put(
        &self,
        py: Python<'_>,
        item: Py<PyAny>,
        block: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        if let Some(new) = self.compatible(py) {
            return new.call_method1(intern!(py, "put"), (item, truth(block, true)?, timeout)).map(drop);
        }
        if self.queue.is_shut_down() {
            return Err(python::error(python::shut_down(py)));
        }
        // The timeout of a put that never waits is not looked at, as in the standard library.
        let timeout = timeout.filter(|_| self.queue.maxsize() > 0);
        self.put_with(py, item, queue_patience(truth(block, true)?, timeout)?)
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
    ///     ShutDown: the queue was shut down and is empty.
    ///     ValueError: a negative timeout.
    #[pyo3(signature = (block=None, timeout=None), text_signature = "($self, block=True, timeout=None)")]
    fn get(
        &self,
        py: Python<'_>,
        block: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        if let Some(new) = self.compatible(py) {
            return Ok(new.call_method1(intern!(py, "get"), (truth(block, true)?, timeout))?.unbind());
        }
        // In the standard library's order: a queue that has ended says so whatever the timeout.
        if self.queue.is_shut_down() && self.queue.is_empty() {
            return Err(python::error(python::shut_down(py)));
        }
        self.get_with(py, queue_patience(truth(block, true)?, timeout)?)
    }

    /// As `put(item, block=False)`.
    fn put_nowait(this: &Bound<'_, Self>, item: Py<PyAny>) -> PyResult<()> {
        this.call_method1(intern!(this.py(), "put"), (item, false)).map(drop)
    }

    /// As `get(block=False)`.
    fn get_nowait(this: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Ok(this.call_method1(intern!(this.py(), "get"), (false,))?.unbind())
    }

    /// Puts an item in, from a task.
    ///
    /// Args:
    ///     item: any object.
    ///     timeout: seconds to wait at most for room; None waits for ever.
    ///
    /// Returns:
    ///     An awaitable of None.
    ///
    /// Raises:
    ///     Full: there was no room in time.
    ///     ShutDown: the queue was shut down.
    #[pyo3(signature = (item, timeout=None))]
    fn put_async(this: &Bound<'_, Self>, item: Py<PyAny>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        if let Some(new) = this.get().compatible(this.py()) {
            return Ok(new.call_method1(intern!(this.py(), "put_async"), (item, timeout))?.unbind());
        }
        let wait = PyWait::new(PutItem::new(this.clone().unbind(), item), wait_patience(timeout)?);
        Ok(Py::new(this.py(), wait)?.into_any())
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
    ///     ShutDown: the queue was shut down and is empty.
    #[pyo3(signature = (timeout=None))]
    fn get_async(this: &Bound<'_, Self>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        if let Some(new) = this.get().compatible(this.py()) {
            return Ok(new.call_method1(intern!(this.py(), "get_async"), (timeout,))?.unbind());
        }
        let wait = PyWait::new(GetItem::new(this.clone().unbind()), wait_patience(timeout)?);
        Ok(Py::new(this.py(), wait)?.into_any())
    }

    /// Puts many items in, in as few steps as there is room for.
    ///
    /// Args:
    ///     items: an iterable of objects.
    ///     timeout: seconds to wait at most for room for all of them; None waits for ever.
    ///
    /// Raises:
    ///     Full: there was no room for all in time; the first ones are in.
    ///     ShutDown: the queue was shut down.
    #[pyo3(signature = (items, timeout=None))]
    fn put_many(&self, py: Python<'_>, items: &Bound<'_, PyAny>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let patience = queue_patience(true, timeout)?;
        let mut items = items.try_iter()?.map(|item| item.map(Bound::unbind)).collect::<PyResult<VecDeque<_>>>()?;
        while !items.is_empty() {
            match self.queue.try_put_many(&mut items) {
                Ok(_count) => self.settle(py)?,
                Err(PutError::Moved(())) => {
                    let items: Vec<_> = items.into_iter().collect();
                    let arguments = (items, patience.seconds_left());
                    return self
                        .compatible(py)
                        .map_or(Ok(()), |new| new.call_method1(intern!(py, "put_many"), arguments).map(drop));
                }
                Err(_) => return Err(python::error(python::shut_down(py))),
            }
            if let Some(item) = items.pop_front() {
                self.put_with(py, item, patience)?;
            }
        }
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
    ///     ShutDown: the queue was shut down and is empty.
    ///     ValueError: max is less than 1, or the timeout is negative.
    #[pyo3(signature = (max, timeout=None))]
    fn get_many(&self, py: Python<'_>, max: i64, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<Py<PyAny>>> {
        let patience = queue_patience(true, timeout)?;
        let Some(others) = usize::try_from(max).ok().and_then(|max| max.checked_sub(1)) else {
            return Err(PyValueError::new_err("'max' must be at least 1"));
        };
        if let Some(new) = self.compatible(py) {
            return new.call_method1(intern!(py, "get_many"), (max, patience.seconds_left()))?.extract();
        }
        let mut items = vec![self.get_with(py, patience)?];
        if self.is_ranked() {
            // One by one: if two items cannot be compared, those that were picked before are not lost.
            while items.len() <= others {
                let Some(item) = self.queue.try_get().ok().and_then(|right| self.picked(py, right).ok()) else { break };
                items.push(item);
            }
        } else {
            items.extend(self.queue.try_get_many(others).into_iter().flatten());
        }
        Ok(items)
    }

    /// How many items it holds; more may come or go any time.
    fn qsize(&self, py: Python<'_>) -> PyResult<usize> {
        self.compatible(py)
            .map_or_else(|| Ok(self.queue.len()), |new| new.call_method0(intern!(py, "qsize"))?.extract())
    }

    /// Whether it holds no item; one may come any time.
    fn empty(&self, py: Python<'_>) -> PyResult<bool> {
        self.compatible(py)
            .map_or_else(|| Ok(self.queue.is_empty()), |new| new.call_method0(intern!(py, "empty"))?.extract())
    }

    /// Whether it holds as many items as it may.
    fn full(&self, py: Python<'_>) -> PyResult<bool> {
        self.compatible(py)
            .map_or_else(|| Ok(self.queue.is_full()), |new| new.call_method0(intern!(py, "full"))?.extract())
    }

    /// Says that an item that was taken out has been dealt with.
    ///
    /// Raises:
    ///     ValueError: it was called more often than items were put in.
    fn task_done(&self, py: Python<'_>) -> PyResult<()> {
        match self.queue.task_done() {
            Ok(()) => Ok(()),
            Err(DoneError::Moved) => {
                self.compatible(py).map_or(Ok(()), |new| new.call_method0(intern!(py, "task_done")).map(drop))
            }
            Err(error) => Err(PyValueError::new_err(error.to_string())),
        }
    }

    /// Waits until every item that was put in has been dealt with.
    fn join(&self, py: Python<'_>) -> PyResult<()> {
        let subject = || self.subject(Reason::QueueJoin);
        match blocking::wait(py, &mut self.queue.join(), Owner::thread(), Patience::Endless, subject)? {
            Some(Err(_moved)) => {
                self.compatible(py).map_or(Ok(()), |new| new.call_method0(intern!(py, "join")).map(drop))
            }
            _ => Ok(()),
        }
    }

    /// As `join`, in a task.
    fn join_async(this: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        if let Some(new) = this.get().compatible(this.py()) {
            return Ok(new.call_method0(intern!(this.py(), "join_async"))?.unbind());
        }
        let wait = PyWait::new(JoinQueue(this.clone().unbind()), Patience::Endless);
        Ok(Py::new(this.py(), wait)?.into_any())
    }

    /// Ends the queue: puts are refused, and gets too once it is empty.
    ///
    /// Args:
    ///     immediate: whether to throw the items away now; they count as dealt with.
    #[pyo3(signature = (immediate=false))]
    fn shutdown(&self, py: Python<'_>, immediate: bool) -> PyResult<()> {
        if let Some(new) = self.compatible(py) {
            return new.call_method1(intern!(py, "shutdown"), (immediate,)).map(drop);
        }
        let sorting = self.ranking.as_ref().map(|ranking| ranking.sort(py, || self.subject(Reason::Other)));
        let dropped = self.queue.shut_down(immediate);
        if let (true, Some(ranking), Some(Ok(_))) = (immediate, &self.ranking, &sorting) {
            drop(ranking.empty(py));
        }
        drop(sorting);
        drop(dropped);
        Ok(())
    }

    fn __aiter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    /// The next item, until the queue is shut down and empty.
    fn __anext__(this: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        if let Some(new) = this.get().compatible(this.py()) {
            return Ok(new.call_method0(intern!(this.py(), "__anext__"))?.unbind());
        }
        let next = GetItem::iterating(this.clone().unbind(), PyStopAsyncIteration::new_err);
        Ok(Py::new(this.py(), PyWait::new(next, Patience::Endless))?.into_any())
    }

    /// Most items it may hold; 0 or less = no limit.
    #[getter]
    fn maxsize(&self, py: Python<'_>) -> PyResult<i64> {
        match self.compatible(py) {
            Some(new) => new.getattr(intern!(py, "maxsize"))?.extract(),
            None => Ok(self.maxsize.load(Ordering::Relaxed)),
        }
    }

    #[setter]
    fn set_maxsize(&self, py: Python<'_>, maxsize: i64) -> PyResult<()> {
        self.limit(maxsize);
        self.compatible(py).map_or(Ok(()), |new| new.setattr(intern!(py, "maxsize"), maxsize))
    }

    /// Items that were put in and have not been dealt with.
    #[getter]
    fn unfinished_tasks(&self, py: Python<'_>) -> PyResult<usize> {
        match self.compatible(py) {
            Some(new) => new.getattr(intern!(py, "unfinished_tasks"))?.extract(),
            None => Ok(self.queue.unfinished_count()),
        }
    }

    #[setter]
    fn set_unfinished_tasks(&self, py: Python<'_>, count: usize) -> PyResult<()> {
        self.queue.set_unfinished_count(count);
        self.compatible(py).map_or(Ok(()), |new| new.setattr(intern!(py, "unfinished_tasks"), count))
    }

    /// Whether it was shut down.
    #[getter]
    fn is_shutdown(&self, py: Python<'_>) -> PyResult<bool> {
        match self.compatible(py) {
            Some(new) => new.getattr(intern!(py, "is_shutdown"))?.extract(),
            None => Ok(self.queue.is_shut_down()),
        }
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
        result?;
        self.ranking.as_ref().map_or(Ok(()), |ranking| ranking.traverse(&visit))?;
        self.compatible.get().map_or(Ok(()), |compatible| visit.call(compatible))
    }

    fn __clear__(&self) {
        drop(self.queue.clear());
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyQueue>()
}
