//! The event loop: turns, and what they run.

mod datagrams;
mod hearer;
mod sockets;
mod state;
mod stream;
mod stream_chunk;
mod stream_methods;
mod stream_reader;
mod stream_reading;
mod stream_streams;
mod stream_writing;
mod turn;

use pyo3::prelude::*;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    state::register(module)?;
    datagrams::register(module)?;
    sockets::register(module)?;
    stream::register(module)?;
    stream_methods::register(module)?;
    stream_reader::register(module)?;
    stream_streams::register(module)
}
