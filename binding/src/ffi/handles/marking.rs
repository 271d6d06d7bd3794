//! Which handle a loop runs, for other threads to look at without a cost for the loop.

use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;

/// The handle that is run now, borrowed from whoever runs it.
#[derive(Debug, Default)]
pub(crate) struct Running(AtomicPtr<ffi::PyObject>);

impl Running {
    /// The caller holds the handle, and calls [`Running::clear`] before it lets go of it.
    #[inline]
    pub(crate) fn set(&self, handle: &Bound<'_, PyAny>) {
        self.0.store(handle.as_ptr(), Ordering::Relaxed);
    }

    /// No handle is run.
    #[inline]
    pub(crate) fn clear(&self) {
        self.0.store(std::ptr::null_mut(), Ordering::Relaxed);
    }

    /// The handle, if one is run; never without an interpreter lock, which is what keeps it alive meanwhile.
    pub(crate) fn get<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        if cfg!(Py_GIL_DISABLED) {
            return None;
        }
        let handle = self.0.load(Ordering::Relaxed);
        // SAFETY: attached. `set` and `clear` are called attached, by a thread that holds the handle in between: it cannot
        // have let go of it while we are attached and still see the pointer, since attaching synchronises with it.
        unsafe { Bound::from_borrowed_ptr_or_opt(py, handle) }
    }
}
