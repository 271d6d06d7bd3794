//! Streams over our transports: bytes that arrive while a task waits in a method of its `StreamReader` go straight to it.
//!
//! Readers and writers are objects of the standard library's classes, whose attributes look into the reader's core; so all
//! methods that are not here work on them. A read is over at its first step if what it wants is buffered. Else it leaves itself
//! with the reader: an arrival that is what it wants becomes its result, without a detour through the buffer, and it is not
//! woken for one that is a part of it.
//!
//! | read | next step |
//! |---|---|
//! | new | takes what is buffered, or leaves itself with the reader and yields a future |
//! | waiting | the future has a result: takes what is buffered by now, or the rest at the end, or waits again |
//! | served | gives what arrived; a cancellation puts it back in front of what is buffered |

use std::sync::Arc;

use pyo3::exceptions::{PyGeneratorExit, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyType};

use super::reader::{ReaderCore, append};
use super::want::{Found, Want};
use crate::convert::Constructed;
use crate::ffi::attached::Attached;
use crate::ffi::{Awaitable, Step, install_awaitable, is_nobody_elses, take_front};

/// How many reads that are over are kept for reads to come: their tasks let go of them before they read again.
const MOST_SPARE: usize = 16;

static SPARE: Attached<Vec<Py<StreamRead>>> = Attached::new(Vec::new());

/// A read of a stream.
#[pyclass(frozen, module = "threefold._threefold", name = "StreamRead", weakref)]
pub(in super::super) struct StreamRead {
    constructed: Constructed,
    read: Arc<Read>,
}

/// What the reader knows of a read.
pub(in super::super) struct Read(Attached<Inner>);

struct Inner {
    want: Want,
    /// How much of what is buffered was looked at already.
    looked_at: usize,
    progress: Progress,
}

/// How far a read has come.
enum Progress {
    New(Reader),
    Waiting(Reader, Py<PyAny>),
    Served(Reader, Py<PyBytes>),
    Over,
}

/// Whose read it is: the reader, which must not end before the read does, and its core.
struct Reader {
    object: Py<PyAny>,
    core: Py<ReaderCore>,
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
    /// A read: one that is over and nobody's, or a new one.
    pub(super) fn begin(reader: &Bound<'_, PyAny>, core: &Bound<'_, ReaderCore>, want: Want) -> PyResult<Py<Self>> {
        let py = reader.py();
        let progress = Progress::New(Reader { object: reader.clone().unbind(), core: core.clone().unbind() });
        let inner = Inner { want, looked_at: 0, progress };
        let spare = SPARE.close(py).pop();
        match spare {
            Some(spare) if is_nobody_elses(spare.bind(py)) && Arc::strong_count(&spare.get().read) == 1 => {
                let previous = std::mem::replace(&mut *spare.get().read.0.close(py), inner);
                drop(previous);
                Ok(spare)
            }
            _ => Py::new(py, Self { constructed: Constructed::YES, read: Arc::new(Read(Attached::new(inner))) }),
        }
    }
}

impl Read {
    /// How much an arrival may bring at most.
    pub(in super::super) fn most_bytes(&self, py: Python<'_>) -> usize {
        self.0.close(py).want.most_bytes()
    }

    fn want(&self, py: Python<'_>) -> Want {
        self.0.close(py).want.clone_ref(py)
    }

