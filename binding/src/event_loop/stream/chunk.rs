//! Bytes that a program hands over for writing: kept as they are where they cannot change, copied otherwise.

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView};

use crate::ffi::slice_of;

/// Bytes that are queued.
pub(in super::super) enum Chunk {
    /// A `bytes` object's own.
    Kept(PyBackedBytes),
    /// Copied: their owner may write to them.
    Copied(Vec<u8>),
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Kept(bytes) => bytes,
            Self::Copied(bytes) => bytes,
        }
    }
}

/// Bytes of a call, for as long as it lasts.
pub(in super::super) enum Given<'py> {
    Bytes(Bound<'py, PyBytes>),
    View(PyBuffer<u8>),
    /// Nobody else's.
    Joined(Vec<u8>),
}

impl<'py> Given<'py> {
    /// The bytes of `data`.
    ///
    /// # Errors
    /// `TypeError` if it has none, in the standard library's words.
    #[inline]
    pub(super) fn of(data: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Some(given) = Self::find(data)? {
            return Ok(given);
        }
        let class = data.get_type();
        let name = class.name()?;
        let name = name.repr()?;
        let wanted = if data.py().version_info() >= (3, 14) {
            "bytes, bytearray, or memoryview object"
        } else {
            "bytes-like object"
        };
        Err(PyTypeError::new_err(format!("data argument must be a {wanted}, not {name}")))
    }

    /// The bytes of `data`.
    ///
    /// # Errors
    /// `TypeError` if it has none: `complaint` and the class.
    #[inline]
    pub(in super::super) fn of_bytes_like(data: &Bound<'py, PyAny>, complaint: &str) -> PyResult<Self> {
        match Self::find(data)? {
            Some(given) => Ok(given),
            None => Err(PyTypeError::new_err(format!("{complaint}{}", data.get_type().name()?))),
        }
    }

    #[inline]
    fn find(data: &Bound<'py, PyAny>) -> PyResult<Option<Self>> {
        if let Ok(bytes) = data.cast::<PyBytes>() {
            return Ok(Some(Self::Bytes(bytes.clone())));
        }
        if data.is_instance_of::<PyByteArray>() || data.is_instance_of::<PyMemoryView>() {
            return Self::of_buffer(data).map(Some);
        }
        Ok(None)
    }

    /// The bytes of anything that has some.
    ///
    /// # Errors
    /// `TypeError` if it has none.
    pub(in super::super) fn of_any(data: &Bound<'py, PyAny>) -> PyResult<Self> {
        match data.cast::<PyBytes>() {
            Ok(bytes) => Ok(Self::Bytes(bytes.clone())),
            Err(_no_bytes) => Self::of_buffer(PyMemoryView::from(data)?.as_any()),
        }
    }

    fn of_buffer(data: &Bound<'py, PyAny>) -> PyResult<Self> {
        match PyBuffer::<u8>::get(data) {
            Ok(buffer) if buffer.is_c_contiguous() => Ok(Self::View(buffer)),
            // Elements of several bytes, or in several pieces.
            _ => {
                let bytes = PyMemoryView::from(data)?.call_method0("tobytes")?;
                Ok(Self::Bytes(bytes.cast_into()?))
            }
        }
    }

    /// The bytes.
    ///
    /// # Errors
    /// None: a view was looked at before.
    #[inline]
    pub(in super::super) fn bytes(&self) -> PyResult<&[u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.as_bytes()),
            Self::View(buffer) => slice_of(buffer),
            Self::Joined(bytes) => Ok(bytes),
        }
    }

    /// What is to be queued when the first `gone_bytes` have gone out, and how many of its first bytes have.
    ///
    /// # Errors
    /// As [`Self::bytes`].
    pub(in super::super) fn into_chunk(self, gone_bytes: usize) -> PyResult<(Chunk, usize)> {
        match self {
            Self::Bytes(bytes) => Ok((Chunk::Kept(bytes.into()), gone_bytes)),
            Self::Joined(bytes) => Ok((Chunk::Copied(bytes), gone_bytes)),
            Self::View(_) => {
                let rest = self.bytes()?.get(gone_bytes..).unwrap_or_default();
                Ok((Chunk::Copied(rest.into()), 0))
            }
        }
    }
}
