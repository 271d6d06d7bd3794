//! Streams over our transports: bytes that arrive while a task waits in a method of its `StreamReader` go straight to it.
//!
//! Readers and writers are objects of the standard library's classes, with what these keep in their dictionaries; so all
//! methods that are not here work on them. A read is over at its first step if what it wants is buffered. Else it leaves itself
//! with the connection: an arrival that is what it wants becomes its result, without a detour through the buffer, and it is not
//! woken for one that is a part of it.
//!
//! | read | next step |
//! |---|---|
//! | new | takes what is buffered, or leaves itself with the connection and yields a future |
//! | waiting | the future has a result: takes what is buffered by now, or the rest at the end, or waits again |
//! | served | gives what arrived; a cancellation puts it back in front of what is buffered |

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::exceptions::{PyGeneratorExit, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyType};
use threefold_wait::Latch;

use super::super::tls::TlsCore;
use super::buffer::{finish, item, new_future, resume_if_enough_was_taken};
use super::connection::StreamCore;
use super::want::{Found, Want};
use crate::convert::Constructed;
use crate::ffi::backed::find_backing;
use crate::ffi::{Awaitable, Step, install_awaitable, take_front};
use crate::kept::intern;

/// A read of a stream.
#[pyclass(frozen, module = "threefold._threefold", name = "StreamRead", weakref)]
pub(super) struct StreamRead {
    constructed: Constructed,
    read: Arc<Read>,
}

/// What the connection knows of a read.
pub(in super::super) struct Read {
    want: Want,
    /// How much of what is buffered was looked at already.
    looked_at: AtomicUsize,
    progress: Latch<Progress>,
}

/// How far a read has come.
enum Progress {
    New(Py<PyDict>),
    Waiting(Py<PyDict>, Py<PyAny>),
    Served(Py<PyDict>, Py<PyBytes>),
    Over,
}

/// What a read makes of what arrived.
pub(in super::super) enum Served<'py> {
    /// It has all of it.
    All,
    /// It has what it wants, or does not wait any more; these are for the buffer.
    Left(Bound<'py, PyBytes>),
    /// It needs all of it, and more.
    NotEnough,
}

impl StreamRead {
    /// A read; `reader` is what the stream's reader keeps.
    pub(super) fn new(reader: Py<PyDict>, want: Want) -> Self {
        let progress = Latch::new(Progress::New(reader));
        let read = Arc::new(Read { want, looked_at: AtomicUsize::new(0), progress });
        Self { constructed: Constructed::YES, read }
    }
}

impl Read {
    /// How much an arrival may bring at most.
    pub(in super::super) fn most_bytes(&self) -> usize {
        self.want.most_bytes()
    }

