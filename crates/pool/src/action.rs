//! What a pool wants done.

use crate::event::{Death, StartFailure};
use crate::id::{JobId, MapId, WorkerId};

/// Something to be done now, in the order in which the actions come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an action that is not done leaves somebody waiting for ever"]
pub enum Action {
    /// Start a process. Answered by `Started` or `NotStarted`.
    StartWorker {
        /// What it is to be called.
        worker: WorkerId,
    },
    /// Tell an idle worker, or one that is still preparing, to exit by itself.
    FinishWorker {
        /// The worker.
        worker: WorkerId,
    },
    /// End a process by force. Answered by `Exited`.
    KillWorker {
        /// The worker.
        worker: WorkerId,
        /// Its process.
        pid: u32,
        /// Why.
        reason: KillReason,
    },
    /// Hand a job to a worker.
    Send {
        /// The worker.
        worker: WorkerId,
        /// The job.
        job: JobId,
    },
    /// Take a job out of a worker's hands if it has not begun. Answered by `JobTakenBack` or `JobNotTakenBack`, without
    /// asking the worker, which may be stuck.
    TakeBack {
        /// The worker.
        worker: WorkerId,
        /// The job.
        job: JobId,
    },
    /// A job is over. Comes exactly once for each job.
    Resolve {
        /// The job.
        job: JobId,
        /// What became of it.
        outcome: Outcome,
    },
    /// A resolved job is the next of its map for the consumer.
    Deliver {
        /// The map.
        map: MapId,
        /// The job.
        job: JobId,
    },
    /// A map is over: nothing more is delivered. Comes exactly once for each map.
    EndMap {
        /// The map.
        map: MapId,
        /// How it ended.
        end: MapEnd,
    },
    /// Read a map's source and add what comes. Not repeated before all of it has been added.
    Pull {
        /// The map.
        map: MapId,
        /// The most chunks that may be added.
        chunk_count: u64,
    },
    /// No worker can be had; jobs are refused from now on.
    Broken(StartFailure),
    /// The pool is closed or terminated, all jobs are over and all workers gone. Comes once, as the last.
    Finished,
}

/// Why a worker is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillReason {
    /// A job ran longer than it may.
    TimedOut(JobId),
    /// A job that had begun was cancelled.
    Cancelled(JobId),
    /// It takes more memory than it may.
    TooLarge,
    /// It was asked to finish and did not in time.
    GraceOver,
    /// The pool was terminated.
    Terminated,
}

/// What became of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The call returned.
    Returned,
    /// The call raised.
    Raised,
    /// It could not be handed to a worker.
    Unsendable,
    /// It stands for an item that its source raised an error for.
    SourceFailed,
    /// It ran too long, and its worker was killed.
    TimedOut(Death),
    /// Its worker died.
    WorkerDied(Death),
    /// It was cancelled; it did not begin, or was killed.
    Cancelled,
    /// It did not begin, since no worker could be had.
    NoWorker(StartFailure),
    /// The pool was terminated before it was over.
    Terminated,
}

/// How a map ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapEnd {
    /// Why there is no more.
    pub cause: MapCause,
    /// The first of its jobs, in time, that did not return.
    pub first_failure: Option<JobId>,
    /// How many jobs it had.
    pub job_count: u64,
}

/// Why a map has no more jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapCause {
    /// Its source was read to its end.
    Exhausted,
    /// Its source was left unread, since nobody would have taken the results, or all was cancelled.
    Cut,
    /// The pool was terminated.
    Terminated,
    /// No worker could be had.
    NoWorker(StartFailure),
}

impl KillReason {
    /// The job for whose sake the worker is killed, if there is one.
    pub fn job(self) -> Option<JobId> {
        match self {
            Self::TimedOut(job) | Self::Cancelled(job) => Some(job),
            Self::TooLarge | Self::GraceOver | Self::Terminated => None,
        }
    }
}
