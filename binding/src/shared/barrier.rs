//! `multiprocessing.Barrier`.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use threefold_shared_memory::{Arrival, Barrier, Broken};

use super::barrier_task::WaitAtBarrier;
use super::driver::PythonDriver;
use super::place::{Place, address_of};
use super::task::awaitable;
use super::timeout::{deadline, patience};
use crate::python;
use crate::wait::PyWait;

/// A meeting point for threads of any processes.
#[pyclass(frozen, weakref, subclass, module = "threefold._threefold")]
pub(crate) struct SharedBarrier {
    place: Place<Barrier>,
}

impl SharedBarrier {
    pub(super) fn barrier(&self) -> PyResult<&Barrier> {
        self.place.get()
    }

    /// The last party runs the action and opens; a broken barrier is an error for all.
    pub(super) fn pass(
        &self,
        py: Python<'_>,
        answer: Result<Arrival, Broken>,
        action: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        match answer {
            Ok(Arrival::Passed(index)) => Ok(index),
            Ok(Arrival::Last(index)) => {
                if let Err(error) = action.map_or(Ok(()), |action| action.call0().map(drop)) {
                    self.barrier()?.abort();
                    return Err(error);
                }
                self.barrier()?.open();
                Ok(index)
            }
            Err(Broken) => Err(python::error(python::broken_barrier_error(py))),
        }
    }
}

#[pymethods]
impl SharedBarrier {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords), text_signature = "()")]
    fn new(_arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) -> Self {
        Self { place: Place::empty() }
    }

    #[pyo3(signature = (*_arguments, **_keywords))]
    #[allow(clippy::unused_self, reason = "CPython calls it on the new object")]
    fn __init__(&self, _arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) {}

    /// Makes it.
    fn _make(&self, parties: usize) -> PyResult<()> {
        self.place.make(Barrier::bytes(parties), |home| Barrier::create(home, parties))
    }

    /// What `_find` needs in another process.
    fn _address(&self) -> PyResult<(i32, usize)> {
        Ok(address_of(self.place.get()?.home()))
    }

    /// Finds what another process made.
    fn _find(&self, descriptor: i32, len_bytes: usize) -> PyResult<()> {
        self.place.find(descriptor, len_bytes, Barrier::attach)
    }

    /// Waits until all parties have come; the last one runs `action` first, unless that is None.
    ///
    /// Args:
    ///     action: what the last party calls before all go on.
    ///     timeout: seconds to wait at most; None waits for ever.
    ///
    /// Returns:
    ///     How many parties had come before.
    ///
    /// Raises:
    ///     BrokenBarrierError: the barrier is broken, or was broken or reset meanwhile.
    fn _wait(
        &self,
        py: Python<'_>,
        action: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        let barrier = self.place.get()?;
        let deadline = deadline(timeout)?;
        let answer = barrier.wait(deadline, &mut PythonDriver::new(py, self, deadline))?;
        self.pass(py, answer, action)
    }

    /// As `_wait`, in a task.
    ///
    /// Args:
    ///     action: what the last party calls before all go on.
    ///     timeout: seconds to wait at most; None waits for ever.
    ///
    /// Returns:
    ///     An awaitable of how many parties had come before.
    #[pyo3(signature = (action, timeout))]
    fn _wait_async(this: Py<Self>, action: Option<Py<PyAny>>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<PyWait> {
        Ok(awaitable(WaitAtBarrier::new(this, action), patience(timeout)?))
    }

    /// Makes the barrier as new; those who wait get a BrokenBarrierError.
    fn reset(&self) -> PyResult<()> {
        self.place.get()?.reset();
        Ok(())
    }

    /// Breaks the barrier: those who wait and those who come get a BrokenBarrierError.
    fn abort(&self) -> PyResult<()> {
        self.place.get()?.abort();
        Ok(())
    }

    /// How many parties it takes.
    #[getter]
    fn parties(&self) -> PyResult<usize> {
        Ok(self.place.get()?.party_count())
    }

    /// How many wait now.
    #[getter]
    fn n_waiting(&self) -> PyResult<usize> {
        Ok(self.place.get()?.waiting_count())
    }

    /// Whether it is broken.
    #[getter]
    fn broken(&self) -> PyResult<bool> {
        Ok(self.place.get()?.is_broken())
    }
}
