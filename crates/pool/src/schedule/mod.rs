//! The scheduler of a pool: told what happened and when, it answers with actions; README holds the argument.

mod audit;
mod crew;
mod dispatch;
mod ending;
mod hiring;
mod jobs;
mod map;
mod maps;
mod staff;
mod timers;
mod view;
mod workers;

use std::collections::{BTreeMap, VecDeque};

use threefold_sys::clock::Instant;

use crate::action::{Action, Outcome};
use crate::error::Refused;
use crate::event::StartFailure;
use crate::id::{JobId, MapId};
use crate::options::{JobOptions, PoolOptions};
use crew::{Crew, Stage};
use hiring::Hiring;
use jobs::{Jobs, Place};
use map::Map;
use timers::{Timer, Timers};

pub use ending::Unread;
pub use maps::{Leave, SourceEnd};

/// Decides which worker does which job.
///
/// Each method tells it of something that happened at `now`; what is to be done then is taken with
/// [`next_action`](Self::next_action) until there is no more, in that order. Times never go backwards: an earlier `now` counts
/// as the latest one. Nothing here blocks.
#[derive(Debug)]
pub struct Scheduler {
    options: PoolOptions,
    phase: Phase,
    broken: Option<StartFailure>,
    now: Instant,
    jobs: Jobs,
    crew: Crew,
    maps: BTreeMap<MapId, Map>,
    next_map: u64,
    timers: Timers,
    hiring: Hiring,
    /// Jobs that could not be sent.
    unsent_count: usize,
    outbox: VecDeque<Action>,
}

/// How far the life of a pool has come (README, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Closing,
    Terminated,
    Finished,
}

/// How far a cancellation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// A job that has begun goes on, as with `concurrent.futures`.
    IfNotStarted,
    /// The worker of a job that has begun is killed.
    EvenIfStarted,
}

/// What a cancellation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancellation {
    /// The job is resolved as cancelled.
    Cancelled,
    /// A worker has it; what becomes of it is known when the actions have been done.
    Asked,
    /// It has begun and goes on.
    TooLate,
    /// There is no such open job: it is over.
    Over,
}

impl Scheduler {
    /// A pool whose first workers are asked for at once, if it is staffed so.
    pub fn new(options: PoolOptions, now: Instant) -> Self {
        let mut scheduler = Self {
            phase: Phase::Open,
            broken: None,
            now,
            jobs: Jobs::default(),
            crew: Crew::new(&options),
            maps: BTreeMap::new(),
            next_map: 0,
            timers: Timers::default(),
            hiring: Hiring::new(&options),
            unsent_count: 0,
            outbox: VecDeque::new(),
            options,
        };
        scheduler.settle();
        scheduler
    }

    /// What is to be done next, if anything.
    pub fn next_action(&mut self) -> Option<Action> {
        self.outbox.pop_front()
    }

    /// When [`tick`](Self::tick) must be called, if nothing happens before.
    pub fn next_wake(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) {
        self.notice(now);
        while let Some(timer) = self.timers.take_due(self.now) {
            match timer {
                Timer::Job(job) => self.time_out(job),
                Timer::Grace(worker) => self.lose_patience(worker),
                Timer::Hiring => self.hiring.end_rest(),
            }
        }
        self.settle();
    }

    /// Adds a job; its payload is kept elsewhere, under the number that is returned.
    ///
    /// # Errors
    /// When the pool is closed, or has no workers and cannot get any.
    pub fn add_job(&mut self, now: Instant, options: JobOptions) -> Result<JobId, Refused> {
        self.notice(now);
        self.check_open()?;
        let job = self.jobs.add(options, None);
        self.settle();
        Ok(job)
    }

    /// Cancels a job.
    pub fn cancel(&mut self, now: Instant, job: JobId, cancel: Cancel) -> Cancellation {
        self.notice(now);
        let cancellation = self.cancel_one(job, cancel);
        self.settle();
        cancellation
    }

    /// Cancels all jobs that have not begun, and reads no more of any source.
    pub fn cancel_unstarted(&mut self, now: Instant) {
        self.notice(now);
        self.cut_sources();
        for job in self.jobs.ids() {
            self.cancel_one(job, Cancel::IfNotStarted);
        }
        self.settle();
    }

    fn cancel_one(&mut self, id: JobId, cancel: Cancel) -> Cancellation {
        let Some(job) = self.jobs.get_mut(id) else { return Cancellation::Over };
        match (job.place(), cancel) {
            (Place::Waiting, _) => {
                self.resolve(id, Outcome::Cancelled);
                return Cancellation::Cancelled;
            }
            (Place::Started(_), Cancel::IfNotStarted) => return Cancellation::TooLate,
            (Place::Recalled(_), Cancel::IfNotStarted) => job.cancel = job.cancel.or(Some(cancel)),
            _ => job.cancel = Some(cancel),
        }
        self.press_cancellation(id);
        Cancellation::Asked
    }

    fn notice(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn check_open(&self) -> Result<(), Refused> {
        match (self.phase, self.broken) {
            (Phase::Open, None) => Ok(()),
            (Phase::Open, Some(failure)) => Err(Refused::Broken(failure)),
            _ => Err(Refused::Closed),
        }
    }

    /// Does what has become possible or necessary, after anything that happened.
    fn settle(&mut self) {
        self.give_up_if_hopeless();
        self.staff();
        self.dispatch();
        self.share();
        self.wind_down();
    }

    /// Ends a job, and tells its worker's record and its map.
    fn resolve(&mut self, id: JobId, outcome: Outcome) {
        let Some(job) = self.jobs.remove(id) else { return };
        self.timers.clear(Timer::Job(id));
        self.outbox.push_back(Action::Resolve { job: id, outcome });
        if let Some(worker) = job.place().worker() {
            self.release(worker, id);
        }
        if let Some((map, index)) = job.map {
            self.note(map, index, id, outcome);
        }
    }
}
