//! Pools of processes: the dispatcher in the parent, and what a worker does.

mod commands;
mod dispatcher;
mod exceptions;
mod frames;
mod maps;
mod options;
mod payload;
mod perform;
mod reports;
mod results;
mod scheduler;
mod sending;
mod sleep;
mod spares;
mod state;
mod worker;

use pyo3::prelude::*;

/// Whether this is the interpreter that the process began with.
#[pyfunction]
fn is_main_interpreter(py: Python<'_>) -> bool {
    crate::ffi::is_main_interpreter(py)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(pyo3::wrap_pyfunction!(is_main_interpreter, module)?)?;
    module.add_class::<dispatcher::Dispatcher>()?;
    module.add_class::<scheduler::PoolScheduler>()?;
    module.add_class::<worker::PoolWorker>()
}
