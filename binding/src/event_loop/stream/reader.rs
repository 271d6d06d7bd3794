//! What a stream's reader keeps: what is buffered, who waits, how much may be buffered. A reader of ours has it as its
//! attribute `_core`, and the attributes of the standard library's class look into it.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes};

use super::super::state::EventLoopCore;
use super::read::Read;
use crate::convert::Constructed;
use crate::ffi::attached::Attached;
use crate::ffi::futures;
use crate::kept::intern;

/// The native part of a stream's reader.
#[pyclass(frozen, module = "threefold._threefold")]
pub(in super::super) struct ReaderCore {
    constructed: Constructed,
    pub(super) event_loop: Py<EventLoopCore>,
    pub(super) state: Attached<State>,
}

/// What changes while a reader lives.
pub(super) struct State {
    pub(super) buffer: Py<PyByteArray>,
    pub(super) limit_bytes: usize,
    pub(super) is_at_end: bool,
    /// Whether it has paused its connection.
    pub(super) is_paused: bool,
    pub(super) exception: Option<Py<PyAny>>,
    /// The future of the task that waits.
    pub(super) waiter: Option<Py<PyAny>>,
    pub(super) transport: Option<Py<PyAny>>,
    /// The read of that task, if an arrival may go straight to it.
    pub(super) read: Option<Arc<Read>>,
}

#[pymethods]
impl ReaderCore {
    #[new]
    fn new(event_loop: Py<EventLoopCore>, buffer: Py<PyByteArray>, limit_bytes: usize) -> Self {
        let state = State {
            buffer,
            limit_bytes,
            is_at_end: false,
            is_paused: false,
            exception: None,
            waiter: None,
            transport: None,
            read: None,
        };
        Self { constructed: Constructed::YES, event_loop, state: Attached::new(state) }
    }

    /// What is buffered.
    #[getter]
    pub(super) fn buffer(&self, py: Python<'_>) -> Py<PyByteArray> {
        self.state.close(py).buffer.clone_ref(py)
    }

    #[setter]
    fn set_buffer(&self, py: Python<'_>, buffer: Py<PyByteArray>) {
        let previous = std::mem::replace(&mut self.state.close(py).buffer, buffer);
        drop(previous);
    }

    /// How much it may buffer, in bytes.
    #[getter]
    fn limit(&self, py: Python<'_>) -> usize {
        self.state.close(py).limit_bytes
    }

    #[setter]
    fn set_limit(&self, py: Python<'_>, limit_bytes: usize) {
        self.state.close(py).limit_bytes = limit_bytes;
    }

    /// Whether nothing more will come.
    #[getter]
    fn eof(&self, py: Python<'_>) -> bool {
        self.state.close(py).is_at_end
    }

    #[setter]
    fn set_eof(&self, py: Python<'_>, is_at_end: bool) {
        self.state.close(py).is_at_end = is_at_end;
    }

    /// Whether it has paused its connection.
    #[getter]
    fn paused(&self, py: Python<'_>) -> bool {
        self.state.close(py).is_paused
    }

    #[setter]
    fn set_paused(&self, py: Python<'_>, is_paused: bool) {
        self.state.close(py).is_paused = is_paused;
    }

    /// What reads raise from now on.
    #[getter]
    fn exception(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.close(py).exception.as_ref().map(|exception| exception.clone_ref(py))
    }

    #[setter]
    fn set_exception(&self, py: Python<'_>, exception: Option<Py<PyAny>>) {
        let previous = std::mem::replace(&mut self.state.close(py).exception, exception);
        drop(previous);
    }

    /// The future of the task that waits.
    #[getter]
    fn waiter(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.close(py).waiter.as_ref().map(|waiter| waiter.clone_ref(py))
    }

    #[setter]
    fn set_waiter(&self, py: Python<'_>, waiter: Option<Py<PyAny>>) {
        let previous = std::mem::replace(&mut self.state.close(py).waiter, waiter);
        drop(previous);
    }

    /// What brings the bytes.
    #[getter]
    fn transport(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.close(py).transport.as_ref().map(|transport| transport.clone_ref(py))
    }

