//! The event loop: turns, and what they run.

mod hearer;
mod state;
mod turn;

use pyo3::prelude::*;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    state::register(module)
}
