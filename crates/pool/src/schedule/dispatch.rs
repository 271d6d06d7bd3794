//! Jobs on their way to workers and back: sending, taking back, sharing among the idle.

use super::{Cancel, Place, Scheduler, Timer};
use crate::action::{Action, KillReason, Outcome};
use crate::id::{JobId, WorkerId};

impl Scheduler {
    /// Sends waiting jobs to whoever has room, the least loaded first.
    pub(super) fn dispatch(&mut self) {
        while let Some(job) = self.jobs.first_waiting() {
            let Some(worker) = self.crew.least_loaded() else { break };
            self.jobs.put(job, Place::Sent(worker));
            self.crew.change(worker, |worker| {
                worker.held.push(job);
                worker.given_count += 1;
            });
            self.outbox.push_back(Action::Send { worker, job });
        }
    }

    /// Takes back what busy workers have not begun, as much as idle ones could do.
    pub(super) fn share(&mut self) {
        if self.jobs.waiting_count() > 0 || !self.crew.is_any_loaded() {
            return;
        }
        let wanted_count = self.crew.idle_count().saturating_sub(self.jobs.recalled_count());
        if wanted_count == 0 {
            return;
        }
        let mut recalls = Vec::new();
        for worker in self.crew.loaded() {
            let Some(record) = self.crew.get(worker) else { continue };
            let spare =
                record.held.iter().skip(1).rev().filter(|&&job| self.jobs.place(job) == Some(Place::Sent(worker)));
            recalls.extend(spare.copied().take(wanted_count - recalls.len()));
        }
        for job in recalls {
            self.recall(job);
        }
    }

    /// Asks for a job back, if its worker may not have begun it.
    pub(super) fn recall(&mut self, job: JobId) {
        if let Some(Place::Sent(worker)) = self.jobs.place(job) {
            self.jobs.put(job, Place::Recalled(worker));
            self.outbox.push_back(Action::TakeBack { worker, job });
        }
    }

    /// Asks for everything back that a worker may not have begun.
    pub(super) fn recall_all(&mut self, worker: WorkerId) {
        let held = self.crew.get(worker).map(|worker| worker.held.clone());
        for job in held.unwrap_or_default() {
            self.recall(job);
        }
    }

    /// Goes after a job that was cancelled and that a worker has.
    pub(super) fn press_cancellation(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(id) else { return };
        match (job.place(), job.cancel) {
            (Place::Sent(_), Some(_)) => self.recall(id),
            (Place::Started(worker), Some(Cancel::EvenIfStarted)) => self.doom(worker, KillReason::Cancelled(id)),
            _ => {}
        }
    }

    /// A job is no longer with a worker.
    pub(super) fn release(&mut self, worker: WorkerId, job: JobId) {
        self.crew.change(worker, |worker| {
            worker.held.retain(|&held| held != job);
            if worker.doom.is_some_and(|reason| reason.job() == Some(job)) {
                worker.doom = None;
            }
        });
        self.advance(worker);
    }

    /// A job comes back from a worker that had not begun it.
    pub(super) fn take_back(&mut self, worker: WorkerId, id: JobId) {
        if self.jobs.place(id) != Some(Place::Recalled(worker)) {
            return;
        }
        self.crew.change(worker, |worker| worker.given_count -= 1);
        self.give_back(worker, id);
    }

    /// A job that was not begun is free again.
    pub(super) fn give_back(&mut self, worker: WorkerId, id: JobId) {
        if self.jobs.get(id).is_some_and(|job| job.cancel.is_some()) {
            self.resolve(id, Outcome::Cancelled);
        } else {
            self.jobs.put(id, Place::Waiting);
            self.release(worker, id);
        }
    }

    /// A worker has begun a job.
    pub(super) fn begin(&mut self, worker: WorkerId, id: JobId) {
        if !self.jobs.place(id).is_some_and(|place| place.is_unstarted_at(worker)) {
            return;
        }
        self.jobs.put(id, Place::Started(worker));
        self.prove(worker);
        if let Some(job) = self.jobs.get_mut(id) {
            job.cancel = job.cancel.filter(|&cancel| cancel == Cancel::EvenIfStarted);
            if let Some(timeout) = job.options.timeout {
                self.timers.set(Timer::Job(id), self.now.after(timeout));
            }
        }
        let aim = self.crew.get(worker).and_then(|worker| worker.doom).and_then(KillReason::job);
        if aim.is_some_and(|job| self.has_gone_on(worker, job)) {
            self.crew.change(worker, |worker| worker.doom = None);
        }
        self.press_cancellation(id);
        self.advance(worker);
    }

    /// A worker has begun at least one job, so starting workers is not useless.
    pub(super) fn prove(&mut self, worker: WorkerId) {
        if self.crew.get(worker).is_some_and(|worker| !worker.has_begun_a_job) {
            self.crew.change(worker, |worker| worker.has_begun_a_job = true);
        }
        if self.hiring.is_troubled() {
            self.hiring.succeed();
            self.timers.clear(Timer::Hiring);
        }
    }

    /// A job has run for as long as it may.
    pub(super) fn time_out(&mut self, id: JobId) {
        if let Some(Place::Started(worker)) = self.jobs.place(id) {
            self.doom(worker, KillReason::TimedOut(id));
        }
    }
}
