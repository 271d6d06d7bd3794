//! What a read of a stream wants, and whether that is there.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict};

use super::buffer::{item, limit_of};
use super::reading::MOST_BYTES;
use crate::ffi::take_front;
use crate::kept::{Kept, intern};

/// What a read wants.
pub(super) enum Want {
    /// What is there, so many bytes at most.
    AtMost(usize),
    /// So many bytes.
    Exactly(usize),
    /// All until the end of a line, or of the stream.
    Line,
    /// All until a separator, which is not empty.
    Until(Py<PyBytes>),
}

/// What was found of it.
pub(super) enum Found {
    /// All of it: so many bytes.
    Here(usize),
    /// Not yet; the separator does not begin within so many bytes.
    NotYet(usize),
    /// More than a reader may buffer: so many bytes, and whether the separator follows.
    TooMuch(usize, bool),
}

impl Want {
    /// How much an arrival may bring at most.
    pub(super) fn most_bytes(&self) -> usize {
        match self {
            Self::AtMost(count) => *count,
            Self::Exactly(_) | Self::Line | Self::Until(_) => MOST_BYTES,
        }
    }

    /// The name of the reader's method, with its class.
    pub(super) fn qualified_method(&self) -> &'static str {
        match self {
            Self::AtMost(_) => "StreamReader.read",
            Self::Exactly(_) => "StreamReader.readexactly",
            Self::Line => "StreamReader.readline",
            Self::Until(_) => "StreamReader.readuntil",
        }
    }

    /// The name of the reader's method.
    pub(super) fn method(&self) -> &'static str {
        self.qualified_method().trim_start_matches("StreamReader.")
    }

    /// The name of the method that waits, for errors: a line is read by another one.
    pub(super) fn waiting_method(&self) -> &'static str {
        if matches!(self, Self::Line) { "readuntil" } else { self.method() }
    }

    /// Looks for it in a `bytes` or `bytearray`; the reader says how much it may buffer.
    ///
    /// # Errors
    /// Python's own.
    pub(super) fn find(
        &self,
        buffer: &Bound<'_, PyAny>,
        looked_at: usize,
        reader: &Bound<'_, PyDict>,
    ) -> PyResult<Found> {
        let py = buffer.py();
        let len = buffer.len()?;
        let separator = match self {
            Self::AtMost(_) if len == 0 => return Ok(Found::NotYet(0)),
            Self::AtMost(count) => return Ok(Found::Here(len.min(*count))),
            Self::Exactly(count) if len >= *count => return Ok(Found::Here(*count)),
            Self::Exactly(_) => return Ok(Found::NotYet(0)),
            Self::Line => end_of_line(py),
            Self::Until(separator) => separator.bind(py),
        };
        let separator_len = separator.as_bytes().len();
        if len < looked_at + separator_len {
            return Ok(Found::NotYet(looked_at));
        }
        let limit = limit_of(reader)?;
        let place: isize = buffer.call_method1(intern!(py, "find"), (separator, looked_at))?.extract()?;
        Ok(match usize::try_from(place) {
            Ok(place) if place > limit => Found::TooMuch(place, true),
            Ok(place) => Found::Here(place + separator_len),
            Err(_not_there) => {
                let looked_at = (len + 1).saturating_sub(separator_len);
                if looked_at > limit { Found::TooMuch(looked_at, false) } else { Found::NotYet(looked_at) }
            }
        })
    }

    /// The bytes of a stream that has ended before all was there.
    ///
    /// # Errors
    /// `IncompleteReadError`, except where the rest is what is wanted.
    pub(super) fn rest(&self, buffer: &Bound<'_, PyByteArray>) -> PyResult<Py<PyAny>> {
        let py = buffer.py();
        let rest = take_front(buffer, usize::MAX)?;
        let expected = match self {
            Self::AtMost(_) | Self::Line => return Ok(rest.into_any().unbind()),
            Self::Exactly(count) => Some(*count),
            Self::Until(_) => None,
        };
        Err(PyErr::from_value(exceptions(py)?.getattr("IncompleteReadError")?.call1((rest, expected))?))
    }

    /// The error of a reader that must not buffer so much.
    ///
    /// # Errors
    /// Python's own.
    #[cold]
    pub(super) fn refuse(&self, reader: &Bound<'_, PyDict>, count: usize, is_found: bool) -> PyResult<PyErr> {
        let py = reader.py();
        let text = if is_found {
            "Separator is found, but chunk is longer than limit"
        } else {
            "Separator is not found, and chunk exceed the limit"
        };
        let overrun = exceptions(py)?.getattr("LimitOverrunError")?.call1((text, count))?;
        if !matches!(self, Self::Line) {
            return Ok(PyErr::from_value(overrun));
        }
        // The line is lost.
        let buffer = item(reader, intern!(py, "_buffer"))?;
        let len = buffer.len()?;
        take_front(buffer.cast()?, if is_found { count + 1 } else { len })?;
        let error = PyValueError::new_err(text);
        error.value(py).setattr("__context__", overrun)?;
        Ok(error)
    }
}

fn end_of_line(py: Python<'_>) -> &Bound<'_, PyBytes> {
    static END: Kept<PyBytes> = Kept::new();
    let Ok::<_, std::convert::Infallible>(end) = END.get_or_find(py, || Ok(PyBytes::new(py, b"\n")));
    end
}

fn exceptions(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import("asyncio.exceptions")
}
