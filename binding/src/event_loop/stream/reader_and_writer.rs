//! The native methods of the readers and writers of our streams.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyType};

use super::super::tls::{self, TlsCore};
use super::connection::StreamCore;
use super::read::{StreamRead, thrown};
use super::reader::ReaderCore;
use super::want::Want;
use super::writing;
use crate::ffi::backed::{find_backing, install_optional, optional_method};
use crate::ffi::{Awaitable, Step, dictionary_of, install_awaitable};
use crate::kept::{Kept, intern};

/// `StreamReader.read(n)`: reading until the end is the standard library's.
fn read<'py>(reader: &Bound<'py, PyAny>, most: Option<&Bound<'py, PyAny>>) -> PyResult<Py<PyAny>> {
    if let Some(most_bytes) = most.and_then(|most| most.extract::<usize>().ok()).filter(|most| *most > 0) {
        return new_read(reader, Want::AtMost(most_bytes));
    }
    read_as_standard(reader, "read", most)
}

/// `StreamReader.readexactly(n)`.
fn read_exactly<'py>(reader: &Bound<'py, PyAny>, count: Option<&Bound<'py, PyAny>>) -> PyResult<Py<PyAny>> {
    match count.and_then(|count| count.extract().ok()) {
        Some(count) => new_read(reader, Want::Exactly(count)),
        None => read_as_standard(reader, "readexactly", count),
    }
}

/// `StreamReader.readline()`.
fn read_line<'py>(reader: &Bound<'py, PyAny>, _none: Option<&Bound<'py, PyAny>>) -> PyResult<Py<PyAny>> {
    new_read(reader, Want::Line)
}

/// `StreamReader.readuntil(separator)`: an empty separator, or one of several, is the standard library's matter.
fn read_until<'py>(reader: &Bound<'py, PyAny>, separator: Option<&Bound<'py, PyAny>>) -> PyResult<Py<PyAny>> {
    let Some(separator) = separator else {
        return new_read(reader, Want::Until(PyBytes::new(reader.py(), b"\n").unbind()));
    };
    match separator.cast_exact::<PyBytes>() {
        Ok(bytes) if !bytes.as_bytes().is_empty() => new_read(reader, Want::Until(bytes.clone().unbind())),
        _ => read_as_standard(reader, "readuntil", Some(separator)),
    }
}

fn new_read(reader: &Bound<'_, PyAny>, want: Want) -> PyResult<Py<PyAny>> {
    let core = item(&dictionary_of(reader)?, intern!(reader.py(), "_core"))?;
    Ok(StreamRead::begin(reader, core.cast::<ReaderCore>()?, want)?.into_any())
}

#[cold]
fn read_as_standard<'py>(
    reader: &Bound<'py, PyAny>,
    method: &str,
    argument: Option<&Bound<'py, PyAny>>,
) -> PyResult<Py<PyAny>> {
    let method = standard(reader.py(), "StreamReader", method)?;
    let coroutine = match argument {
        Some(argument) => method.call1((reader, argument))?,
        None => method.call1((reader,))?,
    };
    Ok(coroutine.unbind())
}

/// `StreamWriter.write(data)`.
fn write<'py>(writer: &Bound<'py, PyAny>, data: Option<&Bound<'py, PyAny>>) -> PyResult<Py<PyAny>> {
    let py = writer.py();
    let data = data.ok_or_else(|| PyTypeError::new_err("write() missing 1 required positional argument: 'data'"))?;
    let transport = item(&dictionary_of(writer)?, intern!(py, "_transport"))?;
    match find_backing::<StreamCore>(&transport) {
        Some(core) => writing::write(&core, &transport, data),
        None => match find_backing::<TlsCore>(&transport) {
            Some(core) => tls::write(&core, &transport, data),
            None => Ok(transport.call_method1(intern!(py, "write"), (data,))?.unbind()),
        },
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
    let is_free = if let Some(core) = find_backing::<StreamCore>(&transport) {
        let state = core.get().state.close();
        !state.stream.is_closing() && !state.stream.outgoing.is_paused()
    } else if let Some(core) = find_backing::<TlsCore>(&transport) {
        core.get().is_free_to_write()
    } else {
        return Ok(false);
    };
    let reader = item(&writer, intern!(py, "_reader"))?;
    Ok(is_free && (reader.is_none() || has_no_exception(&reader)?))
}

fn has_no_exception(reader: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = reader.py();
    if let Some(core) = dictionary_of(reader)?.get_item(intern!(py, "_core"))? {
        if let Ok(core) = core.cast::<ReaderCore>() {
            return Ok(core.get().state.close(py).exception.is_none());
        }
    }
    Ok(reader.getattr(intern!(py, "_exception"))?.is_none())
}

fn standard<'py>(py: Python<'py>, class: &str, method: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("asyncio.streams")?.getattr(class)?.getattr(method)
}

/// What a reader or writer keeps under a name.
fn item<'py>(dictionary: &Bound<'py, PyDict>, name: &Bound<'py, pyo3::types::PyString>) -> PyResult<Bound<'py, PyAny>> {
    dictionary.get_item(name)?.ok_or_else(|| pyo3::exceptions::PyAttributeError::new_err(name.clone().unbind()))
}

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

    #[allow(clippy::unused_self, reason = "as Python calls it")]
    #[getter]
    fn __name__(&self) -> &'static str {
        "drain"
    }

    #[allow(clippy::unused_self, reason = "as Python calls it")]
    #[getter]
    fn __qualname__(&self) -> &'static str {
        "StreamWriter.drain"
    }
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
optional_method!(ReadExactlyMethod, c"readexactly", Some(("n", "")), "Read exactly `n` bytes.", read_exactly);
optional_method!(ReadLineMethod, c"readline", None, "Read until the end of a line, or of the stream.", read_line);
optional_method!(
    ReadUntilMethod,
    c"readuntil",
    Some(("separator", "b'\\n'")),
    "Read until a separator, which is a part of the result.",
    read_until
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
    install_optional::<ReadExactlyMethod>(reader)?;
    install_optional::<ReadLineMethod>(reader)?;
    install_optional::<ReadUntilMethod>(reader)?;
    install_optional::<WriteMethod>(writer)?;
    install_optional::<DrainMethod>(writer)
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Drained>()?;
    install_awaitable::<Drained>(module.py());
    module.add_function(wrap_pyfunction!(install_streams, module)?)
}
