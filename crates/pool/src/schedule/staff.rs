//! Workers that come and go: starting, retiring, finishing, killing.

use std::num::NonZeroUsize;

use threefold_sys::clock::Instant;

use super::{Phase, Place, Scheduler, Stage, Timer};
use crate::action::{Action, KillReason};
use crate::id::{JobId, WorkerId};
use crate::options::Staffing;

impl Scheduler {
    /// Changes how many workers there may be; those that are too many do what they have begun and exit.
    pub fn resize(&mut self, now: Instant, worker_count: NonZeroUsize) {
        self.notice(now);
        self.options.worker_count = worker_count;
        let mut staying: Vec<_> = self.crew.iter().filter(|(_, worker)| worker.is_staying()).collect();
        staying.sort_by_key(|(id, worker)| (worker.stage == Stage::Ready, worker.held.len(), *id));
        let surplus_count = staying.len().saturating_sub(worker_count.get());
        let surplus: Vec<WorkerId> = staying.iter().take(surplus_count).map(|&(id, _)| id).collect();
        for worker in surplus {
            self.retire(worker);
        }
        self.feed_all();
        self.settle();
    }

    /// Starts workers while there are fewer than are needed.
    pub(super) fn staff(&mut self) {
        while self.crew.len() < self.needed_count() && self.hiring.may_start(self.crew.is_one_on_its_way()) {
            let worker = self.crew.add();
            self.outbox.push_back(Action::StartWorker { worker });
        }
    }

    fn needed_count(&self) -> usize {
        let most = self.options.worker_count.get();
        match (self.phase, self.options.staffing) {
            _ if self.broken.is_some() => 0,
            (Phase::Open, Staffing::AtOnce) => most,
            // Each job asks for a worker when it comes, also one that turns out not to be sendable: how many there are must not
            // depend on how soon it does.
            (Phase::Open, Staffing::OnDemand) => most.min(self.jobs.len().saturating_add(self.unsent_count)),
            (Phase::Closing, _) => most.min(self.jobs.len()),
            (Phase::Terminated | Phase::Finished, _) => 0,
        }
    }

    /// Ends the hope for workers when as many failed as are put up with, and none is left that may do a job.
    pub(super) fn give_up_if_hopeless(&mut self) {
        if let Some(failure) = self.hiring.exhausted() {
            if self.needed_count() > 0 && self.crew.is_hopeless() {
                self.break_down(failure);
            }
        }
    }

    /// Gives a worker no more jobs, and lets it exit when it has done what it has begun.
    pub(super) fn retire(&mut self, id: WorkerId) {
        self.crew.change(id, |worker| worker.is_retiring = true);
        self.recall_all(id);
        self.advance(id);
    }

    /// Kills a worker as soon as it holds nothing that it has not begun.
    pub(super) fn doom(&mut self, id: WorkerId, reason: KillReason) {
        if reason.job().is_some_and(|job| self.has_gone_on(id, job)) {
            return;
        }
        let stage = self.crew.change(id, |worker| {
            worker.doom = worker.doom.filter(|_| reason.job().is_some()).or(Some(reason));
            worker.stage
        });
        match stage {
            Some(Stage::Finishing) => self.kill(id, reason),
            Some(Stage::Starting | Stage::Preparing | Stage::Ready) => {
                self.recall_all(id);
                self.advance(id);
            }
            Some(Stage::Killed(_)) | None => {}
        }
    }

    /// Whether a worker has begun a job after this one. It does one after the other, so this one is over then, and its
    /// result on its way.
    pub(super) fn has_gone_on(&self, id: WorkerId, job: JobId) -> bool {
        let held = self.crew.get(id).map_or(&[][..], |worker| &worker.held);
        let later = held.iter().skip_while(|&&held| held != job).skip(1);
        later.copied().any(|later| self.jobs.place(later) == Some(Place::Started(id)))
    }

    /// Does what a worker's jobs no longer stand in the way of.
    pub(super) fn advance(&mut self, id: WorkerId) {
        let Some(worker) = self.crew.get(id) else { return };
        if !matches!(worker.stage, Stage::Preparing | Stage::Ready) {
            return;
        }
        if let Some(reason) = worker.doom {
            let has_begun_all =
                !worker.held.iter().any(|&job| self.jobs.place(job).is_some_and(|place| place.is_unstarted_at(id)));
            if has_begun_all {
                self.kill(id, reason);
            }
        } else if worker.held.is_empty() && (worker.is_retiring || self.crew.is_worn_out(worker)) {
            self.finish(id);
        }
    }

    /// Asks a worker to exit by itself.
    pub(super) fn finish(&mut self, id: WorkerId) {
        self.crew.change(id, |worker| worker.stage = Stage::Finishing);
        self.outbox.push_back(Action::FinishWorker { worker: id });
        if let Some(grace) = self.options.grace {
            self.timers.set(Timer::Grace(id), self.now.after(grace));
        }
    }

    /// A worker has had its time to exit by itself.
    pub(super) fn lose_patience(&mut self, id: WorkerId) {
        if self.crew.get(id).is_some_and(|worker| worker.stage == Stage::Finishing) {
            self.kill(id, KillReason::GraceOver);
        }
    }

    fn kill(&mut self, id: WorkerId, reason: KillReason) {
        self.timers.clear(Timer::Grace(id));
        let pid = self.crew.change(id, |worker| {
            worker.stage = Stage::Killed(reason);
            worker.pid
        });
        if let Some(pid) = pid.flatten() {
            self.outbox.push_back(Action::KillWorker { worker: id, pid, reason });
        }
    }
}
