//! The end of a pool: closing, joining, terminating, giving up.

use threefold_sys::clock::Instant;

use super::crew::Worker;
use super::{Phase, Scheduler, Timer};
use crate::action::{Action, KillReason, MapCause, Outcome};
use crate::event::StartFailure;
use crate::id::MapId;

/// What happens to sources that nobody reads while the pool is joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// They are read to their ends and the results kept, as `multiprocessing.Pool` does; an infinite source never ends.
    ReadOn,
    /// They are read no further; their maps end with [`MapCause::Cut`] after what has been read.
    Cut,
}

impl Scheduler {
    /// Takes no more jobs or maps, does those that are there, then lets all workers exit.
    pub fn close(&mut self, now: Instant) {
        self.notice(now);
        if self.phase == Phase::Open {
            self.phase = Phase::Closing;
        }
        self.settle();
    }

    /// Somebody waits for the end of the pool, and perhaps nobody takes results any more: no source waits for its consumer.
    /// `unread` says for each map what happens to it.
    pub fn join(&mut self, now: Instant, mut unread: impl FnMut(MapId) -> Unread) {
        self.notice(now);
        for map in self.map_ids() {
            match unread(map) {
                Unread::ReadOn => self.free_source(map),
                Unread::Cut => self.cut_source(map),
            }
        }
        self.settle();
    }

    /// Resolves all open jobs, ends all maps and kills all workers.
    pub fn terminate(&mut self, now: Instant) {
        self.notice(now);
        if matches!(self.phase, Phase::Open | Phase::Closing) {
            self.phase = Phase::Terminated;
            self.fail_everything(Outcome::Terminated, MapCause::Terminated);
            for worker in self.crew.ids() {
                self.doom(worker, KillReason::Terminated);
            }
        }
        self.settle();
    }

    /// Fails everything since no worker can be had.
    pub(super) fn break_down(&mut self, failure: StartFailure) {
        self.broken = Some(failure);
        self.outbox.push_back(Action::Broken(failure));
        self.fail_everything(Outcome::NoWorker(failure), MapCause::NoWorker(failure));
    }

    /// Lets the workers go when there is nothing left to do, and notes when the last is gone.
    pub(super) fn wind_down(&mut self) {
        let is_ending = matches!(self.phase, Phase::Closing | Phase::Terminated);
        if !is_ending || !self.jobs.is_empty() || !self.maps.is_empty() {
            return;
        }
        for worker in self.crew.ids() {
            if self.crew.get(worker).is_some_and(Worker::is_staying) {
                self.retire(worker);
            }
        }
        if self.crew.is_empty() {
            self.phase = Phase::Finished;
            self.timers.clear(Timer::Hiring);
            self.outbox.push_back(Action::Finished);
        }
    }
}
