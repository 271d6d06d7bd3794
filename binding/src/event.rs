//! `Event`.

use pyo3::prelude::*;
use threefold_sync::Event;
use threefold_trace::{Owner, Reason};
use threefold_wait::{Ticket, Wait, Withdrawal};

use crate::acquire::boolean;
use crate::blocking::{self, Subject};
use crate::convert::{Patience, wait_patience};
use crate::ffi::{self, Fast, fast_method};
use crate::lock::cannot_pickle;
use crate::operation::Operation;
use crate::python;
use crate::wait::PyWait;

/// A flag that threads and tasks can wait for.
///
/// Differs from the standard library: also serves asyncio tasks.
///
/// Source: CPython Lib/threading.py, Event.
#[pyclass(frozen, weakref, dict, subclass, module = "threefold.threading", name = "Event")]
pub(crate) struct PyEvent {
    event: Event,
}

#[pymethods]
impl PyEvent {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords), text_signature = "()")]
    fn new(_arguments: &Bound<'_, pyo3::types::PyTuple>, _keywords: Option<&Bound<'_, pyo3::types::PyDict>>) -> Self {
        Self { event: Event::new() }
    }

    #[allow(clippy::unused_self, reason = "CPython calls it on the new object")]
    fn __init__(&self) {}

    /// Whether the flag is set.
    fn is_set(&self) -> bool {
        self.event.is_set()
    }

    /// The old spelling of `is_set`.
    #[pyo3(name = "isSet")]
    fn is_set_old(&self, py: Python<'_>) -> PyResult<bool> {
        python::warn_deprecated(py, c"isSet() is deprecated, use is_set() instead")?;
        Ok(self.is_set())
    }

    /// Sets the flag and releases all who wait for it.
    fn set(&self) {
        self.event.set();
    }

    /// Clears the flag.
    fn clear(&self) {
        self.event.clear();
    }

    /// Waits until the flag is set.
    ///
    /// Args:
    ///     timeout: seconds to wait at most; None waits for ever.
    ///
    /// Returns:
    ///     Whether the flag was set; False when the time was up.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        if self.event.is_set() {
            return Ok(true);
        }
        let patience = wait_patience(timeout)?;
        if matches!(patience, Patience::None) {
            return Ok(self.event.is_set());
        }
        let subject = || Subject::unheld(Reason::Event, self);
        Ok(blocking::wait(py, &mut self.event.wait(), Owner::thread(), patience, subject)?.is_some())
    }

    /// Waits in a task until the flag is set.
    ///
    /// Args:
    ///     timeout: seconds to wait at most; None waits for ever.
    ///
    /// Returns:
    ///     An awaitable of whether the flag was set.
    #[pyo3(signature = (timeout=None))]
    fn wait_async(this: Py<Self>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<PyWait> {
        Ok(PyWait::new(WaitForEvent(this), wait_patience(timeout)?))
    }

    /// Waits until the flag is set by the end of a call in a pool; shown as waiting for its result.
    ///
    /// Args:
    ///     timeout: seconds to wait at most; None waits for ever.
    #[pyo3(signature = (timeout=None))]
    fn _wait_for_result(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        let subject = || Subject::unheld(Reason::FutureResult, self);
        Ok(blocking::wait(py, &mut self.event.wait(), Owner::thread(), wait_patience(timeout)?, subject)?.is_some())
    }

    #[getter]
    fn _flag(&self) -> bool {
        self.event.is_set()
    }

    /// Waits until the flag is set by the end of a thread; shown as waiting for that thread.
    ///
    /// Args:
    ///     identifier: the thread's, as `get_ident` gives it.
    ///     timeout: seconds to wait at most; None waits for ever.
    #[pyo3(signature = (identifier, timeout=None))]
    fn _wait_for_thread(&self, py: Python<'_>, identifier: u64, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        let holder = threefold_sys::slot::of_identifier(identifier).map_or(Owner::NOBODY, Owner::of_slot);
        let subject = || Subject { holder, ..Subject::unheld(Reason::ThreadJoin, self) };
        Ok(blocking::wait(py, &mut self.event.wait(), Owner::thread(), wait_patience(timeout)?, subject)?.is_some())
    }

    fn _at_fork_reinit(&self) {
        self.event.reset();
    }

    fn __reduce__(this: &Bound<'_, Self>) -> PyResult<()> {
        Err(cannot_pickle(this.as_any()))
    }

    fn __repr__(this: &Bound<'_, Self>) -> PyResult<String> {
        let state = if this.get().event.is_set() { "set" } else { "unset" };
        Ok(format!("<{} at {:#x}: {state}>", python::class_name(this.as_any())?, this.as_ptr().addr()))
    }
}

struct WaitForEvent(Py<PyEvent>);

impl Operation for WaitForEvent {
    fn try_now(&mut self, py: Python<'_>) -> Option<PyResult<Py<PyAny>>> {
        self.0.get().event.is_set().then(|| boolean(py, true))
    }

    fn poll(&mut self, py: Python<'_>, ticket: &mut Ticket) -> Option<PyResult<Py<PyAny>>> {
        self.0.get().event.wait().poll(ticket).map(|()| boolean(py, true))
    }

    fn withdraw(&mut self, py: Python<'_>, ticket: &mut Ticket, how: Withdrawal) -> Option<PyResult<Py<PyAny>>> {
        self.0.get().event.wait().withdraw(ticket, how).map(|()| boolean(py, true))
    }

    fn timed_out(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        boolean(py, false)
    }

    fn subject(&self, _py: Python<'_>) -> Subject {
        Subject::unheld(Reason::Event, self.0.get())
    }

    fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.0)
    }
}

fast_method!(FastIsSet, PyEvent, c"is_set", |this, arguments| {
    if arguments.is_empty() { Fast::Bool(this.event.is_set()) } else { Fast::Slow }
});

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyEvent>()?;
    ffi::install::<FastIsSet>(module.py())
}
