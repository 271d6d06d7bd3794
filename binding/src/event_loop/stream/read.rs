//! Streams over our transports: bytes that arrive while a task waits in `StreamReader.read` go straight to it.
//!
//! Readers and writers are objects of the standard library's classes, with what these keep in their dictionaries; so all
//! methods that are not here work on them. A read is over at its first step if something is buffered. Else it leaves itself
//! with the connection: the next arrival becomes its result, without a detour through the buffer.
//!
//! | read | next step |
//! |---|---|
//! | new | takes what is buffered, or leaves itself with the connection and yields a future |
//! | waiting | the future has a result: takes what is buffered by now, or nothing at the end |
//! | served | gives what arrived; a cancellation puts it back in front of what is buffered |

use std::sync::Arc;

use pyo3::exceptions::{PyGeneratorExit, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyType};
use threefold_wait::Latch;

use super::super::tls::TlsCore;
use super::connection::StreamCore;
use crate::convert::Constructed;
use crate::ffi::backed::find_backing;
use crate::ffi::{Awaitable, Step, install_awaitable, take_front};
use crate::kept::intern;

/// A read of a stream's next bytes.
#[pyclass(frozen, module = "threefold._threefold", name = "StreamRead", weakref)]
pub(super) struct StreamRead {
    constructed: Constructed,
    read: Arc<Read>,
}

/// What the connection knows of a read.
pub(in super::super) struct Read {
    most_bytes: usize,
    progress: Latch<Progress>,
}

/// How far a read has come.
enum Progress {
    New(Py<PyDict>),
    Waiting(Py<PyDict>, Py<PyAny>),
    Served(Py<PyDict>, Py<PyBytes>),
    Over,
}

impl StreamRead {
    /// A read of `most_bytes` at most; `reader` is what the stream's reader keeps.
    pub(super) fn new(reader: Py<PyDict>, most_bytes: usize) -> Self {
        let read = Arc::new(Read { most_bytes, progress: Latch::new(Progress::New(reader)) });
        Self { constructed: Constructed::YES, read }
    }
}

impl Read {
    /// How many bytes it wants at most.
    pub(in super::super) fn most_bytes(&self) -> usize {
        self.most_bytes
    }

