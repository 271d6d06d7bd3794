//! The workers: how far each has come, what it holds, and who has room.

use std::collections::{BTreeMap, BTreeSet};

use threefold_sys::clock::Instant;

use crate::action::KillReason;
use crate::id::{JobId, WorkerId};
use crate::options::PoolOptions;

/// How far a worker has come (README, section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Starting,
    Preparing,
    Ready,
    Finishing,
    Killed(KillReason),
}

/// A worker whose process was asked for and is not known to be gone.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) stage: Stage,
    /// Whether it gets no more jobs and is to exit when it has done what it has begun.
    pub(super) is_retiring: bool,
    /// Why it is to be killed, once what it has not begun is taken back.
    pub(super) doom: Option<KillReason>,
    pub(super) pid: Option<u32>,
    /// The jobs it has, in the order in which they were sent.
    pub(super) held: Vec<JobId>,
    /// Jobs sent and not taken back.
    pub(super) given_count: u64,
    pub(super) has_begun_a_job: bool,
    pub(super) ready_at: Option<Instant>,
}

impl Worker {
    /// Whether it does jobs, or will.
    pub(super) fn is_staying(&self) -> bool {
        !self.is_retiring && self.doom.is_none() && self.is_hopeful()
    }

    /// Whether it may still do a job.
    pub(super) fn is_hopeful(&self) -> bool {
        matches!(self.stage, Stage::Starting | Stage::Preparing | Stage::Ready)
    }

    fn is_coming(&self) -> bool {
        matches!(self.stage, Stage::Starting | Stage::Preparing)
    }

    fn does_jobs(&self) -> bool {
        self.stage == Stage::Ready && self.is_staying()
    }
}

#[derive(Debug)]
pub(super) struct Crew {
    depth: usize,
    most_jobs: u64,
    next: u64,
    workers: BTreeMap<WorkerId, Worker>,
    /// Those that may be sent a job, by how many they hold.
    with_room: BTreeSet<(usize, WorkerId)>,
    /// Those that hold a job which somebody else could do.
    loaded: BTreeSet<(usize, WorkerId)>,
}

impl Crew {
    pub(super) fn new(options: &PoolOptions) -> Self {
        Self {
            depth: options.depth.get(),
            most_jobs: options.max_jobs_per_worker.map_or(u64::MAX, std::num::NonZero::get),
            next: 0,
            workers: BTreeMap::new(),
            with_room: BTreeSet::new(),
            loaded: BTreeSet::new(),
        }
    }

    pub(super) fn add(&mut self) -> WorkerId {
        self.next += 1;
        let worker = Worker {
            stage: Stage::Starting,
            is_retiring: false,
            doom: None,
            pid: None,
            held: Vec::new(),
            given_count: 0,
            has_begun_a_job: false,
            ready_at: None,
        };
        self.workers.insert(WorkerId(self.next), worker);
        WorkerId(self.next)
    }

    pub(super) fn get(&self, id: WorkerId) -> Option<&Worker> {
        self.workers.get(&id)
    }

    /// Changes a worker, and files it anew by what it holds then.
    pub(super) fn change<R>(&mut self, id: WorkerId, change: impl FnOnce(&mut Worker) -> R) -> Option<R> {
        let worker = self.workers.get_mut(&id)?;
        let before = worker.held.len();
        let result = change(worker);
        let load = worker.held.len();
        let is_with_room = worker.does_jobs() && load < self.depth && worker.given_count < self.most_jobs;
        let is_loaded = worker.does_jobs() && load > 1;
        refile(&mut self.with_room, id, before, is_with_room.then_some(load));
        refile(&mut self.loaded, id, before, is_loaded.then_some(load));
        Some(result)
    }

    pub(super) fn remove(&mut self, id: WorkerId) -> Option<Worker> {
        let worker = self.workers.remove(&id)?;
        let load = worker.held.len();
        self.with_room.remove(&(load, id));
        self.loaded.remove(&(load, id));
        Some(worker)
    }

    /// Who is to have the next job.
    pub(super) fn least_loaded(&self) -> Option<WorkerId> {
        self.with_room.first().map(|&(_, id)| id)
    }

    pub(super) fn idle_count(&self) -> usize {
        self.with_room.iter().take_while(|&&(load, _)| load == 0).count()
    }

    /// Those with more than one job, the busiest first.
    pub(super) fn loaded(&self) -> impl Iterator<Item = WorkerId> + '_ {
        self.loaded.iter().rev().map(|&(_, id)| id)
    }

    pub(super) fn is_any_loaded(&self) -> bool {
        !self.loaded.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        !self.with_room.is_empty()
    }

    /// Whether a worker has had as many jobs as it may.
    pub(super) fn is_worn_out(&self, worker: &Worker) -> bool {
        worker.given_count >= self.most_jobs
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (WorkerId, &Worker)> {
        self.workers.iter().map(|(&id, worker)| (id, worker))
    }

    pub(super) fn ids(&self) -> Vec<WorkerId> {
        self.workers.keys().copied().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.workers.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    pub(super) fn is_one_on_its_way(&self) -> bool {
        self.workers.values().any(Worker::is_coming)
    }

    /// Whether no worker is left that does a job, or will.
    pub(super) fn is_hopeless(&self) -> bool {
        !self.workers.values().any(|worker| worker.is_hopeful() || !worker.held.is_empty())
    }

    pub(super) fn depth(&self) -> usize {
        self.depth
    }
}

fn refile(set: &mut BTreeSet<(usize, WorkerId)>, id: WorkerId, before: usize, now: Option<usize>) {
    if now != Some(before) {
        set.remove(&(before, id));
    }
    if let Some(load) = now {
        set.insert((load, id));
    }
}
