//! The event loop: turns, and what they run.

mod core;
mod hearer;
mod stream;
mod stream_chunk;
mod stream_reader;
mod stream_reading;
mod stream_writing;
mod turn;

use pyo3::prelude::*;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    core::register(module)?;
    stream::register(module)?;
    stream_reader::register(module)
}
