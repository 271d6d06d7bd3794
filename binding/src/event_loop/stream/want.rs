//! What a read of a stream wants, and whether that is there.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes};

use super::reader::ReaderCore;
use super::reading::MOST_BYTES;
use crate::ffi::{place_in, take_front, with_content};

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

    /// The same.
    #[inline]
    pub(super) fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::AtMost(count) => Self::AtMost(*count),
            Self::Exactly(count) => Self::Exactly(*count),
            Self::Line => Self::Line,
            Self::Until(separator) => Self::Until(separator.clone_ref(py)),
        }
    }

    /// Looks for it in what is buffered; the reader says how much that may be.
    pub(super) fn find(&self, buffer: &Bound<'_, PyByteArray>, looked_at: usize, reader: &ReaderCore) -> Found {
        with_content(buffer, |bytes| self.find_in(buffer.py(), bytes, looked_at, reader))
    }

    /// Looks for it in bytes.
    pub(super) fn find_in(&self, py: Python<'_>, bytes: &[u8], looked_at: usize, reader: &ReaderCore) -> Found {
        let separator = match self {
            Self::AtMost(_) if bytes.is_empty() => return Found::NotYet(0),
            Self::AtMost(count) => return Found::Here(bytes.len().min(*count)),
            Self::Exactly(count) if bytes.len() >= *count => return Found::Here(*count),
            Self::Exactly(_) => return Found::NotYet(0),
            Self::Line => b"\n",
            Self::Until(separator) => separator.bind(py).as_bytes(),
        };
        if bytes.len() < looked_at + separator.len() {
            return Found::NotYet(looked_at);
        }
        let limit = reader.state.close(py).limit_bytes;
        match place_in(bytes, separator, looked_at) {
            Some(place) if place > limit => Found::TooMuch(place, true),
            Some(place) => Found::Here(place + separator.len()),
            None => {
                let looked_at = (bytes.len() + 1).saturating_sub(separator.len());
                if looked_at > limit { Found::TooMuch(looked_at, false) } else { Found::NotYet(looked_at) }
            }
        }
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
    pub(super) fn refuse(&self, buffer: &Bound<'_, PyByteArray>, count: usize, is_found: bool) -> PyResult<PyErr> {
        let py = buffer.py();
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
        take_front(buffer, if is_found { count + 1 } else { buffer.len() })?;
        let error = PyValueError::new_err(text);
        error.value(py).setattr("__context__", overrun)?;
        Ok(error)
    }
}

fn exceptions(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import("asyncio.exceptions")
}
