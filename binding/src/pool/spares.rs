//! The large buffers of a worker's last job, which the next one gets if nothing else holds them: fresh memory, which the kernel
//! fills with zeros, costs more than what is copied into it.

use pyo3::prelude::*;
use pyo3::types::PyByteArray;
use threefold_pool::local::{Filled, Target};

use crate::ffi;

/// Shorter ones come out of memory that the process has already.
const LEAST_BYTES: usize = 256 << 10;

/// So much is kept for the next job: as much as the C library keeps at most.
const MOST_BYTES: usize = 32 << 20;

#[derive(Debug, Default)]
pub(super) struct Spares {
    /// Of the job before.
    old: Vec<Py<PyByteArray>>,
    /// Of the job that is being taken.
    new: Vec<Py<PyByteArray>>,
    new_bytes: usize,
}

impl Spares {
    /// A job comes: what the one before it had is there for this one, and for no later one.
    pub(super) fn begin_job(&mut self) {
        self.old = std::mem::take(&mut self.new);
        self.new_bytes = 0;
    }

    /// All buffers of the job are there.
    pub(super) fn end_job(&mut self) {
        self.old.clear();
    }

    /// A `bytearray` of `len` bytes that `fill` writes: a spare one of that length, else a new one.
    ///
    /// # Errors
    /// No memory; what `fill` returns.
    pub(super) fn bytearray<'py, F>(
        &mut self,
        py: Python<'py>,
        len: usize,
        fill: F,
    ) -> PyResult<Bound<'py, PyByteArray>>
    where
        F: for<'one> FnOnce(Target<'one>) -> PyResult<Filled<'one>>,
    {
        if len < LEAST_BYTES {
            return ffi::new_bytearray(py, len, fill);
        }
        let is_fit =
            |spare: &Py<PyByteArray>| spare.bind(py).len() == len && ffi::is_ours_alone(spare.bind(py).as_any());
        let object = if let Some(place) = self.old.iter().position(is_fit) {
            ffi::refilled_bytearray(self.old.swap_remove(place).into_bound(py), fill)?
        } else {
            // Given back before more is taken.
            self.old.clear();
            ffi::new_bytearray(py, len, fill)?
        };
        if self.new_bytes + len <= MOST_BYTES {
            self.new_bytes += len;
            self.new.push(object.clone().unbind());
        }
        Ok(object)
    }
}
