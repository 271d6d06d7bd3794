//! `threefold.http`: requests on the crawler's fetcher, for threads and tasks.

mod client;
mod exchange;
mod outcome;
mod runtime;
mod upload;

use pyo3::prelude::*;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<client::PyClient>()?;
    module.add_class::<exchange::PyExchange>()?;
    module.add_class::<upload::PyUpload>()
}
