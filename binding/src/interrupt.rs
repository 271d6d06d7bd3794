//! Exceptions that signal handlers raise during a wait, and where they could not be let out.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;

use crate::ffi;

/// How long the main thread sleeps at a time: a signal that arrives just before it falls asleep, or that the kernel
/// delivers to another thread, is seen after this time at the latest.
pub(crate) const SLICE: Duration = Duration::from_millis(100);

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

/// What becomes of an exception that a signal handler raises during a wait.
pub(crate) struct Interrupts {
    /// It ends the wait, or else is kept until the wait is over: what is waited for must be had in any case.
    ends_wait: bool,
    kept: Option<PyErr>,
}

impl Interrupts {
    /// It ends the wait.
    pub(crate) const fn ending() -> Self {
        Self { ends_wait: true, kept: None }
    }

    /// It is raised when the wait is over.
    pub(crate) const fn waiting() -> Self {
        Self { ends_wait: false, kept: None }
    }

    /// Runs the handlers of signals that have arrived.
    ///
    /// # Errors
    /// What a handler raised, where that ends the wait.
    pub(crate) fn handle(&mut self, py: Python<'_>) -> PyResult<()> {
        match py.check_signals() {
            Err(error) if !self.ends_wait => {
                // The first one is raised in the end; Python chains none of the later ones either.
                self.kept.get_or_insert(error);
                Ok(())
            }
            result => result,
        }
    }

    /// What was raised and kept.
    pub(crate) fn finish(self) -> PyResult<()> {
        self.kept.map_or(Ok(()), Err)
    }
}
