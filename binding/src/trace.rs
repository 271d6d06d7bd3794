//! The wait table for Python: reports, SIGQUIT, and what `fork` and the end of the program mean for it.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::{PyProcessLookupError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use threefold_trace::read::{self, ReadError};
use threefold_trace::{quit, report};

/// Returns who waits for whom in a process and its threefold children: text, or JSON.
///
/// Raises `ProcessLookupError` when there is no such process, `ValueError` when its waits cannot be shown.
#[pyfunction]
fn waits_report(py: Python<'_>, pid: u32, json: bool) -> PyResult<String> {
    // Reads files only; other threads go on meanwhile.
    let snapshots = py.detach(|| read::family(pid)).map_err(|error| to_python(&error))?;
    Ok(if json { report::json(&snapshots) } else { report::text(&snapshots) })
}

fn to_python(error: &ReadError) -> PyErr {
    let sentence = error.to_string();
    match error {
        ReadError::NoProcess(_) => PyProcessLookupError::new_err(sentence),
        _ => PyValueError::new_err(sentence),
    }
}

/// Prints the waits to stderr whenever SIGQUIT comes, and lets the program go on.
#[pyfunction]
fn report_on_quit(py: Python<'_>) -> PyResult<()> {
    static ARE_HOOKS_SET: AtomicBool = AtomicBool::new(false);
    quit::report_on_quit()?;
    if ARE_HOOKS_SET.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let hooks = PyDict::new(py);
    hooks.set_item("before", pyo3::wrap_pyfunction!(before_fork, py)?)?;
    hooks.set_item("after_in_parent", pyo3::wrap_pyfunction!(after_fork_in_parent, py)?)?;
    hooks.set_item("after_in_child", pyo3::wrap_pyfunction!(after_fork, py)?)?;
    py.import("os")?.getattr("register_at_fork")?.call((), Some(&hooks))?;
    Ok(())
}

/// Stops the thread that prints, since Python warns when a process with more than one thread forks.
///
/// Attached all the while, though it takes some 100 microseconds: a fork lets no other thread run before the child is
/// there, and programs count on it (a thread that the main thread does not wait for forks before the interpreter ends).
#[pyfunction]
fn before_fork() {
    quit::before_fork();
}

/// Starts it again.
#[pyfunction]
fn after_fork_in_parent() {
    // 3.13 counts the threads only after this hook; there it starts again at the next wait.
    if cfg!(not(all(Py_3_13, not(Py_3_14)))) {
        quit::after_fork_in_parent();
    }
}

/// In the child: forgets the parent's thread.
#[pyfunction]
fn after_fork() {
    quit::after_fork();
}

/// Removes this process's wait table.
#[pyfunction]
fn remove_wait_table() {
    threefold_trace::remove();
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(pyo3::wrap_pyfunction!(waits_report, module)?)?;
    module.add_function(pyo3::wrap_pyfunction!(report_on_quit, module)?)?;
    module.add_function(pyo3::wrap_pyfunction!(after_fork, module)?)?;
    let remove = pyo3::wrap_pyfunction!(remove_wait_table, module)?;
    // Registered early, so run late: waits of other exit functions are still shown.
    module.py().import("atexit")?.call_method1("register", (&remove,))?;
    module.add_function(remove)
}
