//! How a pool, a job and a map are asked for in Python.

use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use threefold_pool::{Delivery, JobOptions, MapOptions, PoolOptions, ReadAhead, Staffing};

/// Jobs that a worker may hold: enough to go on while the supervisor naps. They are taken back when another is idle.
const DEPTH: NonZeroUsize = NonZeroUsize::new(128).unwrap();

/// Chunks of a sequence that are read ahead, for each worker: to read one costs nothing.
const SEQUENCE_AHEAD: usize = 2 * DEPTH.get();

pub(super) fn pool_options(
    worker_count: NonZeroUsize,
    is_on_demand: bool,
    max_jobs_per_worker: Option<u64>,
) -> PoolOptions {
    PoolOptions {
        depth: DEPTH,
        staffing: if is_on_demand { Staffing::OnDemand } else { Staffing::AtOnce },
        max_jobs_per_worker: max_jobs_per_worker.and_then(NonZeroU64::new),
        ..PoolOptions::new(worker_count)
    }
}

/// `timeout` in seconds.
pub(super) fn job_options(timeout: Option<f64>, retry_count: u32) -> PyResult<JobOptions> {
    let timeout = match timeout {
        None => None,
        Some(seconds) => Some(Duration::try_from_secs_f64(seconds).map_err(|_| {
            PyValueError::new_err(format!("timeout must be a positive number of seconds, not {seconds}"))
        })?),
    };
    Ok(JobOptions { timeout, retry_count, ..JobOptions::default() })
}

pub(super) fn delivery(name: &str) -> PyResult<Delivery> {
    match name {
        "collected" => Ok(Delivery::Collected),
        "ordered" => Ok(Delivery::Ordered),
        "unordered" => Ok(Delivery::Unordered),
        other => Err(PyValueError::new_err(format!("no delivery is called {other:?}"))),
    }
}

/// `read_ahead` in chunks; without it, two for each worker of an iterable, and more of a sequence, for which `worker_count` is
/// given.
pub(super) fn map_options(
    job: JobOptions,
    delivery: Delivery,
    read_ahead: Option<usize>,
    worker_count: Option<usize>,
) -> MapOptions {
    let count = read_ahead.or(worker_count.map(|count| count.saturating_mul(SEQUENCE_AHEAD)));
    let defaults = MapOptions::new(delivery);
    let read_ahead = count.and_then(NonZeroUsize::new).map_or(defaults.read_ahead, ReadAhead::Chunks);
    MapOptions { job, read_ahead, ..defaults }
}