    /// Gives it what arrived; the bytes come back if it does not wait any more.
    pub(in super::super) fn serve<'py>(&self, bytes: Bound<'py, PyBytes>) -> Result<(), Bound<'py, PyBytes>> {
        let py = bytes.py();
        let waited_for = match &*self.progress.close() {
            Progress::Waiting(reader, future) => Some((reader.clone_ref(py), future.clone_ref(py))),
            _ => None,
        };
        let Some((reader, future)) = waited_for else { return Err(bytes) };
        // It fails if the wait was cancelled, and only then.
        if future.bind(py).call_method1(intern!(py, "set_result"), (py.None(),)).is_err() {
            return Err(bytes);
        }
        let _set = reader.bind(py).set_item(intern!(py, "_waiter"), py.None());
        let previous = std::mem::replace(&mut *self.progress.close(), Progress::Served(reader, bytes.unbind()));
        drop(previous);
        Ok(())
    }

    fn take_progress(&self) -> Progress {
        std::mem::replace(&mut *self.progress.close(), Progress::Over)
    }

    fn advance(self: &Arc<Self>, py: Python<'_>) -> PyResult<Step> {
        match self.take_progress() {
            Progress::New(reader) => self.begin(reader.bind(py)),
            Progress::Waiting(reader, future) => {
                let reader = reader.bind(py);
                reader.set_item(intern!(py, "_waiter"), py.None())?;
                future.bind(py).call_method0(intern!(py, "result"))?;
                take(reader, self.most_bytes)
            }
            Progress::Served(_reader, bytes) => Ok(Step::Value(bytes.into_any())),
            Progress::Over => Err(PyRuntimeError::new_err("cannot reuse already awaited coroutine")),
        }
    }

    fn begin(self: &Arc<Self>, reader: &Bound<'_, PyDict>) -> PyResult<Step> {
        let py = reader.py();
        let exception = item(reader, intern!(py, "_exception"))?;
        if !exception.is_none() {
            return Err(PyErr::from_value(exception));
        }
        let buffer = item(reader, intern!(py, "_buffer"))?;
        if !buffer.cast::<PyByteArray>()?.is_empty() || item(reader, intern!(py, "_eof"))?.is_truthy()? {
            return take(reader, self.most_bytes);
        }
        if !item(reader, intern!(py, "_waiter"))?.is_none() {
            let text = "read() called while another coroutine is already waiting for incoming data";
            return Err(PyRuntimeError::new_err(text));
        }
        if item(reader, intern!(py, "_paused"))?.is_truthy()? {
            reader.set_item(intern!(py, "_paused"), false)?;
            item(reader, intern!(py, "_transport"))?.call_method0(intern!(py, "resume_reading"))?;
        }
        let future = item(reader, intern!(py, "_loop"))?.call_method0(intern!(py, "create_future"))?;
        reader.set_item(intern!(py, "_waiter"), &future)?;
        future.setattr(intern!(py, "_asyncio_future_blocking"), true)?;
        let previous = std::mem::replace(
            &mut *self.progress.close(),
            Progress::Waiting(reader.clone().unbind(), future.clone().unbind()),
        );
        drop(previous);
        self.leave_with_connection(reader)?;
        Ok(Step::Yield(future.unbind()))
    }

    /// The next arrival is for this read, if the connection brings what arrives to the reader.
    fn leave_with_connection(self: &Arc<Self>, reader: &Bound<'_, PyDict>) -> PyResult<()> {
        let transport = item(reader, intern!(reader.py(), "_transport"))?;
        let previous = if let Some(core) = find_backing::<StreamCore>(&transport) {
            let mut state = core.get().state.close();
            if state.receiver.brings_to(reader) { state.read.replace(Arc::clone(self)) } else { None }
        } else if let Some(core) = find_backing::<TlsCore>(&transport) {
            let mut state = core.get().state.close();
            if state.receiver.brings_to(reader) { state.read.replace(Arc::clone(self)) } else { None }
        } else {
            None
        };
        drop(previous);
        Ok(())
    }

    /// Ends the read; what was given to it goes back.
    fn give_up(&self, py: Python<'_>) -> PyResult<()> {
        match self.take_progress() {
            Progress::Served(reader, bytes) => {
                let buffer = item(reader.bind(py), intern!(py, "_buffer"))?;
                let front = pyo3::types::PySlice::new(py, 0, 0, 1);
                buffer.set_item(front, bytes)
            }
            Progress::Waiting(reader, _future) => reader.bind(py).set_item(intern!(py, "_waiter"), py.None()),
            Progress::New(_) | Progress::Over => Ok(()),
        }
    }
}

#[pymethods]
impl StreamRead {
    fn __await__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.step(py) {
            Step::Yield(future) => Ok(future),
            Step::Value(value) => Err(pyo3::exceptions::PyStopIteration::new_err((value,))),
            Step::Error(error) => Err(error),
        }
    }

    /// Goes on, as a coroutine's `send`; the value is ignored.
    fn send(&self, py: Python<'_>, _value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.__next__(py)
    }

    /// Ends the read with an exception, as a coroutine's `throw`.
    #[pyo3(signature = (kind, value=None, _traceback=None, /))]
    fn throw(
        &self,
        kind: &Bound<'_, PyAny>,
        value: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        self.read.give_up(kind.py())?;
        Err(thrown(kind, value)?)
    }

    /// Gives the read up, as a coroutine's `close`.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        match self.read.give_up(py) {
            Err(error) if error.is_instance_of::<PyGeneratorExit>(py) => Ok(()),
            outcome => outcome,
        }
    }

    #[allow(clippy::unused_self, reason = "as Python calls it")]
    #[getter]
    fn __name__(&self) -> &'static str {
        "read"
    }

    #[allow(clippy::unused_self, reason = "as Python calls it")]
    #[getter]
    fn __qualname__(&self) -> &'static str {
        "StreamReader.read"
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        if !self.constructed.is_true() {
            return Ok(());
        }
        match &*self.read.progress.close() {
            Progress::New(reader) => visit.call(reader),
            Progress::Waiting(reader, future) => visit.call(reader).and_then(|()| visit.call(future)),
            Progress::Served(reader, bytes) => visit.call(reader).and_then(|()| visit.call(bytes)),
            Progress::Over => Ok(()),
        }
    }

    fn __clear__(&self) {
        drop(self.read.take_progress());
    }
}