    /// Gives it what arrived.
    ///
    /// # Errors
    /// Python's own; the reader has what arrived.
    pub(in super::super) fn serve<'py>(&self, bytes: Bound<'py, PyBytes>) -> PyResult<Served<'py>> {
        let py = bytes.py();
        let inner = self.0.close(py);
        let Progress::Waiting(reader, future) = &inner.progress else { return Ok(Served::Left(bytes)) };
        let (reader, future) = (reader.clone_ref(py), future.clone_ref(py));
        let want = inner.want.clone_ref(py);
        drop(inner);
        let (core, future) = (reader.core.get(), future.bind(py));
        let buffer = core.buffer(py);
        let buffer = buffer.bind(py);
        if !buffer.is_empty() {
            return self.note_more(core, future, buffer, &bytes);
        }
        let Found::Here(count) = want.find_in(py, bytes.as_bytes(), 0, core) else {
            return self.note_more(core, future, buffer, &bytes);
        };
        let (wanted, rest) = if count == bytes.as_bytes().len() {
            (bytes, None)
        } else {
            let (wanted, rest) = bytes.as_bytes().split_at(count);
            (PyBytes::new(py, wanted), Some(PyBytes::new(py, rest)))
        };
        if !core.finish(future) {
            let all = match rest {
                Some(rest) => PyBytes::new(py, &[wanted.as_bytes(), rest.as_bytes()].concat()),
                None => wanted,
            };
            return Ok(Served::Left(all));
        }
        let previous = std::mem::replace(&mut self.0.close(py).progress, Progress::Served(reader, wanted.unbind()));
        drop(previous);
        Ok(rest.map_or(Served::All, Served::Left))
    }

    /// Buffers what arrived, and wakes the read if that decides it.
    fn note_more<'py>(
        &self,
        core: &ReaderCore,
        future: &Bound<'py, PyAny>,
        buffer: &Bound<'py, PyByteArray>,
        bytes: &Bound<'py, PyBytes>,
    ) -> PyResult<Served<'py>> {
        let py = bytes.py();
        let want = self.want(py);
        if matches!(want, Want::AtMost(_)) {
            return Ok(Served::Left(bytes.clone()));
        }
        append(buffer, bytes)?;
        let looked_at = self.0.close(py).looked_at;
        if let Found::NotYet(looked_at) = want.find(buffer, looked_at, core) {
            self.0.close(py).looked_at = looked_at;
            return Ok(Served::NotEnough);
        }
        core.finish(future);
        // Nothing is left, but too much may be buffered.
        Ok(Served::Left(PyBytes::new(py, b"")))
    }

    fn take_progress(&self, py: Python<'_>) -> Progress {
        std::mem::replace(&mut self.0.close(py).progress, Progress::Over)
    }

    #[inline]
    fn advance(self: &Arc<Self>, py: Python<'_>) -> PyResult<Step> {
        match self.take_progress(py) {
            Progress::New(reader) => {
                let exception = reader.core.get().state.close(py).exception.as_ref().map(|error| error.clone_ref(py));
                if let Some(exception) = exception {
                    return Err(PyErr::from_value(exception.into_bound(py)));
                }
                match self.take(py, reader.core.get())? {
                    Some(bytes) => Ok(Step::Value(bytes)),
                    None => self.wait(py, reader),
                }
            }
            Progress::Waiting(reader, future) => {
                reader.core.get().forget_wait(py);
                future.bind(py).call_method0(crate::kept::intern!(py, "result"))?;
                match self.take(py, reader.core.get())? {
                    Some(bytes) => Ok(Step::Value(bytes)),
                    None if matches!(self.0.close(py).want, Want::AtMost(_)) => {
                        Ok(Step::Value(PyBytes::new(py, b"").into_any().unbind()))
                    }
                    None => self.wait(py, reader),
                }
            }
            Progress::Served(_reader, bytes) => Ok(Step::Value(bytes.into_any())),
            Progress::Over => Err(PyRuntimeError::new_err("cannot reuse already awaited coroutine")),
        }
    }

    /// Takes what is wanted from what is buffered, or the rest at the end; none if neither is there.
    fn take(&self, py: Python<'_>, core: &ReaderCore) -> PyResult<Option<Py<PyAny>>> {
        let inner = self.0.close(py);
        let (want, looked_at) = (inner.want.clone_ref(py), inner.looked_at);
        drop(inner);
        if matches!(want, Want::Exactly(0)) {
            return Ok(Some(PyBytes::new(py, b"").into_any().unbind()));
        }
        let state = core.state.close(py);
        if state.buffer.bind(py).is_empty() && !state.is_at_end {
            return Ok(None);
        }
        let (buffer, is_at_end) = (state.buffer.clone_ref(py), state.is_at_end);
        drop(state);
        let buffer = buffer.bind(py);
        let found = if buffer.is_empty() { Found::NotYet(0) } else { want.find(buffer, looked_at, core) };
        match found {
            Found::Here(count) => {
                let bytes = take_front(buffer, count)?;
                core.resume_if_enough_was_taken(buffer)?;
                Ok(Some(bytes.into_any().unbind()))
            }
            Found::TooMuch(count, is_found) => {
                let error = want.refuse(buffer, count, is_found)?;
                if matches!(want, Want::Line) {
                    core.resume_if_enough_was_taken(buffer)?;
                }
                Err(error)
            }
            Found::NotYet(looked_at) => {
                self.0.close(py).looked_at = looked_at;
                if is_at_end { want.rest(buffer).map(Some) } else { Ok(None) }
            }
        }
    }

    /// Leaves the read with its reader, and waits.
    fn wait(self: &Arc<Self>, py: Python<'_>, reader: Reader) -> PyResult<Step> {
        let core = reader.core.get();
        let state = core.state.close(py);
        let (has_waiter, is_paused) = (state.waiter.is_some(), state.is_paused);
        drop(state);
        if has_waiter {
            let method = self.0.close(py).want.waiting_method();
            let text = format!("{method}() called while another coroutine is already waiting for incoming data");
            return Err(PyRuntimeError::new_err(text));
        }
        if is_paused {
            core.resume(py)?;
        }
        let future = core.new_future(py)?;
        let mut state = core.state.close(py);
        let other = (
            state.waiter.replace(future.clone().unbind()),
            // The next arrival is for this read.
            state.read.replace(Arc::clone(self)),
        );
        drop(state);
        drop(other);
        self.0.close(py).progress = Progress::Waiting(reader, future.clone().unbind());
        Ok(Step::Yield(future.unbind()))
    }

    /// Ends the read; what was given to it goes back.
    fn give_up(&self, py: Python<'_>) -> PyResult<()> {
        match self.take_progress(py) {
            Progress::Served(reader, bytes) => {
                let buffer = reader.core.get().buffer(py);
                let front = pyo3::types::PySlice::new(py, 0, 0, 1);
                buffer.bind(py).set_item(front, bytes)
            }
            Progress::Waiting(reader, _future) => {
                reader.core.get().forget_wait(py);
                Ok(())
            }
            Progress::New(_) | Progress::Over => Ok(()),
        }
    }
}

