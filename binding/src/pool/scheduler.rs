//! The pool's scheduler for whoever carries jobs by other means than links to processes: events in, actions out.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use threefold_pool::{
    Action, Cancel, Cancellation, Delivery, JobId, KillReason, Leave, MapCause, MapId, Outcome, PoolOptions, Scheduler,
    SourceEnd, Unread, WorkerEvent, WorkerId,
};
use threefold_sys::clock::Instant;

use super::exceptions::{Description, refused};
use super::options;
use super::reports::exit;

/// What is to be done: its name, the worker or the map or the job it is about, another number, and a word on it.
type Step = (&'static str, u64, Option<u64>, Option<&'static str>);

/// Decides which worker does which job; the payloads and the workers are its user's.
#[pyclass(frozen, module = "threefold._threefold")]
pub(crate) struct PoolScheduler {
    scheduler: Mutex<Scheduler>,
}

impl PoolScheduler {
    /// No Python code runs in `work`.
    fn with<T>(&self, work: impl FnOnce(&mut Scheduler, Instant) -> T) -> T {
        let mut scheduler = self.scheduler.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut scheduler, Instant::now())
    }
}

#[pymethods]
impl PoolScheduler {
    #[new]
    fn new(worker_count: usize) -> PyResult<Self> {
        let count = NonZeroUsize::new(worker_count)
            .ok_or_else(|| PyValueError::new_err("Number of processes must be at least 1"))?;
        let options = PoolOptions { depth: NonZeroUsize::MIN, grace: None, ..PoolOptions::new(count) };
        Ok(Self { scheduler: Mutex::new(Scheduler::new(options, Instant::now())) })
    }

    /// Adds a call; returns its number.
    fn add_job(&self, py: Python<'_>, timeout: Option<f64>, retries: u32) -> PyResult<u64> {
        let options = options::job_options(timeout, retries)?;
        self.with(|scheduler, now| scheduler.add_job(now, options))
            .map(|job| job.0)
            .map_err(|error| refused(py, &error, None))
    }

    /// Adds a map; returns its number.
    fn add_map(
        &self,
        py: Python<'_>,
        delivery: &str,
        read_ahead: Option<usize>,
        timeout: Option<f64>,
        retries: u32,
    ) -> PyResult<u64> {
        let delivery = options::delivery(delivery)?;
        let read_ahead = if delivery == Delivery::Collected { None } else { read_ahead };
        let options = options::map_options(options::job_options(timeout, retries)?, delivery, read_ahead, None);
        self.with(|scheduler, now| scheduler.add_map(now, options))
            .map(|map| map.0)
            .map_err(|error| refused(py, &error, None))
    }

    /// Adds a chunk that was asked for; returns its number, or None if the map takes no more.
    fn add_chunk(&self, map: u64) -> Option<u64> {
        self.with(|scheduler, now| scheduler.add_chunk(now, MapId(map))).ok().map(|job| job.0)
    }

    /// Says that a map's source has no more, or failed; the number of the job that stands for the failure is returned.
    fn end_source(&self, map: u64, has_failed: bool) -> Option<u64> {
        let end = if has_failed { SourceEnd::Failed } else { SourceEnd::Exhausted };
        self.with(|scheduler, now| scheduler.end_source(now, MapId(map), end)).ok().flatten().map(|job| job.0)
    }

    /// The consumer is through with the next chunk of a map.
    fn took(&self, map: u64) {
        self.with(|scheduler, now| scheduler.took(now, MapId(map)));
    }

    /// Nobody takes a map's results any more.
    fn leave(&self, map: u64, cancel: bool) {
        let leave = if cancel { Leave::Cancel } else { Leave::RunOn };
        self.with(|scheduler, now| scheduler.leave(now, MapId(map), leave));
    }

    /// Cancels a job; returns whether it will not be done, or, with `kill`, will be ended.
    fn cancel(&self, job: u64, kill: bool) -> bool {
        let how = if kill { Cancel::EvenIfStarted } else { Cancel::IfNotStarted };
        match self.with(|scheduler, now| scheduler.cancel(now, JobId(job), how)) {
            Cancellation::Cancelled => true,
            Cancellation::Asked => kill,
            Cancellation::TooLate | Cancellation::Over => false,
        }
    }

