//! What the example tests share: a pool at a desk, whose workers are played by hand.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;

use threefold_pool::{
    Action, Ended, Exit, JobId, JobOptions, MapId, MapOptions, Outcome, PoolOptions, Scheduler, WorkerEvent, WorkerId,
};
use threefold_sys::clock::Instant;

#[path = "../../../wait/tests/support/limit.rs"]
mod limit;
pub use limit::Limit;

pub const W1: WorkerId = WorkerId(1);
pub const W2: WorkerId = WorkerId(2);
pub const W3: WorkerId = WorkerId(3);
pub const W4: WorkerId = WorkerId(4);

pub fn count(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

/// Options of a pool with so many workers, each with one job in hand and one in prospect.
pub fn options(worker_count: usize) -> PoolOptions {
    PoolOptions::new(count(worker_count))
}

pub fn wearing_out(worker_count: usize, most_jobs: u64) -> PoolOptions {
    PoolOptions { max_jobs_per_worker: NonZeroU64::new(most_jobs), ..options(worker_count) }
}

pub fn giving_up_after(worker_count: usize, failure_count: u32) -> PoolOptions {
    PoolOptions { failure_limit: NonZeroU32::new(failure_count).unwrap(), ..options(worker_count) }
}

pub fn with_timeout(seconds: u64) -> JobOptions {
    JobOptions { timeout: Some(Duration::from_secs(seconds)), ..JobOptions::default() }
}

pub fn with_retries(retry_count: u32) -> JobOptions {
    JobOptions { retry_count, ..JobOptions::default() }
}

pub const KILLED: Exit = Exit { ended: Ended::Signal(9), is_out_of_memory: false };
pub const EXITED: Exit = Exit { ended: Ended::Code(0), is_out_of_memory: false };

pub fn start(worker: WorkerId) -> Action {
    Action::StartWorker { worker }
}

pub fn finish(worker: WorkerId) -> Action {
    Action::FinishWorker { worker }
}

pub fn send(worker: WorkerId, job: JobId) -> Action {
    Action::Send { worker, job }
}

pub fn take_back(worker: WorkerId, job: JobId) -> Action {
    Action::TakeBack { worker, job }
}

pub fn resolve(job: JobId, outcome: Outcome) -> Action {
    Action::Resolve { job, outcome }
}

pub fn deliver(map: MapId, job: JobId) -> Action {
    Action::Deliver { map, job }
}

pub fn pull(map: MapId, chunk_count: u64) -> Action {
    Action::Pull { map, chunk_count }
}

/// The process number that a worker has in these tests.
pub fn pid(worker: WorkerId) -> u32 {
    u32::try_from(worker.0).unwrap() + 1000
}

/// A scheduler and a clock that goes only when it is told to.
pub struct Desk {
    pub scheduler: Scheduler,
    pub now: Instant,
    _limit: Limit,
}

impl Desk {
    /// A pool whose first workers were asked for.
    pub fn new(options: PoolOptions) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        Self { scheduler: Scheduler::new(options, now), now, _limit: Limit::seconds(60) }
    }

    /// A pool with depth 2 whose workers are all ready.
    pub fn ready(worker_count: usize) -> Self {
        Self::ready_with(options(worker_count))
    }

    /// A pool whose workers are all ready.
    pub fn ready_with(options: PoolOptions) -> Self {
        let mut desk = Self::new(options);
        for action in desk.actions() {
            if let Action::StartWorker { worker } = action {
                desk.make_ready(worker);
            }
        }
        desk
    }

    /// What the pool wants done; the invariants hold each time it is asked.
    pub fn actions(&mut self) -> Vec<Action> {
        assert_eq!(self.scheduler.broken_invariant(), None);
        std::iter::from_fn(|| self.scheduler.next_action()).collect()
    }

    /// Tells of a worker, and returns what is to be done then.
    pub fn hear(&mut self, worker: WorkerId, event: WorkerEvent) -> Vec<Action> {
        self.scheduler.worker_event(self.now, worker, event);
        self.actions()
    }

    pub fn make_ready(&mut self, worker: WorkerId) -> Vec<Action> {
        let mut actions = self.hear(worker, WorkerEvent::Started { pid: pid(worker) });
        actions.extend(self.hear(worker, WorkerEvent::Ready));
        actions
    }

    pub fn add(&mut self) -> JobId {
        self.add_with(JobOptions::default())
    }

    pub fn add_with(&mut self, options: JobOptions) -> JobId {
        self.scheduler.add_job(self.now, options).unwrap()
    }

    /// Adds a job and lets the only idle worker begin it.
    pub fn begin(&mut self, worker: WorkerId, options: JobOptions) -> JobId {
        let job = self.add_with(options);
        assert!(self.actions().contains(&send(worker, job)));
        self.hear(worker, WorkerEvent::JobStarted(job));
        job
    }

    pub fn add_map(&mut self, options: MapOptions) -> MapId {
        self.scheduler.add_map(self.now, options).unwrap()
    }

    pub fn add_chunk(&mut self, map: MapId) -> JobId {
        self.scheduler.add_chunk(self.now, map).unwrap()
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Duration) -> Vec<Action> {
        self.now = self.now.after(time);
        self.scheduler.tick(self.now);
        self.actions()
    }
}
