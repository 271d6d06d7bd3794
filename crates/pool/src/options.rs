//! What a pool, a job and a map can be asked for.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;

/// How a pool works.
#[derive(Clone, Debug)]
pub struct PoolOptions {
    /// The most processes at a time.
    pub worker_count: NonZeroUsize,
    /// When workers are started.
    pub staffing: Staffing,
    /// The most jobs a worker holds, the running one included. A link that cannot take back a job
    /// needs 1, and always answers that it has begun.
    pub depth: NonZeroUsize,
    /// Jobs after which a worker is replaced; None for never.
    pub max_jobs_per_worker: Option<NonZeroU64>,
    /// Workers in a row that may end without having begun a job, before starting more is called useless.
    pub failure_limit: NonZeroU32,
    /// How long starting rests after that many, while other workers still live; doubled each time, up to a minute.
    pub start_pause: Duration,
    /// How long a worker that was asked to finish may take before it is killed; None for as long as it likes.
    pub grace: Option<Duration>,
}

impl PoolOptions {
    /// The defaults, for `worker_count` workers.
    pub fn new(worker_count: NonZeroUsize) -> Self {
        Self {
            worker_count,
            staffing: Staffing::AtOnce,
            depth: NonZeroUsize::MIN.saturating_add(1),
            max_jobs_per_worker: None,
            failure_limit: NonZeroU32::MIN.saturating_add(2),
            start_pause: Duration::from_millis(100),
            grace: Some(Duration::from_secs(30)),
        }
    }
}

/// When workers are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staffing {
    /// All of them when the pool is made, as `multiprocessing.Pool` does.
    AtOnce,
    /// One more when there are more open jobs than workers, as `ProcessPoolExecutor` does.
    OnDemand,
}

/// How a job is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobOptions {
    /// How long it may run, counted from its start in the worker; its worker is killed then.
    pub timeout: Option<Duration>,
    /// How often it is run again when its worker dies under it.
    pub retry_count: u32,
    /// Jobs of a higher priority go first; equal ones in the order in which they were added.
    pub priority: i32,
}

/// How a map reads its source and hands out its results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapOptions {
    /// How the results come out.
    pub delivery: Delivery,
    /// How far its source is read ahead.
    pub read_ahead: ReadAhead,
    /// How each of its jobs is done.
    pub job: JobOptions,
}

impl MapOptions {
    /// The defaults for one way of delivery: a collected map is read at once, the others as far as their consumer allows.
    pub fn new(delivery: Delivery) -> Self {
        let read_ahead = match delivery {
            Delivery::Collected => ReadAhead::Everything,
            Delivery::Ordered | Delivery::Unordered => ReadAhead::PerWorker(NonZeroUsize::MIN.saturating_add(1)),
        };
        Self { delivery, read_ahead, job: JobOptions::default() }
    }
}

/// How a map's results come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// All together at its end: `map`, `starmap`.
    Collected,
    /// One by one, in the order of the source: `imap`.
    Ordered,
    /// One by one, as they come: `imap_unordered`.
    Unordered,
}

/// How many chunks are read that the consumer has not had yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadAhead {
    /// This many for each worker of the pool.
    PerWorker(NonZeroUsize),
    /// This many.
    Chunks(NonZeroUsize),
    /// As many as the source has; it must be finite.
    Everything,
}
