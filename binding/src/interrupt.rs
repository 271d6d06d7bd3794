//! Exceptions that a signal handler raised where they could not be let out.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;

use crate::ffi;

static KEPT: Mutex<Vec<PyErr>> = Mutex::new(Vec::new());

/// Raises the exception in the main thread, at its next bytecode: where and as signal handlers raise.
pub(crate) fn raise_soon(py: Python<'_>, error: PyErr) {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner).push(error);
    if !ffi::call_soon_in_main_thread(py) {
        // The interpreter takes no more calls: it is flooded, or ending.
        if let Some(error) = take() {
            error.write_unraisable(py, None);
        }
    }
}

/// The exception that came first.
pub(crate) fn take() -> Option<PyErr> {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.is_empty() { None } else { Some(kept.remove(0)) }
}
