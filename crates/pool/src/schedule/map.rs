//! One map: how far its source was read, and which result its consumer gets next.

use std::collections::BTreeMap;

use crate::action::{MapCause, MapEnd};
use crate::error::Refused;
use crate::id::JobId;
use crate::options::{Delivery, MapOptions, ReadAhead};

/// A map that is not over (README, section 5).
#[derive(Debug)]
pub(super) struct Map {
    pub(super) options: MapOptions,
    is_source_open: bool,
    cause: MapCause,
    /// Chunks that were asked for and have not come.
    asked_count: u64,
    /// Jobs added.
    pulled_count: u64,
    /// Jobs that are over.
    done_count: u64,
    /// Results handed out.
    delivered_count: u64,
    /// Results the consumer is through with.
    consumed_count: u64,
    /// Whether reading goes on without the consumer.
    is_free: bool,
    /// Whether nobody wants the results.
    is_silent: bool,
    first_failure: Option<JobId>,
    /// Jobs that are over before others that come first.
    early: BTreeMap<u64, JobId>,
}

impl Map {
    pub(super) fn new(options: MapOptions) -> Self {
        Self {
            options,
            is_source_open: true,
            cause: MapCause::Exhausted,
            asked_count: 0,
            pulled_count: 0,
            done_count: 0,
            delivered_count: 0,
            consumed_count: 0,
            is_free: options.delivery == Delivery::Collected,
            is_silent: false,
            first_failure: None,
            early: BTreeMap::new(),
        }
    }

    /// How many chunks to ask for now, if any.
    pub(super) fn ask(&mut self, worker_count: usize) -> Option<u64> {
        if !self.is_source_open || self.asked_count > 0 {
            return None;
        }
        let count = self.limit(worker_count).saturating_sub(self.ahead_count());
        self.asked_count = count;
        (count > 0).then_some(count)
    }

    fn limit(&self, worker_count: usize) -> u64 {
        let limit = match self.options.read_ahead {
            ReadAhead::PerWorker(count) => count.get().saturating_mul(worker_count),
            ReadAhead::Chunks(count) => count.get(),
            ReadAhead::Everything => return u64::MAX,
        };
        limit as u64
    }

    /// Chunks that were read and are not used up.
    fn ahead_count(&self) -> u64 {
        self.pulled_count - if self.is_free { self.done_count } else { self.consumed_count }
    }

    /// The number of a chunk that has come.
    pub(super) fn take_in(&mut self) -> Result<u64, Refused> {
        if !self.is_source_open {
            return Err(Refused::MapOver);
        }
        self.asked_count = self.asked_count.checked_sub(1).ok_or(Refused::NotPulled)?;
        self.pulled_count += 1;
        Ok(self.pulled_count - 1)
    }

    /// Reads no more of the source, if it is still read.
    pub(super) fn end_source(&mut self, cause: MapCause) {
        if self.is_source_open {
            self.is_source_open = false;
            self.cause = cause;
        }
    }

    /// Reads no more of the source, and says why all that is left fails.
    pub(super) fn fail(&mut self, cause: MapCause) {
        self.is_source_open = false;
        self.cause = cause;
    }

    pub(super) fn is_source_open(&self) -> bool {
        self.is_source_open
    }

    pub(super) fn run_free(&mut self) {
        self.is_free = true;
    }

    pub(super) fn fall_silent(&mut self) {
        self.is_silent = true;
    }

    /// Notes that a job is over; returns the jobs whose results come out now.
    pub(super) fn note(&mut self, index: u64, job: JobId, is_success: bool) -> Vec<JobId> {
        self.done_count += 1;
        if !is_success && self.first_failure.is_none() {
            self.first_failure = Some(job);
        }
        let mut delivered = Vec::new();
        match self.options.delivery {
            Delivery::Collected => return delivered,
            Delivery::Unordered => delivered.push(job),
            Delivery::Ordered => {
                self.early.insert(index, job);
                let next = self.delivered_count;
                delivered.extend((next..).map_while(|index| self.early.remove(&index)));
            }
        }
        self.delivered_count += delivered.len() as u64;
        if self.is_silent {
            delivered.clear();
        }
        delivered
    }

    /// The consumer is through with one more result.
    pub(super) fn consume(&mut self) {
        self.consumed_count = self.delivered_count.min(self.consumed_count + 1);
    }

    /// How it ended, if it did.
    pub(super) fn end(&self) -> Option<MapEnd> {
        (!self.is_source_open && self.done_count == self.pulled_count).then_some(MapEnd {
            cause: self.cause,
            first_failure: self.first_failure,
            job_count: self.pulled_count,
        })
    }

    /// What is wrong with the counts, if anything (README, section 6).
    pub(super) fn broken_invariant(&self, open_job_count: u64) -> Option<&'static str> {
        let is_in_order = self.delivered_count <= self.done_count
            && self.done_count <= self.pulled_count
            && self.consumed_count <= self.delivered_count;
        if !is_in_order {
            return Some("a map's counts are out of order");
        }
        if self.pulled_count - self.done_count != open_job_count {
            return Some("a map does not know how many of its jobs are open");
        }
        let is_held_back = self.options.delivery == Delivery::Ordered;
        let early_count = if is_held_back { self.done_count - self.delivered_count } else { 0 };
        if self.early.len() as u64 != early_count {
            return Some("a map lost a result that came early");
        }
        self.end().map(|_| "a map that is over is still there")
    }
}
