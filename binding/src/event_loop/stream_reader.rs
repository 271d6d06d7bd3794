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

use super::stream::StreamCore;
use super::stream_reading::Receiver;
use super::stream_writing;
use crate::convert::Constructed;
use crate::ffi::backed::{find_backing, install_optional, optional_method};
use crate::ffi::{Awaitable, Step, dictionary_of, install_awaitable, take_front};
use crate::kept::{Kept, intern};

/// A read of a stream's next bytes.
#[pyclass(frozen, module = "threefold._threefold", name = "StreamRead", weakref)]
pub(super) struct StreamRead {
    constructed: Constructed,
    read: Arc<Read>,
}

/// What the connection knows of a read.
pub(super) struct Read {
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
    pub(super) fn most_bytes(&self) -> usize {
        self.most_bytes
    }

    /// Gives it what arrived; the bytes come back if it does not wait any more.
    pub(super) fn serve<'py>(&self, bytes: Bound<'py, PyBytes>) -> Result<(), Bound<'py, PyBytes>> {
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
        let Some(core) = find_backing::<StreamCore>(&transport) else { return Ok(()) };
        let mut state = core.get().state.close();
        if matches!(&state.receiver, Receiver::Reader(_, dictionary) if dictionary.is(reader)) {
            state.read = Some(Arc::clone(self));
        }
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
fn thrown(kind: &Bound<'_, PyAny>, value: Option<&Bound<'_, PyAny>>) -> PyResult<PyErr> {
    let exception = match (kind.cast::<PyType>(), value) {
        (Ok(class), Some(value)) if !value.is_instance(class)? => class.call1((value,))?,
        (Ok(_), Some(value)) => value.clone(),
        (Ok(class), None) => class.call0()?,
        (Err(_), _) if kind.is_instance_of::<pyo3::exceptions::PyBaseException>() => kind.clone(),
        (Err(_), _) => return Err(PyTypeError::new_err("exceptions must derive from BaseException")),
    };
    Ok(PyErr::from_value(exception))
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
fn item<'py>(dictionary: &Bound<'py, PyDict>, name: &Bound<'py, pyo3::types::PyString>) -> PyResult<Bound<'py, PyAny>> {
    dictionary.get_item(name)?.ok_or_else(|| pyo3::exceptions::PyAttributeError::new_err(name.clone().unbind()))
}

/// `StreamReader.read(n)`: other reads than of some bytes are the standard library's.
fn read<'py>(reader: &Bound<'py, PyAny>, most: Option<&Bound<'py, PyAny>>) -> PyResult<Py<PyAny>> {
    let py = reader.py();
    if let Some(most_bytes) = most.and_then(|most| most.extract::<usize>().ok()).filter(|most| *most > 0) {
        let read = StreamRead::new(dictionary_of(reader)?.unbind(), most_bytes);
        return Ok(Py::new(py, read)?.into_any());
    }
    let standard = STANDARD_READ.get_or_find(py, || standard(py, "StreamReader", "read"))?;
    let most = most
        .cloned()
        .unwrap_or_else(|| (-1_i32).into_pyobject(py).map_or_else(|never| match never {}, Bound::into_any));
    Ok(standard.call1((reader, most))?.unbind())
}

/// `StreamWriter.write(data)`.
fn write<'py>(writer: &Bound<'py, PyAny>, data: Option<&Bound<'py, PyAny>>) -> PyResult<Py<PyAny>> {
    let py = writer.py();
    let data = data.ok_or_else(|| PyTypeError::new_err("write() missing 1 required positional argument: 'data'"))?;
    let transport = item(&dictionary_of(writer)?, intern!(py, "_transport"))?;
    match find_backing::<StreamCore>(&transport) {
        Some(core) => stream_writing::write(&core, &transport, data),
        None => Ok(transport.call_method1(intern!(py, "write"), (data,))?.unbind()),
    }
}

