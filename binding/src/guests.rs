//! Threads that Python did not start, and that come in to wake a task: those of requests and of crawls.
//!
//! Until Python 3.13 a thread that wants to run Python while the interpreter ends is ended where it stands, and one of ours takes the
//! process with it. So none is inside at that time: before the end nobody comes in any more, and those who are in are waited for.
//! A wake that comes too late wakes nobody: no loop runs any more.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pyo3::prelude::*;
use threefold_sys::clock::Instant;
use threefold_sys::futex;

use crate::ffi;

/// How many are inside; with [`CLOSED`], nobody comes in any more.
static INSIDE: AtomicU32 = AtomicU32::new(0);
const CLOSED: u32 = 1 << 31;

/// So long the end waits for those who are inside.
const PATIENCE: Duration = Duration::from_secs(5);

/// Attaches this thread to the interpreter; a thread of our own is sent away when the interpreter ends.
pub(crate) fn attach(act: impl FnOnce(Python<'_>)) {
    if ffi::is_thread_known() {
        Python::attach(act);
    } else if let Some(_visit) = Visit::begin() {
        Python::attach(act);
    }
}

/// Lets them in again: Python code runs, and begins to wait for them.
pub(crate) fn let_in(py: Python<'_>) {
    let is_needed = INSIDE.load(Ordering::Relaxed) & CLOSED != 0;
    if is_needed && crate::python::is_finalizing(py).and_then(|ask| ask.call0()?.is_truthy()).is_ok_and(|is| !is) {
        INSIDE.fetch_and(!CLOSED, Ordering::SeqCst);
    }
}

struct Visit;

impl Visit {
    fn begin() -> Option<Self> {
        let visit = Self;
        // Counted before it looks: either it is seen by whoever closes, or it sees that it is closed.
        let before = INSIDE.fetch_add(1, Ordering::SeqCst);
        (before & CLOSED == 0).then_some(visit)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if INSIDE.fetch_sub(1, Ordering::SeqCst) & CLOSED != 0 {
            futex::wake(&INSIDE);
        }
    }
}

/// Lets nobody in any more, and waits until nobody is in.
#[pyfunction]
fn close(py: Python<'_>) {
    INSIDE.fetch_or(CLOSED, Ordering::SeqCst);
    py.detach(|| {
        let end = Instant::now().after(PATIENCE);
        loop {
            let seen = INSIDE.load(Ordering::SeqCst);
            if seen & !CLOSED == 0 || end <= Instant::now() {
                return;
            }
            let _look_again = futex::wait(&INSIDE, seen, Some(end));
        }
    });
}

/// Whoever was inside is so in the parent alone.
#[pyfunction]
fn forget() {
    INSIDE.fetch_and(CLOSED, Ordering::SeqCst);
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    py.import("atexit")?.call_method1("register", (pyo3::wrap_pyfunction!(close, py)?,))?;
    let hooks = pyo3::types::PyDict::new(py);
    hooks.set_item("after_in_child", pyo3::wrap_pyfunction!(forget, py)?)?;
    py.import("os")?.getattr("register_at_fork")?.call((), Some(&hooks)).map(drop)
}