impl Reader {
    fn clone_ref(&self, py: Python<'_>) -> Self {
        Self { object: self.object.clone_ref(py), core: self.core.clone_ref(py) }
    }

    fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.object)?;
        visit.call(&self.core)
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
    fn __name__(&self, py: Python<'_>) -> &'static str {
        self.read.0.close(py).want.method()
    }

    #[getter]
    fn __qualname__(&self, py: Python<'_>) -> String {
        format!("StreamReader.{}", self.read.0.close(py).want.method())
    }

    /// Its name and its transport, for those who want to know what a task awaits.
    fn _describe(&self, py: Python<'_>) -> (&'static str, Option<Py<PyAny>>) {
        let inner = self.read.0.close(py);
        let method = inner.want.qualified_method();
        let core = match &inner.progress {
            Progress::New(reader) | Progress::Waiting(reader, _) => Some(reader.core.clone_ref(py)),
            Progress::Served(..) | Progress::Over => None,
        };
        drop(inner);
        let transport =
            core.and_then(|core| core.get().state.close(py).transport.as_ref().map(|known| known.clone_ref(py)));
        (method, transport)
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        if !self.constructed.is_true() {
            return Ok(());
        }
        match &self.read.0.visit(&visit).progress {
            Progress::New(reader) => reader.traverse(&visit),
            Progress::Waiting(reader, future) => reader.traverse(&visit).and_then(|()| visit.call(future)),
            Progress::Served(reader, bytes) => reader.traverse(&visit).and_then(|()| visit.call(bytes)),
            Progress::Over => Ok(()),
        }
    }

    fn __clear__(&self, py: Python<'_>) {
        drop(self.read.take_progress(py));
    }
}

impl Drop for StreamRead {
    /// A read that was given something, and whose task was dropped before it took that.
    fn drop(&mut self) {
        if !self.constructed.is_true() {
            return;
        }
        // Nobody waits for bytes any more while the interpreter ends.
        let _the_readers_end = Python::try_attach(|py| self.read.give_up(py));
    }
}

impl Awaitable for StreamRead {
    fn step_fast(&self, _py: Python<'_>) -> Option<Step> {
        None
    }

    fn step(&self, py: Python<'_>) -> Step {
        self.read.advance(py).unwrap_or_else(Step::Error)
    }

    fn note_end(this: &Bound<'_, Self>) {
        let py = this.py();
        let mut spare = SPARE.close(py);
        if spare.len() < MOST_SPARE {
            spare.push(this.clone().unbind());
        }
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
