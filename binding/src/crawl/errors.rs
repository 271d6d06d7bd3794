//! The engine's errors as Python's exceptions.

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyType;
use threefold_crawl::engine::CrawlError;
use threefold_crawl::frontier::FrontierError;

/// The exception for an error of the engine: each kind has its class.
pub(super) fn to_python(py: Python<'_>, error: &CrawlError) -> PyErr {
    let sentence = error.to_string();
    match error {
        CrawlError::Options(_) => PyValueError::new_err(sentence),
        CrawlError::Frontier(FrontierError::Unusable(_)) => ours(py, "StateError", sentence),
        CrawlError::Frontier(_) | CrawlError::Output(_) => ours(py, "StoreError", sentence),
        CrawlError::System(_) => ours(py, "CrawlError", sentence),
    }
}

fn ours(py: Python<'_>, class: &str, sentence: String) -> PyErr {
    let class =
        py.import("threefold.crawl._errors").and_then(|module| Ok(module.getattr(class)?.cast_into::<PyType>()?));
    class.map_or_else(|error| error, |class| PyErr::from_type(class, (sentence,)))
}

/// For whoever uses a crawl in a forked child.
pub(super) fn not_ours(process: u32) -> PyErr {
    PyRuntimeError::new_err(format!("this crawl runs in process {process}; start one here"))
}