    #[setter]
    fn set_transport(&self, py: Python<'_>, transport: Option<Py<PyAny>>) {
        let previous = std::mem::replace(&mut self.state.close(py).transport, transport);
        drop(previous);
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        if !self.constructed.is_true() {
            return Ok(());
        }
        visit.call(&self.event_loop)?;
        let state = self.state.visit(&visit);
        visit.call(&state.exception)?;
        visit.call(&state.waiter)?;
        visit.call(&state.transport)
    }

    fn __clear__(&self, py: Python<'_>) {
        let mut state = self.state.close(py);
        let parts = (state.exception.take(), state.waiter.take(), state.transport.take(), state.read.take());
        drop(state);
        drop(parts);
    }
}

impl ReaderCore {
    /// Appends what arrives to what is buffered, and wakes who waits for it: `StreamReader.feed_data`.
    pub(in super::super) fn feed(&self, bytes: &Bound<'_, PyBytes>) -> PyResult<()> {
        let py = bytes.py();
        let buffer = self.buffer(py);
        let buffer = buffer.bind(py);
        append(buffer, bytes)?;
        let waiter = self.state.close(py).waiter.take();
        if let Some(waiter) = waiter {
            let waiter = waiter.bind(py);
            if !self.event_loop.get().finish(waiter) && !waiter.call_method0(intern!(py, "cancelled"))?.is_truthy()? {
                waiter.call_method1(intern!(py, "set_result"), (py.None(),))?;
            }
        }
        let state = self.state.close(py);
        if state.is_paused || buffer.len() <= state.limit_bytes.saturating_mul(2) {
            return Ok(());
        }
        let Some(transport) = state.transport.as_ref().map(|transport| transport.clone_ref(py)) else { return Ok(()) };
        drop(state);
        transport.bind(py).call_method0(intern!(py, "pause_reading"))?;
        self.state.close(py).is_paused = true;
        Ok(())
    }

    /// Ends the wait for `future`; false if it was cancelled.
    #[inline]
    pub(super) fn finish(&self, future: &Bound<'_, PyAny>) -> bool {
        let py = future.py();
        let is_set = self.event_loop.get().finish(future)
            || future.call_method1(intern!(py, "set_result"), (py.None(),)).is_ok();
        if is_set {
            let waiter = self.state.close(py).waiter.take();
            drop(waiter);
        }
        is_set
    }

    /// A future for a task to wait for.
    #[inline]
    pub(super) fn new_future<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let future = match self.event_loop.get().take_spare_future(py) {
            Some(spare) => spare.into_bound(py),
            None => self.event_loop.bind(py).call_method0(intern!(py, "create_future"))?,
        };
        futures::set_blocking(&future)?;
        Ok(future)
    }

    /// The task waits no more.
    #[inline]
    pub(super) fn forget_wait(&self, py: Python<'_>) {
        let mut state = self.state.close(py);
        let parts = (state.waiter.take(), state.read.take());
        drop(state);
        drop(parts);
    }

    /// The read that waits, for what arrives.
    #[inline]
    pub(in super::super) fn take_read(&self, py: Python<'_>) -> Option<Arc<Read>> {
        self.state.close(py).read.take()
    }

    /// It still waits.
    pub(in super::super) fn put_read_back(&self, py: Python<'_>, read: Option<Arc<Read>>) {
        let other = std::mem::replace(&mut self.state.close(py).read, read);
        drop(other);
    }

    /// Something was taken: the transport may bring more.
    #[inline]
    pub(super) fn resume_if_enough_was_taken(&self, buffer: &Bound<'_, PyByteArray>) -> PyResult<()> {
        let py = buffer.py();
        let state = self.state.close(py);
        let is_enough = state.is_paused && buffer.len() <= state.limit_bytes;
        drop(state);
        if is_enough { self.resume(py) } else { Ok(()) }
    }

    /// Lets the connection bring more.
    #[cold]
    pub(super) fn resume(&self, py: Python<'_>) -> PyResult<()> {
        let mut state = self.state.close(py);
        state.is_paused = false;
        let transport = state.transport.as_ref().map(|transport| transport.clone_ref(py));
        drop(state);
        transport.into_pyobject(py)?.call_method0(intern!(py, "resume_reading")).map(drop)
    }
}

/// Appends to what is buffered.
pub(super) fn append(buffer: &Bound<'_, PyByteArray>, bytes: &Bound<'_, PyBytes>) -> PyResult<()> {
    buffer.call_method1(intern!(buffer.py(), "extend"), (bytes,)).map(drop)
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ReaderCore>()
}
