//! What can be seen of a pool from outside, for `repr`, monitors and error messages.

use super::{Phase, Place, Scheduler};
use crate::id::{JobId, WorkerId};

impl Scheduler {
    /// Jobs that are not resolved.
    pub fn open_job_count(&self) -> usize {
        self.jobs.len()
    }

    /// Jobs that no worker has.
    pub fn waiting_job_count(&self) -> usize {
        self.jobs.waiting_count()
    }

    /// Whether a job is not resolved.
    pub fn is_open(&self, job: JobId) -> bool {
        self.jobs.get(job).is_some()
    }

    /// The worker that has a job, if one has.
    pub fn worker_of(&self, job: JobId) -> Option<WorkerId> {
        self.jobs.place(job).and_then(Place::worker)
    }

    /// Whether a worker is known to have begun a job that is not resolved.
    pub fn is_running(&self, job: JobId) -> bool {
        matches!(self.jobs.place(job), Some(Place::Started(_)))
    }

    /// The jobs a worker has, in the order in which they were sent.
    pub fn jobs_of(&self, worker: WorkerId) -> &[JobId] {
        self.crew.get(worker).map_or(&[], |worker| &worker.held)
    }

    /// The workers whose processes were asked for and are not known to be gone, and the processes of those that have one.
    pub fn workers(&self) -> impl Iterator<Item = (WorkerId, Option<u32>)> + '_ {
        self.crew.iter().map(|(id, worker)| (id, worker.pid))
    }

    /// Whether jobs and maps are taken.
    pub fn is_taking_jobs(&self) -> bool {
        self.check_open().is_ok()
    }

    /// Whether all jobs are over and all workers gone.
    pub fn is_finished(&self) -> bool {
        self.phase == Phase::Finished
    }
}