    /// Gives it what arrived.
    ///
    /// # Errors
    /// Python's own; the reader has what arrived.
    pub(in super::super) fn serve<'py>(&self, bytes: Bound<'py, PyBytes>) -> PyResult<Served<'py>> {
        let py = bytes.py();
        let waited_for = match &*self.progress.close() {
            Progress::Waiting(reader, future) => Some((reader.clone_ref(py), future.clone_ref(py))),
            _ => None,
        };
        let Some((reader, future)) = waited_for else { return Ok(Served::Left(bytes)) };
        let buffer = item(reader.bind(py), intern!(py, "_buffer"))?;
        let buffer = buffer.cast::<PyByteArray>()?;
        if !buffer.is_empty() {
            return self.note_more(reader.bind(py), future.bind(py), buffer, &bytes);
        }
        let Found::Here(count) = self.want.find(&bytes, 0, reader.bind(py))? else {
            return self.note_more(reader.bind(py), future.bind(py), buffer, &bytes);
        };
        let (wanted, rest) = if count == bytes.as_bytes().len() {
            (bytes, None)
        } else {
            let (wanted, rest) = bytes.as_bytes().split_at(count);
            (PyBytes::new(py, wanted), Some(PyBytes::new(py, rest)))
        };
        if !finish(reader.bind(py), future.bind(py))? {
            let all = match rest {
                Some(rest) => PyBytes::new(py, &[wanted.as_bytes(), rest.as_bytes()].concat()),
                None => wanted,
            };
            return Ok(Served::Left(all));
        }
        let previous = std::mem::replace(&mut *self.progress.close(), Progress::Served(reader, wanted.unbind()));
        drop(previous);
        Ok(rest.map_or(Served::All, Served::Left))
    }

    /// Buffers what arrived, and wakes the read if that decides it.
    fn note_more<'py>(
        &self,
        reader: &Bound<'py, PyDict>,
        future: &Bound<'py, PyAny>,
        buffer: &Bound<'py, PyByteArray>,
        bytes: &Bound<'py, PyBytes>,
    ) -> PyResult<Served<'py>> {
        let py = reader.py();
        if matches!(self.want, Want::AtMost(_)) {
            return Ok(Served::Left(bytes.clone()));
        }
        buffer.call_method1(intern!(py, "extend"), (bytes,))?;
        let looked_at = self.looked_at.load(Ordering::Relaxed);
        if let Found::NotYet(looked_at) = self.want.find(buffer, looked_at, reader)? {
            self.looked_at.store(looked_at, Ordering::Relaxed);
            return Ok(Served::NotEnough);
        }
        finish(reader, future)?;
        // Nothing is left, but too much may be buffered.
        Ok(Served::Left(PyBytes::new(py, b"")))
    }

    fn take_progress(&self) -> Progress {
        std::mem::replace(&mut *self.progress.close(), Progress::Over)
    }

    fn advance(self: &Arc<Self>, py: Python<'_>) -> PyResult<Step> {
        match self.take_progress() {
            Progress::New(reader) => {
                let reader = reader.bind(py);
                let exception = item(reader, intern!(py, "_exception"))?;
                if !exception.is_none() {
                    return Err(PyErr::from_value(exception));
                }
                match self.take(reader)? {
                    Some(bytes) => Ok(Step::Value(bytes)),
                    None => self.wait(reader),
                }
            }
            Progress::Waiting(reader, future) => {
                let reader = reader.bind(py);
                reader.set_item(intern!(py, "_waiter"), py.None())?;
                future.bind(py).call_method0(intern!(py, "result"))?;
                match self.take(reader)? {
                    Some(bytes) => Ok(Step::Value(bytes)),
                    None if matches!(self.want, Want::AtMost(_)) => {
                        Ok(Step::Value(PyBytes::new(py, b"").into_any().unbind()))
                    }
                    None => self.wait(reader),
                }
            }
            Progress::Served(_reader, bytes) => Ok(Step::Value(bytes.into_any())),
            Progress::Over => Err(PyRuntimeError::new_err("cannot reuse already awaited coroutine")),
        }
    }

    /// Takes what is wanted from what is buffered, or the rest at the end; none if neither is there.
    fn take(&self, reader: &Bound<'_, PyDict>) -> PyResult<Option<Py<PyAny>>> {
        let py = reader.py();
        if matches!(self.want, Want::Exactly(0)) {
            return Ok(Some(PyBytes::new(py, b"").into_any().unbind()));
        }
        let buffer = item(reader, intern!(py, "_buffer"))?;
        let buffer = buffer.cast::<PyByteArray>()?;
        let found = if buffer.is_empty() {
            Found::NotYet(0)
        } else {
            self.want.find(buffer, self.looked_at.load(Ordering::Relaxed), reader)?
        };
        match found {
            Found::Here(count) => {
                let bytes = take_front(buffer, count)?;
                resume_if_enough_was_taken(reader, buffer)?;
                Ok(Some(bytes.into_any().unbind()))
            }
            Found::TooMuch(count, is_found) => {
                let error = self.want.refuse(reader, count, is_found)?;
                if matches!(self.want, Want::Line) {
                    resume_if_enough_was_taken(reader, buffer)?;
                }
                Err(error)
            }
            Found::NotYet(looked_at) => {
                self.looked_at.store(looked_at, Ordering::Relaxed);
                if !item(reader, intern!(py, "_eof"))?.is_truthy()? {
                    return Ok(None);
                }
                self.want.rest(buffer).map(Some)
            }
        }
    }

    fn wait(self: &Arc<Self>, reader: &Bound<'_, PyDict>) -> PyResult<Step> {
        let py = reader.py();
        if !item(reader, intern!(py, "_waiter"))?.is_none() {
            let method = self.want.waiting_method();
            let text = format!("{method}() called while another coroutine is already waiting for incoming data");
            return Err(PyRuntimeError::new_err(text));
        }
        if item(reader, intern!(py, "_paused"))?.is_truthy()? {
            reader.set_item(intern!(py, "_paused"), false)?;
            item(reader, intern!(py, "_transport"))?.call_method0(intern!(py, "resume_reading"))?;
        }
        let future = new_future(&item(reader, intern!(py, "_loop"))?)?;
        reader.set_item(intern!(py, "_waiter"), &future)?;
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

    #[getter]
    fn __name__(&self) -> &'static str {
        self.read.want.method()
    }

    #[getter]
    fn __qualname__(&self) -> String {
        format!("StreamReader.{}", self.read.want.method())
    }

    /// Its name and its transport, for those who want to know what a task awaits.
    fn _describe<'py>(&self, py: Python<'py>) -> PyResult<(&'static str, Option<Bound<'py, PyAny>>)> {
        let reader = match &*self.read.progress.close() {
            Progress::New(reader) | Progress::Waiting(reader, _) => Some(reader.bind(py).clone()),
            Progress::Served(..) | Progress::Over => None,
        };
        let transport = reader.map(|reader| item(&reader, intern!(py, "_transport"))).transpose()?;
        Ok((self.read.want.qualified_method(), transport))
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

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<StreamRead>()?;
    install_awaitable::<StreamRead>(module.py());
    Ok(())
}
