//! `Queue`, `LifoQueue`, `PriorityQueue`.

use std::collections::VecDeque;
use std::sync::OnceLock;

use pyo3::exceptions::{PyAttributeError, PyStopAsyncIteration, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple, PyType};
use threefold_sync::Queue;
use threefold_sync::error::{DoneError, GetError, PutError};
use threefold_sync::queue::Order;
use threefold_trace::{Owner, Reason};

use crate::blocking::{self, Subject};
use crate::convert::{Patience, queue_patience, truth, wait_patience};
use crate::ffi::{self, Arguments, Fast, fast_method};
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
    /// Of a priority queue.
    ranking: Option<Box<Ranking>>,
    /// What it has turned into, once somebody has asked for its insides.
    compatible: OnceLock<Py<PyAny>>,
}

impl PyQueue {
    fn create(py: Python<'_>, kind: Kind) -> Self {
        let (order, ranking) = match kind {
            Kind::Fifo => (Order::FirstInFirstOut, None),
            Kind::Lifo => (Order::LastInFirstOut, None),
            Kind::Priority => (Order::Ranked, Some(Box::new(Ranking::new(py)))),
        };
        Self { queue: Queue::new(order, 0), kind, ranking, compatible: OnceLock::new() }
    }

    /// The slower queue, if this one has turned into it.
    pub(crate) fn compatible<'py>(&self, py: Python<'py>) -> Option<&Bound<'py, PyAny>> {
        self.compatible.get().map(|compatible| compatible.bind(py))
    }

    /// Turns it into the slower queue, whose insides Python code can touch.
    fn make_compatible<'py>(this: &'py Bound<'py, Self>) -> PyResult<&'py Bound<'py, PyAny>> {
        let (py, me) = (this.py(), this.get());
        if let Some(compatible) = me.compatible(py) {
            return Ok(compatible);
        }
        let nothing = PyList::empty(py);
        let new = python::compatible_queue(py)?.call1((this, me.queue.maxsize(), nothing, 0, false))?;
        // Its mutex is held until the contents are in: whoever is told that they have moved finds them there.
        let mutex = new.getattr("mutex")?;
        mutex.call_method0("acquire")?;
        let is_ours = me.compatible.set(new.clone().unbind()).is_ok();
        let moved = if is_ours { me.move_into(&new) } else { Ok(()) };
        mutex.call_method0("release")?;
        moved?;
        me.compatible(py).ok_or_else(|| PyAttributeError::new_err("the queue could not be made compatible"))
    }

    fn move_into(&self, new: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = new.py();
        let Some(contents) = self.queue.move_out() else { return Ok(()) };
        let ranked = self.ranking.as_ref().map_or_else(|| PyList::empty(py), |ranking| ranking.empty(py));
        let arrived = new.getattr("_arrived_with")?;
        arrived.call_method1("extend", (ranked,))?;
        contents.items.into_iter().try_for_each(|item| arrived.call_method1("append", (item,)).map(drop))?;
        new.setattr("unfinished_tasks", contents.unfinished_count)?;
        new.setattr("is_shutdown", contents.is_shut_down)
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

    fn put_with(&self, py: Python<'_>, item: Py<PyAny>, patience: Patience) -> PyResult<()> {
        let item = match self.queue.try_put(item) {
            Ok(()) => return self.settle(py),
            Err(PutError::Full(item)) if matches!(patience, Patience::None) => {
                drop(item);
                return Err(python::error(python::full(py)));
            }
            Err(PutError::Full(item)) => item,
            Err(PutError::ShutDown(_)) => return Err(python::error(python::shut_down(py))),
            Err(PutError::Moved(item)) => return self.put_elsewhere(py, item, patience),
        };
        let mut item = Some(item);
        let outcome = {
            let subject = || self.subject(Reason::QueuePut);
            blocking::wait(py, &mut self.queue.put(&mut item), Owner::thread(), patience, subject)?
        };
        match (outcome, item) {
            (Some(Ok(())), _) => self.settle(py),
            (Some(Err(PutError::Moved(()))), Some(item)) => self.put_elsewhere(py, item, patience),
            (Some(Err(_)), _) => Err(python::error(python::shut_down(py))),
            (None, _) => Err(python::error(python::full(py))),
        }
    }

    fn put_elsewhere(&self, py: Python<'_>, item: Py<PyAny>, patience: Patience) -> PyResult<()> {
        let arguments = (item, !matches!(patience, Patience::None), patience.seconds_left());
        self.compatible(py).map_or(Ok(()), |new| new.call_method1("put", arguments).map(drop))
    }

    fn get_with(&self, py: Python<'_>, patience: Patience) -> PyResult<Py<PyAny>> {
        match self.queue.try_get() {
            Ok(item) => return self.picked(py, item),
            Err(GetError::Empty) if matches!(patience, Patience::None) => {
                return Err(python::error(python::empty(py)));
            }
            Err(GetError::Empty) => {}
            Err(error) => return self.get_elsewhere(py, error, patience),
        }
        let subject = || self.subject(Reason::QueueGet);
        match blocking::wait(py, &mut self.queue.get(), Owner::thread(), patience, subject)? {
            Some(Ok(item)) => self.picked(py, item),
            Some(Err(error)) => self.get_elsewhere(py, error, patience),
            None => Err(python::error(python::empty(py))),
        }
    }

    fn get_elsewhere(&self, py: Python<'_>, error: GetError, patience: Patience) -> PyResult<Py<PyAny>> {
        match (error, self.compatible(py)) {
            (GetError::Moved, Some(new)) => {
                let arguments = (!matches!(patience, Patience::None), patience.seconds_left());
                Ok(new.call_method1("get", arguments)?.unbind())
            }
            _ => Err(python::error(python::shut_down(py))),
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
        this.get().queue.set_maxsize(usize::try_from(maxsize).unwrap_or(0));
        if this.get().kind.is_overridden(&this.get_type())? {
            let new = Self::make_compatible(this)?;
            new.setattr("maxsize", maxsize)?;
            new.call_method0("open")?;
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
        self.get_with(py, queue_patience(truth(block, true)?, timeout)?)
    }

    /// As `put(item, block=False)`.
    fn put_nowait(this: &Bound<'_, Self>, item: Py<PyAny>) -> PyResult<()> {
        this.call_method1("put", (item, false)).map(drop)
    }

    /// As `get(block=False)`.
    fn get_nowait(this: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Ok(this.call_method1("get", (false,))?.unbind())
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
    fn put_async(
        this: &Bound<'_, Self>,
        item: Py<PyAny>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        if let Some(new) = this.get().compatible(this.py()) {
            return Ok(new.call_method1("put_async", (item, timeout))?.unbind());
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
            return Ok(new.call_method1("get_async", (timeout,))?.unbind());
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
    fn put_many(
        &self,
        py: Python<'_>,
        items: &Bound<'_, PyAny>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let patience = queue_patience(true, timeout)?;
        let mut items = items.try_iter()?.map(|item| item.map(Bound::unbind)).collect::<PyResult<VecDeque<_>>>()?;
        while !items.is_empty() {
            match self.queue.try_put_many(&mut items) {
                Ok(_count) => self.settle(py)?,
                Err(PutError::Moved(())) => {
                    let items: Vec<_> = items.into_iter().collect();
                    let arguments = (items, patience.seconds_left());
                    return self.compatible(py).map_or(Ok(()), |new| new.call_method1("put_many", arguments).map(drop));
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
            return new.call_method1("get_many", (max, patience.seconds_left()))?.extract();
        }
        let mut items = vec![self.get_with(py, patience)?];
        for item in self.queue.try_get_many(others) {
            items.push(self.picked(py, item)?);
        }
        Ok(items)
    }

    /// How many items it holds; more may come or go any time.
    fn qsize(&self, py: Python<'_>) -> PyResult<usize> {
        self.compatible(py).map_or_else(|| Ok(self.queue.len()), |new| new.call_method0("qsize")?.extract())
    }

    /// Whether it holds no item; one may come any time.
    fn empty(&self, py: Python<'_>) -> PyResult<bool> {
        self.compatible(py).map_or_else(|| Ok(self.queue.is_empty()), |new| new.call_method0("empty")?.extract())
    }

    /// Whether it holds as many items as it may.
    fn full(&self, py: Python<'_>) -> PyResult<bool> {
        self.compatible(py).map_or_else(|| Ok(self.queue.is_full()), |new| new.call_method0("full")?.extract())
    }

    /// Says that an item that was taken out has been dealt with.
    ///
    /// Raises:
    ///     ValueError: it was called more often than items were put in.
    fn task_done(&self, py: Python<'_>) -> PyResult<()> {
        match self.queue.task_done() {
            Ok(()) => Ok(()),
            Err(DoneError::Moved) => self.compatible(py).map_or(Ok(()), |new| new.call_method0("task_done").map(drop)),
            Err(error) => Err(PyValueError::new_err(error.to_string())),
        }
    }

    /// Waits until every item that was put in has been dealt with.
    fn join(&self, py: Python<'_>) -> PyResult<()> {
        let subject = || self.subject(Reason::QueueJoin);
        match blocking::wait(py, &mut self.queue.join(), Owner::thread(), Patience::Endless, subject)? {
            Some(Err(_moved)) => self.compatible(py).map_or(Ok(()), |new| new.call_method0("join").map(drop)),
            _ => Ok(()),
        }
    }

    /// As `join`, in a task.
    fn join_async(this: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        if let Some(new) = this.get().compatible(this.py()) {
            return Ok(new.call_method0("join_async")?.unbind());
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
            return new.call_method1("shutdown", (immediate,)).map(drop);
        }
        let dropped = self.queue.shut_down(immediate);
        if let Some(ranking) = self.ranking.as_ref().filter(|_| immediate) {
            drop(ranking.empty(py));
        }
        drop(dropped);
        Ok(())
    }

    fn __aiter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    /// The next item, until the queue is shut down and empty.
    fn __anext__(this: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        if let Some(new) = this.get().compatible(this.py()) {
            return Ok(new.call_method0("__anext__")?.unbind());
        }
        let next = GetItem::iterating(this.clone().unbind(), PyStopAsyncIteration::new_err);
        Ok(Py::new(this.py(), PyWait::new(next, Patience::Endless))?.into_any())
    }

    /// Most items it may hold; 0 or less = no limit.
    #[getter]
    fn maxsize(&self, py: Python<'_>) -> PyResult<i64> {
        match self.compatible(py) {
            Some(new) => new.getattr("maxsize")?.extract(),
            None => Ok(i64::try_from(self.queue.maxsize()).unwrap_or(i64::MAX)),
        }
    }

    #[setter]
    fn set_maxsize(&self, py: Python<'_>, maxsize: i64) -> PyResult<()> {
        self.queue.set_maxsize(usize::try_from(maxsize).unwrap_or(0));
        self.compatible(py).map_or(Ok(()), |new| new.setattr("maxsize", maxsize))
    }

    /// Items that were put in and have not been dealt with.
    #[getter]
    fn unfinished_tasks(&self, py: Python<'_>) -> PyResult<usize> {
        match self.compatible(py) {
            Some(new) => new.getattr("unfinished_tasks")?.extract(),
            None => Ok(self.queue.unfinished_count()),
        }
    }

    #[setter]
    fn set_unfinished_tasks(&self, py: Python<'_>, count: usize) -> PyResult<()> {
        self.queue.set_unfinished_count(count);
        self.compatible(py).map_or(Ok(()), |new| new.setattr("unfinished_tasks", count))
    }

    /// Whether it was shut down.
    #[getter]
    fn is_shutdown(&self, py: Python<'_>) -> PyResult<bool> {
        match self.compatible(py) {
            Some(new) => new.getattr("is_shutdown")?.extract(),
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

fast_method!(FastPut, PyQueue, c"put", |this, arguments| {
    if this.ranking.is_none() { put_fast(&this.queue, arguments) } else { Fast::Slow }
});

fast_method!(FastGet, PyQueue, c"get", |this, arguments| {
    if arguments.is_empty() && this.ranking.is_none() { get_fast(&this.queue) } else { Fast::Slow }
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

/// A queue that yields the newest item first.
///
/// Source: CPython Lib/queue.py, LifoQueue.
#[pyclass(frozen, extends = PyQueue, subclass, module = "threefold.queue", name = "LifoQueue")]
pub(crate) struct PyLifoQueue;

#[pymethods]
impl PyLifoQueue {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords), text_signature = "(maxsize=0)")]
    fn new(
        py: Python<'_>,
        _arguments: &Bound<'_, PyTuple>,
        _keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<Self> {
        PyClassInitializer::from(PyQueue::create(py, Kind::Lifo)).add_subclass(Self)
    }
}

/// A queue that yields the lowest item first; items are compared by `<`.
///
/// Source: CPython Lib/queue.py, PriorityQueue.
#[pyclass(frozen, extends = PyQueue, subclass, module = "threefold.queue", name = "PriorityQueue")]
pub(crate) struct PyPriorityQueue;

#[pymethods]
impl PyPriorityQueue {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords), text_signature = "(maxsize=0)")]
    fn new(
        py: Python<'_>,
        _arguments: &Bound<'_, PyTuple>,
        _keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<Self> {
        PyClassInitializer::from(PyQueue::create(py, Kind::Priority)).add_subclass(Self)
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyQueue>()?;
    module.add_class::<PyLifoQueue>()?;
    module.add_class::<PyPriorityQueue>()?;
    let py = module.py();
    ffi::install::<FastPut>(py)?;
    ffi::install::<FastGet>(py)
}
