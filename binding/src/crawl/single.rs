//! One address: fetched, or explained, on a thread of its own, so that Ctrl-C ends the wait for it.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use threefold_crawl::engine::{self, CrawlError, FetchRequest};
use threefold_sync::Event;
use threefold_trace::{Owner, Reason};

use super::options::Options;
use super::page::PyPage;
use super::{errors, json};
use crate::blocking::{self, Subject};
use crate::convert::Patience;

/// Where a thread leaves its result.
struct Place<T> {
    result: Mutex<Option<Result<T, CrawlError>>>,
    is_there: Event,
}

/// Does the work on a new thread and waits for it.
fn elsewhere<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T, CrawlError> + Send + 'static,
) -> PyResult<T> {
    let place = Arc::new(Place { result: Mutex::new(None), is_there: Event::new() });
    let theirs = Arc::clone(&place);
    std::thread::Builder::new().name("crawl-single".to_owned()).spawn(move || {
        let result = work();
        *theirs.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        theirs.is_there.set();
    })?;
    let subject = || Subject::unheld(Reason::Crawl, &*place);
    blocking::wait(py, &mut place.is_there.wait(), Owner::thread(), Patience::Endless, subject)?;
    let result = place.result.lock().unwrap_or_else(PoisonError::into_inner).take();
    match result {
        Some(result) => result.map_err(|error| errors::to_python(py, &error)),
        None => Err(errors::to_python(py, &CrawlError::System("the fetch ended without a result".to_owned()))),
    }
}

/// Fetches one address.
#[pyfunction]
#[pyo3(name = "_fetch_one")]
fn fetch_one(
    py: Python<'_>,
    options: Options,
    url: String,
    method: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    follow: bool,
) -> PyResult<PyPage> {
    let options = options.into_engine();
    let request = FetchRequest { url, method, headers, body, follow };
    elsewhere(py, move || engine::fetch_one(&options, request)).map(PyPage::new)
}

/// Says why an address would be fetched, or not, as JSON.
#[pyfunction]
#[pyo3(name = "_explain")]
fn explain(py: Python<'_>, options: Options, url: String) -> PyResult<String> {
    let options = options.into_engine();
    json(&elsewhere(py, move || engine::explain(&options, &url))?)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(fetch_one, module)?)?;
    module.add_function(wrap_pyfunction!(explain, module)?)
}