    /// Takes no more.
    fn close(&self) {
        self.with(Scheduler::close);
    }

    /// Somebody waits for the end of a closed pool; the sources of these maps are read no further.
    #[allow(clippy::needless_pass_by_value, reason = "it is made out of a Python list")]
    fn join(&self, cut: Vec<u64>) {
        let cut: HashSet<u64> = cut.into_iter().collect();
        let unread = |map: MapId| if cut.contains(&map.0) { Unread::Cut } else { Unread::ReadOn };
        self.with(|scheduler, now| scheduler.join(now, unread));
    }

    /// Ends all now.
    fn terminate(&self) {
        self.with(Scheduler::terminate);
    }

    /// Time has passed.
    fn tick(&self) {
        self.with(Scheduler::tick);
    }

    /// In how many seconds `tick` must be called; None for never.
    fn next_wake(&self) -> Option<f64> {
        self.with(|scheduler, now| scheduler.next_wake().map(|wake| wake.since(now).as_secs_f64()))
    }

    /// Says what happened to a worker; `job` where it is about one.
    #[pyo3(signature = (worker, event, job=0))]
    fn tell(&self, worker: u64, event: &str, job: u64) -> PyResult<()> {
        let job = JobId(job);
        let event = match event {
            "started" => WorkerEvent::Started { pid: 0 },
            "ready" => WorkerEvent::Ready,
            "job_started" => WorkerEvent::JobStarted(job),
            "job_returned" => WorkerEvent::JobReturned(job),
            "job_raised" => WorkerEvent::JobRaised(job),
            "job_unsendable" => WorkerEvent::JobUnsendable(job),
            "job_not_taken_back" => WorkerEvent::JobNotTakenBack(job),
            "exited" => WorkerEvent::Exited(exit(None, false)),
            other => return Err(PyValueError::new_err(format!("no event is called {other:?}"))),
        };
        self.with(|scheduler, now| scheduler.worker_event(now, WorkerId(worker), event));
        Ok(())
    }

    /// What is to be done next, if anything.
    fn next_action(&self) -> Option<Step> {
        self.with(|scheduler, _now| scheduler.next_action()).map(step)
    }
}

fn step(action: Action) -> Step {
    match action {
        Action::StartWorker { worker } => ("start", worker.0, None, None),
        Action::FinishWorker { worker } => ("finish", worker.0, None, None),
        Action::KillWorker { worker, reason, .. } => {
            let why = match reason {
                KillReason::TimedOut(_) => "timed_out",
                KillReason::Cancelled(_) => "cancelled",
                KillReason::TooLarge | KillReason::GraceOver | KillReason::Terminated => "terminated",
            };
            ("kill", worker.0, reason.job().map(|job| job.0), Some(why))
        }
        Action::Send { worker, job } => ("send", worker.0, Some(job.0), None),
        Action::TakeBack { worker, job } => ("take_back", worker.0, Some(job.0), None),
        Action::Resolve { job, outcome } => ("resolve", job.0, None, Some(outcome_name(&outcome))),
        Action::Deliver { map, job } => ("deliver", map.0, Some(job.0), None),
        Action::EndMap { map, end } => {
            let cause = match end.cause {
                MapCause::Exhausted | MapCause::Cut => None,
                MapCause::Terminated => Some("terminated"),
                MapCause::NoWorker(_) => Some("not_started"),
            };
            ("end_map", map.0, None, cause)
        }
        Action::Pull { map, chunk_count } => ("pull", map.0, Some(chunk_count), None),
        Action::Broken(failure) => ("broken", failure.worker.0, None, None),
        Action::Finished => ("finished", 0, None, None),
    }
}

fn outcome_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Returned => "returned",
        Outcome::Raised | Outcome::Unsendable | Outcome::SourceFailed => "raised",
        other => Description::of(other).kind,
    }
}
