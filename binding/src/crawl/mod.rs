//! The crawler: a running crawl, its pages, and what a program answers.

mod answers;
mod channel;
mod document;
mod ending;
mod engine;
mod errors;
mod headers;
mod options;
mod page;
mod request;
mod single;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// A report on its way to Python.
fn json<T: serde::Serialize>(value: &T) -> PyResult<String> {
    serde_json::to_string(value).map_err(|error| PyRuntimeError::new_err(error.to_string()))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<engine::PyCrawl>()?;
    page::register(module)?;
    single::register(module)
}
