//! The event loop: turns, and what they run.

mod core;
mod datagrams;
mod hearer;
mod sockets;
mod turn;

use pyo3::prelude::*;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    core::register(module)?;
    datagrams::register(module)?;
    sockets::register(module)
}
