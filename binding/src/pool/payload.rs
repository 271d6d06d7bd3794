//! Objects to the parts of frames and back.

use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyList};
use threefold_pool::local::{Frame, Source};

use super::exceptions::link_error;
use super::frames;
use super::spares::Spares;
use crate::ffi;
use crate::kept::intern;
use crate::shared::pickle::{self, Packed};
use crate::shared::plain::{Tag, value_of};

/// The parts of a frame that carry one object, copied out of the link.
pub(super) enum Parts {
    /// An object that needs no Python code to be made.
    Plain(Py<PyAny>),
    /// A pickle and its buffers.
    Pickle { stream: Py<PyBytes>, buffers: Vec<Py<PyByteArray>> },
}

impl Parts {
    /// Copies the parts from number `first` on, into spare buffers where there are such. Runs no Python code.
    ///
    /// # Errors
    /// A damaged link; no memory.
    pub(super) fn of(py: Python<'_>, frame: &Frame, first: usize, spares: &mut Spares) -> PyResult<Option<Self>> {
        let Some(tag) = frames::tag(frame.flags()) else { return Ok(None) };
        let stream = bytes(py, frame, first)?;
        if tag == Tag::Bytes {
            return Ok(Some(Self::Plain(stream.into_any())));
        }
        if tag != Tag::Pickle {
            return Ok(value_of(py, tag, stream.as_bytes(py)).map(|value| Self::Plain(value.unbind())));
        }
        let mut bytearray = |part: usize| {
            let len = frame.part_bytes(part).unwrap_or(0);
            spares.bytearray(py, len, |target| frame.read_into(part, target).map_err(|error| link_error(&error.into())))
        };
        let buffers =
            (first + 1..frame.part_count()).map(|part| Ok(bytearray(part)?.unbind())).collect::<PyResult<_>>()?;
        Ok(Some(Self::Pickle { stream, buffers }))
    }

    /// The object.
    ///
    /// # Errors
    /// What unpickling raises.
    pub(super) fn into_object(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self {
            Self::Plain(object) => Ok(object),
            Self::Pickle { stream, buffers } if buffers.is_empty() => Ok(pickle::loads(py)?.call1((stream,))?.unbind()),
            Self::Pickle { stream, buffers } => {
                let keywords = PyDict::new(py);
                keywords.set_item(intern!(py, "buffers"), PyList::new(py, buffers)?)?;
                Ok(pickle::loads(py)?.call((stream,), Some(&keywords))?.unbind())
            }
        }
    }

    pub(super) fn size_bytes(&self, py: Python<'_>) -> usize {
        match self {
            Self::Plain(_) => 0,
            Self::Pickle { stream, buffers } => {
                stream.as_bytes(py).len() + buffers.iter().map(|buffer| buffer.bind(py).len()).sum::<usize>()
            }
        }
    }
}

/// One part as `bytes`.
pub(super) fn bytes(py: Python<'_>, frame: &Frame, part: usize) -> PyResult<Py<PyBytes>> {
    let len = frame.part_bytes(part).unwrap_or(0);
    let bytes =
        ffi::new_bytes(py, len, |target| frame.read_into(part, target).map_err(|error| link_error(&error.into())))?;
    Ok(bytes.unbind())
}

/// A part that is a number.
pub(super) fn number(frame: &Frame, part: usize) -> Option<u64> {
    let mut bytes = [0; 8];
    let is_whole = frame.part_bytes(part) == Some(bytes.len()) && frame.read(part, 0, &mut bytes).is_ok();
    is_whole.then(|| u64::from_le_bytes(bytes))
}

/// Calls `send` with the number `head` and the parts that carry an object, and the flags that say which.
///
/// # Errors
/// When a buffer is not one piece of memory.
pub(super) fn with_parts<T>(
    head: u64,
    packed: &Packed<'_, '_>,
    send: impl FnOnce(u16, &[Source<'_>]) -> T,
) -> PyResult<T> {
    let head = head.to_le_bytes();
    packed.with_parts(|tag, parts| {
        let flags = frames::flags_of(tag);
        if let [one] = parts {
            return send(flags, &[head[..].into(), *one]);
        }
        let all: Vec<Source<'_>> = std::iter::once(head[..].into()).chain(parts.iter().copied()).collect();
        send(flags, &all)
    })
}
