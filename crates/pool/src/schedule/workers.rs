//! What the workers report.

use std::time::Duration;

use threefold_sys::clock::Instant;

use super::crew::Worker;
use super::{Cancel, Place, Scheduler, Stage, Timer};
use crate::action::{KillReason, Outcome};
use crate::event::{Death, Exit, StartFailure, StartTrouble, WorkerEvent};
use crate::id::{JobId, WorkerId};

/// After so long an idle life, the death of a worker says nothing about the next one.
const SETTLED: Duration = Duration::from_secs(5);

impl Scheduler {
    /// Something happened to a worker. What is told of a worker that is gone, or told twice, changes nothing.
    pub fn worker_event(&mut self, now: Instant, worker: WorkerId, event: WorkerEvent) {
        self.notice(now);
        match event {
            WorkerEvent::Started { pid } => self.started(worker, pid),
            WorkerEvent::NotStarted { os_error } => self.not_started(worker, os_error),
            WorkerEvent::Ready => self.ready(worker),
            WorkerEvent::InitializerFailed => self.initializer_failed(worker),
            WorkerEvent::JobStarted(job) | WorkerEvent::JobNotTakenBack(job) => self.begin(worker, job),
            WorkerEvent::JobReturned(job) => self.done(worker, job, Outcome::Returned),
            WorkerEvent::JobRaised(job) => self.done(worker, job, Outcome::Raised),
            WorkerEvent::JobUnsendable(job) => self.unsendable(worker, job),
            WorkerEvent::JobTakenBack(job) => self.take_back(worker, job),
            WorkerEvent::Retire => self.asks_to_retire(worker),
            WorkerEvent::TooLarge => self.too_large(worker),
            WorkerEvent::Exited(exit) => self.exited(worker, exit),
        }
        self.settle();
    }

    fn stage(&self, id: WorkerId) -> Option<Stage> {
        self.crew.get(id).map(|worker| worker.stage)
    }

    fn started(&mut self, id: WorkerId, pid: u32) {
        if self.stage(id) == Some(Stage::Starting) {
            self.crew.change(id, |worker| {
                worker.stage = Stage::Preparing;
                worker.pid = Some(pid);
            });
            self.advance(id);
        }
    }

    fn not_started(&mut self, id: WorkerId, os_error: Option<i32>) {
        if self.stage(id) == Some(Stage::Starting) {
            self.crew.remove(id);
            self.count_failure(StartFailure { worker: id, pid: None, trouble: StartTrouble::NotStarted { os_error } });
        }
    }

    fn ready(&mut self, id: WorkerId) {
        if self.stage(id) == Some(Stage::Preparing) {
            let now = self.now;
            self.crew.change(id, |worker| {
                worker.stage = Stage::Ready;
                worker.ready_at = Some(now);
            });
        }
    }

    fn initializer_failed(&mut self, id: WorkerId) {
        if self.stage(id) == Some(Stage::Preparing) {
            let pid = self.crew.get(id).and_then(|worker| worker.pid);
            self.finish(id);
            self.count_failure(StartFailure { worker: id, pid, trouble: StartTrouble::InitializerFailed });
        }
    }

    fn asks_to_retire(&mut self, id: WorkerId) {
        if self.crew.get(id).is_some_and(Worker::is_staying) {
            self.retire(id);
        }
    }

    fn done(&mut self, worker: WorkerId, job: JobId, outcome: Outcome) {
        if self.jobs.place(job).and_then(Place::worker) == Some(worker) {
            self.prove(worker);
            self.resolve(job, outcome);
        }
    }

    fn unsendable(&mut self, worker: WorkerId, job: JobId) {
        if self.jobs.place(job).is_some_and(|place| place.is_unstarted_at(worker)) {
            self.crew.change(worker, |worker| worker.given_count -= 1);
            self.unsent_count += 1;
            self.resolve(job, Outcome::Unsendable);
        }
    }

    /// Ends a worker under the job that has made it grow, which is the one that it has begun; the others go elsewhere.
    fn too_large(&mut self, id: WorkerId) {
        if self.stage(id) == Some(Stage::Ready) {
            self.doom(id, KillReason::TooLarge);
        }
    }

    fn exited(&mut self, id: WorkerId, exit: Exit) {
        let Some(worker) = self.crew.remove(id) else { return };
        self.timers.clear(Timer::Grace(id));
        for &job in &worker.held {
            if self.jobs.place(job) == Some(Place::Started(id)) {
                self.died(job, id, &worker, exit);
            } else {
                self.give_back(id, job);
            }
        }
        let was_told_to = matches!(worker.stage, Stage::Finishing | Stage::Killed(_));
        if was_told_to || worker.has_begun_a_job {
            return;
        }
        match worker.ready_at {
            Some(since) if self.now.since(since) >= SETTLED => {
                self.hiring.succeed();
                self.timers.clear(Timer::Hiring);
            }
            Some(_) if worker.held.is_empty() => {
                if let Some(rest) = self.hiring.lose() {
                    self.timers.set(Timer::Hiring, self.now.after(rest));
                }
            }
            _ => {
                self.count_failure(StartFailure { worker: id, pid: worker.pid, trouble: StartTrouble::Died(exit) });
            }
        }
    }

    /// A worker died under a job.
    fn died(&mut self, id: JobId, worker_id: WorkerId, worker: &Worker, exit: Exit) {
        let death = Death { worker: worker_id, pid: worker.pid.unwrap_or(0), exit };
        let Some(job) = self.jobs.get_mut(id) else { return };
        let outcome = match worker.stage {
            Stage::Killed(KillReason::TimedOut(late)) if late == id => Outcome::TimedOut(death),
            _ if job.cancel == Some(Cancel::EvenIfStarted) => Outcome::Cancelled,
            _ if job.death_count < job.options.retry_count => {
                job.death_count += 1;
                self.timers.clear(Timer::Job(id));
                self.jobs.put(id, Place::Waiting);
                return;
            }
            _ => Outcome::WorkerDied(death),
        };
        self.resolve(id, outcome);
    }

    fn count_failure(&mut self, failure: StartFailure) {
        if let Some(rest) = self.hiring.fail(failure) {
            self.timers.set(Timer::Hiring, self.now.after(rest));
        }
    }
}
