//! The event loop: turns, and what they run.

mod datagrams;
mod hearer;
mod mark;
mod sentry;
mod sockets;
mod state;
mod stream;
mod tls;
mod turn;

use pyo3::prelude::*;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    state::register(module)?;
    sentry::register(module)?;
    datagrams::register(module)?;
    sockets::register(module)?;
    stream::register(module)?;
    tls::register(module)
}
