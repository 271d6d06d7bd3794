//! The heap of a `PriorityQueue`. A comparison may run any Python code, so it happens outside the queue's latch, by one
//! caller at a time; what arrives meanwhile waits in the queue itself.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyList;
use threefold_sync::{Lock, Queue};
use threefold_trace::Owner;

use crate::blocking::{self, Subject};
use crate::convert::Patience;
use crate::python;

/// Items in heap order. Whoever holds `sorting` may touch the heap.
pub(crate) struct Ranking {
    heap: Py<PyList>,
    sorting: Lock,
}

/// Releases the heap at the end of a scope, however it ends.
pub(crate) struct Sorting<'a>(&'a Lock);

impl Drop for Sorting<'_> {
    fn drop(&mut self) {
        let _held_until_now = self.0.release();
    }
}

impl Ranking {
    pub(crate) fn new(py: Python<'_>) -> Self {
        Self { heap: PyList::empty(py).unbind(), sorting: Lock::new() }
    }

    /// Ranks what has arrived, so that the caller of `put` hears of items that cannot be compared. If somebody else is
    /// at it, or this thread is in the middle of it further down, that one will rank the new item too.
    pub(crate) fn settle(&self, py: Python<'_>, queue: &Queue<Py<PyAny>>) -> PyResult<()> {
        if !self.sorting.try_acquire(Owner::thread()) {
            return Ok(());
        }
        let _sorting = Sorting(&self.sorting);
        self.rank_arrivals(py, queue)
    }

    /// Takes the lowest item, for a caller that has the right to one.
    pub(crate) fn pick(
        &self,
        py: Python<'_>,
        queue: &Queue<Py<PyAny>>,
        subject: impl Fn() -> Subject,
    ) -> PyResult<Py<PyAny>> {
        let result = self.sort(py, subject).map_err(kept).and_then(|_sorting| {
            self.rank_arrivals(py, queue).map_err(kept)?;
            self.pop(py)
        });
        match result {
            Ok(Some(item)) => Ok(item),
            // Emptied by a shutdown between the right to an item and its picking.
            Ok(None) => Err(python::error(python::shut_down(py))),
            Err((error, was_dropped)) => {
                if !was_dropped {
                    queue.give_back();
                }
                Err(error)
            }
        }
    }

    /// The lowest item. When a comparison fails the item is gone, and the error says so: as in the standard library, so
    /// that a consumer gets past items that have no order.
    fn pop(&self, py: Python<'_>) -> Result<Option<Py<PyAny>>, (PyErr, bool)> {
        let heap = self.heap.bind(py);
        let count = heap.len();
        if count == 0 {
            return Ok(None);
        }
        let item = python::heappop(py).and_then(|heappop| heappop.call1((heap,)));
        item.map(|item| Some(item.unbind())).map_err(|error| (error, heap.len() < count))
    }

    /// Keeps others from the heap until the result is dropped.
    ///
    /// # Errors
    /// When this thread is in the middle of a comparison of its items, or a signal handler raised.
    pub(crate) fn sort(&self, py: Python<'_>, subject: impl Fn() -> Subject) -> PyResult<Sorting<'_>> {
        let owner = Owner::thread();
        if !self.sorting.try_acquire(owner) {
            if self.sorting.owner() == owner {
                return Err(PyRuntimeError::new_err(
                    "a PriorityQueue was asked for an item inside a comparison of its own items",
                ));
            }
            blocking::wait(py, &mut self.sorting.acquire(), owner, Patience::Endless, subject)?;
        }
        Ok(Sorting(&self.sorting))
    }

    fn rank_arrivals(&self, py: Python<'_>, queue: &Queue<Py<PyAny>>) -> PyResult<()> {
        let heappush = python::heappush(py)?;
        let mut result = Ok(());
        // All of them, even after an error: an item that cannot be compared stays in the heap, out of order, as in the
        // standard library.
        for item in queue.take_arrivals() {
            if let Err(error) = heappush.call1((&self.heap, item)) {
                result = Err(error);
            }
        }
        result
    }

    /// Takes all ranked items out, for a caller that sorts.
    pub(crate) fn empty<'py>(&self, py: Python<'py>) -> Bound<'py, PyList> {
        let heap = self.heap.bind(py);
        let items = heap.get_slice(0, heap.len());
        let _cannot_fail = heap.del_slice(0, heap.len());
        items
    }

    pub(crate) fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.heap)
    }
}

/// An error that cost no item.
fn kept(error: PyErr) -> (PyErr, bool) {
    (error, false)
}
