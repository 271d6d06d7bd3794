//! `Barrier`.

use std::sync::OnceLock;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use threefold_sync::Barrier;
use threefold_sync::barrier::Arrival;
use threefold_sync::error::Broken;
use threefold_trace::{Owner, Reason};
use threefold_wait::{Ticket, Wait, Withdrawal};

use crate::blocking::{self, Subject};
use crate::convert::{Constructed, Patience, wait_patience};
use crate::lock::cannot_pickle;
use crate::operation::Operation;
use crate::python;
use crate::wait::PyWait;

/// What the running Python's own barrier says.
const TOO_FEW: &str = if cfg!(Py_3_14) { "parties must be >= 1" } else { "parties must be > 0" };

/// A meeting point: each party waits until all have come.
///
/// Differs from the standard library: also serves asyncio tasks.
///
/// Source: CPython Lib/threading.py, Barrier.
#[pyclass(frozen, weakref, dict, subclass, module = "threefold.threading", name = "Barrier")]
pub(crate) struct PyBarrier {
    made: OnceLock<Made>,
    constructed: Constructed,
}

/// What `__init__` sets.
struct Made {
    barrier: Barrier,
    action: Option<Py<PyAny>>,
    timeout: Option<Py<PyAny>>,
}

impl PyBarrier {
    fn made(&self) -> PyResult<&Made> {
        self.made.get().ok_or_else(|| pyo3::exceptions::PyRuntimeError::new_err("Barrier.__init__() not called"))
    }

    fn barrier(&self) -> PyResult<&Barrier> {
        self.made().map(|made| &made.barrier)
    }

    fn patience(&self, timeout: Option<&Bound<'_, PyAny>>, py: Python<'_>) -> PyResult<Patience> {
        let own = self.made()?.timeout.as_ref().map(|timeout| timeout.bind(py));
        wait_patience(timeout.or(own))
    }

    /// The last party runs the action and opens; a broken barrier is an error for all.
    fn pass(&self, py: Python<'_>, arrival: Result<Arrival, Broken>) -> PyResult<u64> {
        let made = self.made()?;
        match arrival {
            Ok(Arrival::Passed(index)) => Ok(index),
            Ok(Arrival::Last(index)) => {
                if let Err(error) = made.action.as_ref().map_or(Ok(()), |action| action.call0(py).map(drop)) {
                    made.barrier.abort();
                    return Err(error);
                }
                made.barrier.open();
                Ok(index)
            }
            Err(Broken) => Err(broken(py)),
        }
    }
}

fn broken(py: Python<'_>) -> PyErr {
    python::error(python::broken_barrier_error(py))
}

