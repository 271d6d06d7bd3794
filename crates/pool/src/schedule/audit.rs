//! The invariants, checked one by one; for tests and for a doubt in the field (README, section 6).

use std::collections::{BTreeMap, BTreeSet};

use super::crew::Worker;
use super::{Phase, Place, Scheduler, Stage, Timer};
use crate::action::KillReason;
use crate::id::{MapId, WorkerId};

impl Scheduler {
    /// What is wrong with the state, if anything; it costs time for each open job and each worker.
    pub fn broken_invariant(&self) -> Option<String> {
        let jobs = || self.broken_job();
        let workers = || self.crew.iter().find_map(|(id, worker)| self.broken_worker(id, worker));
        jobs()
            .or_else(workers)
            .or_else(|| self.broken_map())
            .or_else(|| self.broken_timer())
            .or_else(|| self.broken_whole())
    }

    fn broken_job(&self) -> Option<String> {
        let waiting: BTreeSet<_> = self.jobs.waiting().collect();
        let mut recalled_count = 0;
        let mut waiting_count = 0;
        for (id, job) in self.jobs.iter() {
            match job.place() {
                Place::Waiting => waiting_count += 1,
                Place::Recalled(_) => recalled_count += 1,
                Place::Sent(_) | Place::Started(_) => {}
            }
            if job.place() == Place::Waiting && !waiting.contains(&id) {
                return Some(format!("{id} waits and is not in the queue"));
            }
            if job.death_count > job.options.retry_count {
                return Some(format!("{id} was run again too often"));
            }
            let is_held = |worker| self.crew.get(worker).is_some_and(|worker| worker.held.contains(&id));
            if job.place().worker().is_some_and(|worker| !is_held(worker)) {
                return Some(format!("{id} is with a worker that does not know it"));
            }
            if job.map.is_some_and(|(map, _)| !self.maps.contains_key(&map)) {
                return Some(format!("{id} belongs to a map that is over"));
            }
        }
        let is_right = waiting_count == waiting.len() && recalled_count == self.jobs.recalled_count();
        (!is_right).then(|| "the jobs are counted wrong".to_owned())
    }

    fn broken_worker(&self, id: WorkerId, worker: &Worker) -> Option<String> {
        let place = |job| self.jobs.place(job);
        if worker.held.iter().any(|&job| place(job).and_then(Place::worker) != Some(id)) {
            return Some(format!("{id} holds a job that is not with it"));
        }
        if worker.held.len() > self.crew.depth() {
            return Some(format!("{id} holds {} jobs", worker.held.len()));
        }
        if (worker.held.len() as u64) > worker.given_count {
            return Some(format!("{id} holds more than it was given"));
        }
        let holds_by_stage = matches!(worker.stage, Stage::Ready | Stage::Killed(_)) || worker.held.is_empty();
        if !holds_by_stage {
            return Some(format!("{id} holds jobs and is {:?}", worker.stage));
        }
        if (worker.stage == Stage::Starting) == worker.pid.is_some() {
            return Some(format!("{id} is {:?} with process {:?}", worker.stage, worker.pid));
        }
        let unstarted_count =
            worker.held.iter().filter(|&&job| place(job).is_some_and(|at| at.is_unstarted_at(id))).count();
        if matches!(worker.stage, Stage::Killed(_)) && unstarted_count > 0 {
            return Some(format!("{id} was killed with a job that it had not begun"));
        }
        let aim = worker.doom.and_then(KillReason::job);
        if worker.stage == Stage::Ready && aim.is_some_and(|job| !worker.held.contains(&job)) {
            return Some(format!("{id} is to be killed for a job that it does not have"));
        }
        let is_ready_to_go = worker.held.is_empty() && (worker.is_retiring || self.crew.is_worn_out(worker));
        if worker.stage == Stage::Ready && is_ready_to_go {
            return Some(format!("{id} should have been asked to finish"));
        }
        None
    }

    fn broken_map(&self) -> Option<String> {
        let mut open: BTreeMap<MapId, u64> = BTreeMap::new();
        for (map, _) in self.jobs.iter().filter_map(|(_, job)| job.map) {
            *open.entry(map).or_default() += 1;
        }
        self.maps.iter().find_map(|(&id, map)| {
            let open_job_count = open.get(&id).copied().unwrap_or(0);
            map.broken_invariant(open_job_count).map(|trouble| format!("{id}: {trouble}"))
        })
    }

    fn broken_timer(&self) -> Option<String> {
        for timer in self.timers.all() {
            let is_of_use = match timer {
                Timer::Job(job) => matches!(self.jobs.place(job), Some(Place::Started(_))),
                Timer::Grace(worker) => self.crew.get(worker).is_some_and(|worker| worker.stage == Stage::Finishing),
                Timer::Hiring => self.hiring.is_resting(),
            };
            if !is_of_use {
                return Some(format!("{timer:?} is of no use"));
            }
        }
        let is_without_grace = |(id, worker): (WorkerId, &Worker)| {
            worker.stage == Stage::Finishing && self.options.grace.is_some() && !self.timers.has(Timer::Grace(id))
        };
        self.crew.iter().any(is_without_grace).then(|| "a worker may take for ever to finish".to_owned())
    }

    /// Nobody waits for what is there.
    fn broken_whole(&self) -> Option<String> {
        let is_open = matches!(self.phase, Phase::Open | Phase::Closing) && self.broken.is_none();
        if self.jobs.waiting_count() > 0 && self.crew.has_room() {
            return Some("a job waits while a worker has room".to_owned());
        }
        if !(is_open || self.jobs.is_empty() && self.maps.is_empty()) {
            return Some("something is open in a pool that has ended".to_owned());
        }
        // A rest ends by its timer, and then somebody is started.
        if !self.jobs.is_empty() && self.crew.is_empty() && !self.hiring.is_resting() {
            return Some("there are jobs, no workers, and none will come".to_owned());
        }
        let is_done = self.jobs.is_empty() && self.maps.is_empty() && self.crew.is_empty();
        if is_done && matches!(self.phase, Phase::Closing | Phase::Terminated) {
            return Some("the pool is over and does not say so".to_owned());
        }
        None
    }
}
