//! Objects to messages and back: pickles, with large buffers beside them, and bytes as they are.

use std::sync::Arc;

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyFunction, PyList, PyTuple, PyType};
use threefold_shared_memory::queue::{Damage, Message, QueueError, Received, Source};

use super::plain::{Tag, is_plain, text_of, value_of, word_of};
use super::queue::queue_error;
use super::view::SharedPart;
use crate::ffi;
use crate::kept::{Kept, intern};

/// An object on its way into a queue.
pub(crate) enum Packed<'a, 'py> {
    /// A number or a constant.
    Word(Tag, [u8; 8]),
    /// A string.
    Text(&'a str),
    /// Bytes that need no pickle.
    Bytes(&'a Bound<'py, PyBytes>),
    /// A pickle, and the buffers that its object wants to have beside it.
    Pickle { stream: Bound<'py, PyBytes>, buffers: Vec<PyBuffer<u8>> },
}

impl<'a, 'py> Packed<'a, 'py> {
    /// # Errors
    /// What pickling raises.
    #[inline]
    pub(crate) fn of(object: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = object.cast_exact::<PyBytes>() {
            return Ok(Self::Bytes(bytes));
        }
        if let Some((tag, word)) = word_of(object) {
            return Ok(Self::Word(tag, word));
        }
        if let Some(text) = text_of(object) {
            return Ok(Self::Text(text));
        }
        Self::pickle(object)
    }

    /// As [`Packed::of`], always as a pickle.
    pub(crate) fn pickle(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        if is_plain(object) {
            let stream = dumps(object.py())?.call1((object, 5))?.cast_into::<PyBytes>()?;
            return Ok(Self::Pickle { stream, buffers: Vec::new() });
        }
        let packed = dump(object.py())?.call1((object,))?;
        let (stream, views): (Bound<'py, PyBytes>, Bound<'py, PyList>) = packed.cast::<PyTuple>()?.extract()?;
        let buffers = views.iter().map(|view| PyBuffer::get(&view)).collect::<PyResult<_>>()?;
        Ok(Self::Pickle { stream, buffers })
    }

    /// A pickle that was made elsewhere.
    pub(crate) fn of_stream(stream: Bound<'py, PyBytes>) -> Self {
        Self::Pickle { stream, buffers: Vec::new() }
    }

    /// Calls `send` with the tag and the parts of which the object is made again.
    ///
    /// # Errors
    /// When a buffer is not one piece of memory.
    pub(crate) fn with_parts<T>(&self, send: impl FnOnce(Tag, &[Source<'_>]) -> T) -> PyResult<T> {
        Ok(match self {
            Self::Word(tag, word) => send(*tag, &[word[..].into()]),
            Self::Text(text) => send(Tag::Text, &[text.as_bytes().into()]),
            Self::Bytes(bytes) => send(Tag::Bytes, &[bytes.as_bytes().into()]),
            Self::Pickle { stream, buffers } if buffers.is_empty() => send(Tag::Pickle, &[stream.as_bytes().into()]),
            Self::Pickle { stream, buffers } => {
                let buffers = sources_of(buffers)?;
                let parts: Vec<Source<'_>> = std::iter::once(stream.as_bytes().into()).chain(buffers).collect();
                send(Tag::Pickle, &parts)
            }
        })
    }

    /// Calls `send` with the message.
    ///
    /// # Errors
    /// When a buffer is not one piece of memory.
    #[inline]
    pub(super) fn with_message<T>(&self, send: impl FnOnce(Message<'_>) -> T) -> PyResult<T> {
        Ok(match self {
            Self::Word(tag, word) => send(Message::tagged(*tag as u8, word)),
            Self::Text(text) => send(Message::tagged(Tag::Text as u8, text.as_bytes())),
            Self::Bytes(bytes) => send(Message::tagged(Tag::Bytes as u8, bytes.as_bytes())),
            Self::Pickle { stream, buffers } if buffers.is_empty() => send(Message::new(stream.as_bytes())),
            Self::Pickle { stream, buffers } => send(Message::with_buffers(stream.as_bytes(), &sources_of(buffers)?)),
        })
    }
}

fn sources_of(buffers: &[PyBuffer<u8>]) -> PyResult<Vec<Source<'_>>> {
    let sources: Option<_> = buffers.iter().map(ffi::source_of).collect();
    sources.ok_or_else(|| PyBufferError::new_err("the buffer is not contiguous"))
}

/// How the buffers of a message are received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Buffers {
    /// As copies, which may be written to.
    Copied,
    /// As views of the queue's memory, which may not.
    InPlace,
}

/// The object that a message carries.
///
/// # Errors
/// What unpickling raises; a damaged queue.
#[inline]
pub(super) fn unpack(py: Python<'_>, received: Received, buffers: Buffers) -> PyResult<Py<PyAny>> {
    let damaged = || queue_error(&QueueError::Damaged(Damage::Parts));
    match (Tag::of_number(received.tag()).ok_or_else(damaged)?, received.as_slice(0)) {
        (Tag::Pickle, _) => unpickle(py, received, buffers),
        (Tag::Bytes, None) => Ok(bytes_of(py, &received, 0)?.into_any().unbind()),
        (tag, Some(bytes)) => value_of(py, tag, bytes).map(Bound::unbind).ok_or_else(damaged),
        (_, None) => Err(damaged()),
    }
}

fn unpickle(py: Python<'_>, received: Received, kind: Buffers) -> PyResult<Py<PyAny>> {
    let stream = bytes_of(py, &received, 0)?;
    if received.buffer_count() == 0 {
        return Ok(loads(py)?.call1((stream,))?.unbind());
    }
    let (received, buffers) = (Arc::new(received), PyList::empty(py));
    for part in 1..=received.buffer_count() {
        match kind {
            Buffers::Copied => buffers.append(bytearray_of(py, &received, part)?)?,
            Buffers::InPlace => buffers.append(SharedPart::view(py, &received, part)?)?,
        }
    }
    let keywords = PyDict::new(py);
    keywords.set_item(intern!(py, "buffers"), buffers)?;
    Ok(loads(py)?.call((stream,), Some(&keywords))?.unbind())
}

/// The pickle of an object as the standard library's connections send it.
///
/// # Errors
/// What pickling raises.
pub(super) fn whole<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    static DUMP: Kept<PyAny> = Kept::new();
    let py = object.py();
    let dumps = if is_plain(object) {
        dumps(py)?
    } else {
        DUMP.get_or_find(py, || py.import("threefold.multiprocessing._pickle")?.getattr("dump_whole"))?
    };
    Ok(dumps.call1((object,))?.cast_into()?)
}

/// The object of a pickle.
///
/// # Errors
/// What unpickling raises.
pub(super) fn object<'py>(pickled: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyAny>> {
    loads(pickled.py())?.call1((pickled,))
}

fn bytes_of<'py>(py: Python<'py>, received: &Received, part: usize) -> PyResult<Bound<'py, PyBytes>> {
    if let Some(bytes) = received.as_slice(part) {
        return Ok(PyBytes::new(py, bytes));
    }
    let len = received.part_bytes(part).unwrap_or(0);
    ffi::new_bytes(py, len, |target| received.read_into(part, target).map_err(|error| queue_error(&error)))
}