#[pymethods]
impl PyBarrier {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords), text_signature = "(parties, action=None, timeout=None)")]
    fn new(_arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) -> Self {
        Self { made: OnceLock::new(), constructed: Constructed::YES }
    }

    #[pyo3(signature = (parties, action=None, timeout=None))]
    fn __init__(&self, parties: i64, action: Option<Py<PyAny>>, timeout: Option<Py<PyAny>>) -> PyResult<()> {
        match u64::try_from(parties) {
            Ok(count) if count > 0 => {
                // A second call changes nothing: others may be waiting already.
                let _already = self.made.set(Made { barrier: Barrier::new(count), action, timeout });
                Ok(())
            }
            _ => Err(PyValueError::new_err(TOO_FEW)),
        }
    }

    /// Waits until all parties have come.
    ///
    /// Args:
    ///     timeout: seconds to wait at most; None takes the barrier's own.
    ///
    /// Returns:
    ///     A number from 0 to parties - 1, different for each party.
    ///
    /// Raises:
    ///     BrokenBarrierError: the time was up, or the barrier was aborted or reset.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<u64> {
        let patience = self.patience(timeout, py)?;
        let barrier = self.barrier()?;
        let subject = || Subject::unheld(Reason::Barrier, self);
        let Some(arrival) = blocking::wait(py, &mut barrier.wait(), Owner::thread(), patience, subject)? else {
            barrier.abort();
            return Err(broken(py));
        };
        self.pass(py, arrival)
    }

    /// Waits in a task until all parties have come.
    ///
    /// Args:
    ///     timeout: seconds to wait at most; None takes the barrier's own.
    ///
    /// Returns:
    ///     An awaitable of a number from 0 to parties - 1, different for each party.
    ///
    /// Raises:
    ///     BrokenBarrierError: the time was up, or the barrier was aborted or reset.
    #[pyo3(signature = (timeout=None))]
    fn wait_async(this: &Bound<'_, Self>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<PyWait> {
        let patience = this.get().patience(timeout, this.py())?;
        Ok(PyWait::new(WaitAtBarrier { barrier: this.clone().unbind(), index: None }, patience))
    }

    /// Makes the barrier as new; those who wait get BrokenBarrierError.
    fn reset(&self) -> PyResult<()> {
        self.barrier().map(Barrier::reset)
    }

    /// Breaks the barrier; those who wait and those who come get BrokenBarrierError.
    fn abort(&self) -> PyResult<()> {
        self.barrier().map(Barrier::abort)
    }

    /// How many parties it takes.
    #[getter]
    fn parties(&self) -> PyResult<u64> {
        self.barrier().map(Barrier::party_count)
    }

    /// How many parties wait now.
    #[getter]
    fn n_waiting(&self) -> PyResult<u64> {
        self.barrier().map(Barrier::waiting_count)
    }

    /// Whether it is broken.
    #[getter]
    fn broken(&self) -> PyResult<bool> {
        self.barrier().map(Barrier::is_broken)
    }

    fn __reduce__(this: &Bound<'_, Self>) -> PyResult<()> {
        Err(cannot_pickle(this.as_any()))
    }

    fn __repr__(this: &Bound<'_, Self>) -> PyResult<String> {
        let (name, address) = (python::class_name(this.as_any())?, this.as_ptr().addr());
        let barrier = this.get().barrier()?;
        if barrier.is_broken() {
            return Ok(format!("<{name} at {address:#x}: broken>"));
        }
        let (waiting, parties) = (barrier.waiting_count(), barrier.party_count());
        Ok(format!("<{name} at {address:#x}: waiters={waiting}/{parties}>"))
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        if !self.constructed.is_true() {
            return Ok(());
        }
        let Some(made) = self.made.get() else { return Ok(()) };
        visit.call(&made.action)?;
        visit.call(&made.timeout)
    }
}

/// A task's wait at a barrier.
struct WaitAtBarrier {
    barrier: Py<PyBarrier>,
    /// Set once it has been counted as arrived.
    index: Option<u64>,
}

impl Operation for WaitAtBarrier {
    fn try_now(&mut self, _py: Python<'_>) -> Option<PyResult<Py<PyAny>>> {
        None
    }

    fn poll(&mut self, py: Python<'_>, ticket: &mut Ticket) -> Option<PyResult<Py<PyAny>>> {
        let barrier = match self.barrier.get().barrier() {
            Ok(barrier) => barrier,
            Err(error) => return Some(Err(error)),
        };
        let mut arrive = barrier.wait();
        arrive.set_index(self.index);
        let arrival = arrive.poll(ticket);
        self.index = arrive.index();
        let passed = self.barrier.get().pass(py, arrival?);
        Some(passed.and_then(|index| Ok(index.into_pyobject(py)?.into_any().unbind())))
    }

    fn withdraw(&mut self, py: Python<'_>, ticket: &mut Ticket, how: Withdrawal) -> Option<PyResult<Py<PyAny>>> {
        let barrier = self.barrier.get().barrier().ok()?;
        let mut arrive = barrier.wait();
        arrive.set_index(self.index);
        let passed = self.barrier.get().pass(py, arrive.withdraw(ticket, how)?);
        Some(passed.and_then(|index| Ok(index.into_pyobject(py)?.into_any().unbind())))
    }

    fn timed_out(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.barrier.get().abort()?;
        Err(broken(py))
    }

    fn subject(&self, _py: Python<'_>) -> Subject {
        Subject::unheld(Reason::Barrier, self.barrier.get())
    }

    fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.barrier)
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyBarrier>()
}