/// `StreamWriter.drain()`: there is nothing to wait for, or it is the standard library's.
fn drain<'py>(writer: &Bound<'py, PyAny>, _none: Option<&Bound<'py, PyAny>>) -> PyResult<Py<PyAny>> {
    let py = writer.py();
    if is_drained(writer)? {
        let drained = DRAINED.get_or_find(py, || Bound::new(py, Drained))?;
        return Ok(drained.clone().into_any().unbind());
    }
    let standard = STANDARD_DRAIN.get_or_find(py, || standard(py, "StreamWriter", "drain"))?;
    Ok(standard.call1((writer,))?.unbind())
}

fn is_drained(writer: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = writer.py();
    let writer = dictionary_of(writer)?;
    let transport = item(&writer, intern!(py, "_transport"))?;
    let Some(core) = find_backing::<StreamCore>(&transport) else { return Ok(false) };
    let state = core.get().state.close();
    let is_free = !state.stream.is_closing() && !state.stream.outgoing.is_paused();
    drop(state);
    let reader = item(&writer, intern!(py, "_reader"))?;
    Ok(is_free && (reader.is_none() || reader.getattr(intern!(py, "_exception"))?.is_none()))
}

fn standard<'py>(py: Python<'py>, class: &str, method: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("asyncio.streams")?.getattr(class)?.getattr(method)
}

static STANDARD_READ: Kept<PyAny> = Kept::new();
static STANDARD_DRAIN: Kept<PyAny> = Kept::new();
static DRAINED: Kept<Drained> = Kept::new();

/// The coroutine of a `drain` that has nothing to wait for: over at its first step, and the same for all.
#[pyclass(frozen, module = "threefold._threefold", name = "StreamDrained", weakref)]
struct Drained;

#[pymethods]
impl Drained {
    fn __await__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    #[allow(clippy::unused_self, reason = "as Python calls it")]
    fn __next__(&self) -> Option<Py<PyAny>> {
        None
    }

    #[allow(clippy::unused_self, reason = "as Python calls it")]
    fn send(&self, py: Python<'_>, _value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        Err(pyo3::exceptions::PyStopIteration::new_err((py.None(),)))
    }

    #[allow(clippy::unused_self, reason = "as Python calls it")]
    #[pyo3(signature = (kind, value=None, _traceback=None, /))]
    fn throw(
        &self,
        kind: &Bound<'_, PyAny>,
        value: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        Err(thrown(kind, value)?)
    }

    #[allow(clippy::unused_self, reason = "as Python calls it")]
    fn close(&self) {}
}

impl Awaitable for Drained {
    fn step_fast(&self, py: Python<'_>) -> Option<Step> {
        Some(Step::Value(py.None()))
    }

    fn step(&self, py: Python<'_>) -> Step {
        Step::Value(py.None())
    }
}

optional_method!(
    ReadMethod,
    c"read",
    Some(("n", "-1")),
    "Read up to `n` bytes; all until the end if it is negative.",
    read
);
optional_method!(WriteMethod, c"write", Some(("data", "")), "Write bytes; what does not fit is queued.", write);
optional_method!(DrainMethod, c"drain", None, "Wait until not too much is queued for writing.", drain);

/// Gives the classes of readers and writers their native methods.
///
/// Args:
///     reader: a subclass of `asyncio.StreamReader`.
///     writer: a subclass of `asyncio.StreamWriter`.
#[pyfunction]
fn install_streams(reader: &Bound<'_, PyType>, writer: &Bound<'_, PyType>) -> PyResult<()> {
    install_optional::<ReadMethod>(reader)?;
    install_optional::<WriteMethod>(writer)?;
    install_optional::<DrainMethod>(writer)
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<StreamRead>()?;
    install_awaitable::<StreamRead>(module.py());
    module.add_class::<Drained>()?;
    install_awaitable::<Drained>(module.py());
    module.add_function(wrap_pyfunction!(install_streams, module)?)
}