fn bytearray_of<'py>(py: Python<'py>, received: &Received, part: usize) -> PyResult<Bound<'py, PyByteArray>> {
    let len = received.part_bytes(part).unwrap_or(0);
    ffi::new_bytearray(py, len, |target| received.read_into(part, target).map_err(|error| queue_error(&error)))
}

pub(crate) fn dumps(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static OBJECT: Kept<PyAny> = Kept::new();
    OBJECT.get_or_find(py, || py.import("pickle")?.getattr("dumps"))
}

pub(crate) fn loads(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static OBJECT: Kept<PyAny> = Kept::new();
    OBJECT.get_or_find(py, || py.import("pickle")?.getattr("loads"))
}

/// Pickles as `multiprocessing` does, with large buffers beside the pickle.
fn dump(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static OBJECT: Kept<PyAny> = Kept::new();
    OBJECT.get_or_find(py, || py.import("threefold.multiprocessing._pickle")?.getattr("dump"))
}

/// What a type's reducer that is registered with `multiprocessing` makes of an object; `NotImplemented` where there is none.
#[pyfunction]
pub(super) fn _reduce_as_multiprocessing<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let (py, class) = (object.py(), object.get_type());
    // Picklers know what to do with functions and classes before they ask for reducers.
    if !object.is_exact_instance_of::<PyType>() && !object.is_exact_instance_of::<PyFunction>() {
        if let Some(reducer) = reducers(py)?.get_item(class)? {
            return reducer.call1((object,));
        }
    }
    Ok(py.NotImplemented().into_bound(py))
}

/// What `ForkingPickler.register` fills.
fn reducers(py: Python<'_>) -> PyResult<&Bound<'_, PyDict>> {
    static OBJECT: Kept<PyDict> = Kept::new();
    OBJECT.get_or_find(py, || {
        let pickler = py.import("multiprocessing.reduction")?.getattr("ForkingPickler")?;
        Ok::<_, PyErr>(pickler.getattr("_extra_reducers")?.cast_into::<PyDict>()?)
    })
}
