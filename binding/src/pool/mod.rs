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

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<dispatcher::Dispatcher>()?;
    module.add_class::<scheduler::PoolScheduler>()?;
    module.add_class::<worker::PoolWorker>()
}
