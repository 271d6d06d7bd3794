//! How a queue waits on a thread, and how it turns into its slower, fully visible form.

use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::PyList;
use threefold_sync::error::{GetError, PutError};
use threefold_trace::{Owner, Reason};

use crate::blocking;
use crate::convert::Patience;
use crate::kept::intern;
use crate::python;
use crate::queue::PyQueue;

impl PyQueue {
    /// Turns it into the slower queue, whose insides Python code can touch.
    pub(crate) fn make_compatible<'py>(this: &'py Bound<'py, Self>) -> PyResult<&'py Bound<'py, PyAny>> {
        let (py, me) = (this.py(), this.get());
        if let Some(compatible) = me.compatible(py) {
            return Ok(compatible);
        }
        let nothing = PyList::empty(py);
        let new = python::compatible_queue(py)?.call1((this, me.queue.maxsize(), nothing, 0, false))?;
        // Its mutex is held until the contents are in: whoever is told that they have moved finds them there.
        let mutex = new.getattr(intern!(py, "mutex"))?;
        mutex.call_method0(intern!(py, "acquire"))?;
        let is_ours = me.compatible.set(new.clone().unbind()).is_ok();
        let moved = if is_ours { me.move_into(&new) } else { Ok(()) };
        mutex.call_method0(intern!(py, "release"))?;
        moved?;
        me.compatible(py).ok_or_else(|| PyAttributeError::new_err("the queue could not be made compatible"))
    }

    fn move_into(&self, new: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = new.py();
        let sorting = self.ranking.as_ref().map(|ranking| ranking.sort(py, || self.subject(Reason::Other)));
        let sorting = sorting.transpose()?;
        let Some(contents) = self.queue.move_out() else { return Ok(()) };
        let ranked = self.ranking.as_ref().map_or_else(|| PyList::empty(py), |ranking| ranking.empty(py));
        drop(sorting);
        let arrived = new.getattr(intern!(py, "_arrived_with"))?;
        arrived.call_method1(intern!(py, "extend"), (ranked,))?;
        contents
            .items
            .into_iter()
            .try_for_each(|item| arrived.call_method1(intern!(py, "append"), (item,)).map(drop))?;
        new.setattr(intern!(py, "unfinished_tasks"), contents.unfinished_count)?;
        new.setattr(intern!(py, "is_shutdown"), contents.is_shut_down)
    }

    /// After an item was stored. A put that fails since its item has no order leaves the item in, uncounted as work, as in
    /// the standard library.
    pub(crate) fn settle_or_uncount(&self, py: Python<'_>) -> PyResult<()> {
        let settled = self.settle(py);
        if settled.is_err() {
            let _there_was_one = self.queue.task_done();
        }
        settled
    }

    pub(crate) fn put_with(&self, py: Python<'_>, item: Py<PyAny>, patience: Patience) -> PyResult<()> {
        let item = match self.queue.try_put(item) {
            Ok(()) => return self.settle_or_uncount(py),
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
            (Some(Ok(())), _) => self.settle_or_uncount(py),
            (Some(Err(PutError::Moved(()))), Some(item)) => self.put_elsewhere(py, item, patience),
            (Some(Err(_)), _) => Err(python::error(python::shut_down(py))),
            (None, _) => Err(python::error(python::full(py))),
        }
    }

    fn put_elsewhere(&self, py: Python<'_>, item: Py<PyAny>, patience: Patience) -> PyResult<()> {
        let arguments = (item, !matches!(patience, Patience::None), patience.seconds_left());
        self.compatible(py).map_or(Ok(()), |new| new.call_method1(intern!(py, "put"), arguments).map(drop))
    }

    pub(crate) fn get_with(&self, py: Python<'_>, patience: Patience) -> PyResult<Py<PyAny>> {
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
                Ok(new.call_method1(intern!(py, "get"), arguments)?.unbind())
            }
            _ => Err(python::error(python::shut_down(py))),
        }
    }
}
