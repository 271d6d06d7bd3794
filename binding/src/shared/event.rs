//! `multiprocessing.Event`.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use threefold_shared_memory::Event;

use super::driver::PythonDriver;
use super::event_task::WaitForEvent;
use super::place::{Place, address_of};
use super::task::awaitable;
use super::timeout::{deadline, is_ready, patience};
use crate::wait::PyWait;

/// A flag that processes share.
#[pyclass(frozen, weakref, subclass, module = "threefold._threefold")]
pub(crate) struct SharedEvent {
    place: Place<Event>,
}

impl SharedEvent {
    pub(super) fn event(&self) -> PyResult<&Event> {
        self.place.get()
    }
}

#[pymethods]
impl SharedEvent {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords), text_signature = "()")]
    fn new(_arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) -> Self {
        Self { place: Place::empty() }
    }

    #[pyo3(signature = (*_arguments, **_keywords))]
    #[allow(clippy::unused_self, reason = "CPython calls it on the new object")]
    fn __init__(&self, _arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) {}

    /// Makes it.
    fn _make(&self) -> PyResult<()> {
        self.place.make(Event::BYTES, Event::create)
    }

    /// What `_find` needs in another process.
    fn _address(&self) -> PyResult<(i32, usize)> {
        Ok(address_of(self.place.get()?.home()))
    }

    /// Finds what another process made.
    fn _find(&self, descriptor: i32, len_bytes: usize) -> PyResult<()> {
        self.place.find(descriptor, len_bytes, Event::attach)
    }

    /// Whether the flag is set.
    fn is_set(&self) -> PyResult<bool> {
        Ok(self.place.get()?.is_set())
    }

    /// Sets the flag and releases all who wait for it.
    fn set(&self) -> PyResult<()> {
        self.place.get()?.set();
        Ok(())
    }

    /// Clears the flag.
    fn clear(&self) -> PyResult<()> {
        self.place.get()?.clear();
        Ok(())
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
        let event = self.place.get()?;
        let deadline = deadline(timeout)?;
        Ok(event.is_set() || is_ready(&event.wait(deadline, &mut PythonDriver::new(py, self, deadline))?))
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
        Ok(awaitable(WaitForEvent::new(this), patience(timeout)?))
    }
}