impl Drop for StreamRead {
    /// A read that was given something, and whose task was dropped before it took that.
    fn drop(&mut self) {
        if self.constructed.is_true() && !matches!(*self.read.progress.close(), Progress::Over) {
            let _the_readers_end = Python::attach(|py| self.read.give_up(py));
        }
    }
}

impl Awaitable for StreamRead {
    fn step_fast(&self, _py: Python<'_>) -> Option<Step> {
        None
    }

    fn step(&self, py: Python<'_>) -> Step {
        self.read.advance(py).unwrap_or_else(Step::Error)
    }
}

/// The exception of a coroutine's `throw`.
pub(super) fn thrown(kind: &Bound<'_, PyAny>, value: Option<&Bound<'_, PyAny>>) -> PyResult<PyErr> {
    let exception = match (kind.cast::<PyType>(), value) {
        (Ok(class), Some(value)) if !value.is_instance(class)? => class.call1((value,))?,
        (Ok(_), Some(value)) => value.clone(),
        (Ok(class), None) => class.call0()?,
        (Err(_), _) if kind.is_instance_of::<pyo3::exceptions::PyBaseException>() => kind.clone(),
        (Err(_), _) => return Err(PyTypeError::new_err("exceptions must derive from BaseException")),
    };
    Ok(PyErr::from_value(exception))
}

/// Appends what arrives to what is buffered, and wakes who waits for it: `StreamReader.feed_data`.
pub(in super::super) fn feed(reader: &Bound<'_, PyDict>, bytes: &Bound<'_, PyBytes>) -> PyResult<()> {
    let py = reader.py();
    let buffer = item(reader, intern!(py, "_buffer"))?;
    buffer.call_method1(intern!(py, "extend"), (bytes,))?;
    let waiter = item(reader, intern!(py, "_waiter"))?;
    if !waiter.is_none() {
        reader.set_item(intern!(py, "_waiter"), py.None())?;
        if !waiter.call_method0(intern!(py, "cancelled"))?.is_truthy()? {
            waiter.call_method1(intern!(py, "set_result"), (py.None(),))?;
        }
    }
    let transport = item(reader, intern!(py, "_transport"))?;
    if transport.is_none() || item(reader, intern!(py, "_paused"))?.is_truthy()? {
        return Ok(());
    }
    let limit: usize = item(reader, intern!(py, "_limit"))?.extract()?;
    if buffer.len()? / 2 > limit {
        transport.call_method0(intern!(py, "pause_reading"))?;
        reader.set_item(intern!(py, "_paused"), true)?;
    }
    Ok(())
}

/// Takes what is buffered, `most_bytes` at most; the transport may bring more.
fn take(reader: &Bound<'_, PyDict>, most_bytes: usize) -> PyResult<Step> {
    let py = reader.py();
    let buffer = item(reader, intern!(py, "_buffer"))?;
    let bytes = take_front(buffer.cast::<PyByteArray>()?, most_bytes)?;
    if item(reader, intern!(py, "_paused"))?.is_truthy()? {
        let limit: usize = item(reader, intern!(py, "_limit"))?.extract()?;
        if buffer.len()? <= limit {
            reader.set_item(intern!(py, "_paused"), false)?;
            item(reader, intern!(py, "_transport"))?.call_method0(intern!(py, "resume_reading"))?;
        }
    }
    Ok(Step::Value(bytes.into_any().unbind()))
}

/// What a reader or writer keeps under a name.
pub(super) fn item<'py>(
    dictionary: &Bound<'py, PyDict>,
    name: &Bound<'py, pyo3::types::PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    dictionary.get_item(name)?.ok_or_else(|| pyo3::exceptions::PyAttributeError::new_err(name.clone().unbind()))
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<StreamRead>()?;
    install_awaitable::<StreamRead>(module.py());
    Ok(())
}
