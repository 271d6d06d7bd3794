//! Whether another worker is worth trying.

use std::time::Duration;

use crate::event::StartFailure;
use crate::options::PoolOptions;

/// How many more failures are put up with where workers have begun jobs before.
const TRUST: u32 = 5;

const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Counts workers that ended without having begun a job (README, section 4).
#[derive(Debug)]
pub(super) struct Hiring {
    limit: u32,
    pause: Duration,
    failure_count: u32,
    /// Workers that were ready and ended while they had nothing to do.
    loss_count: u32,
    is_resting: bool,
    /// Some worker has begun a job, or might have for long enough.
    is_proven: bool,
    last_failure: Option<StartFailure>,
}

impl Hiring {
    pub(super) fn new(options: &PoolOptions) -> Self {
        Self {
            limit: options.failure_limit.get(),
            pause: options.start_pause,
            failure_count: 0,
            loss_count: 0,
            is_resting: false,
            is_proven: false,
            last_failure: None,
        }
    }

    /// Notes a failure; says for how long starting rests, if it does.
    pub(super) fn fail(&mut self, failure: StartFailure) -> Option<Duration> {
        self.failure_count = self.failure_count.saturating_add(1);
        self.last_failure = Some(failure);
        let doubling_count = self.failure_count.checked_sub(self.limit)?;
        self.is_resting = true;
        Some(self.pause.saturating_mul(1 << doubling_count.min(16)).min(LONGEST_PAUSE))
    }

    /// Notes that one that was ready ended while it had nothing to do: there is hope for others, but no hurry. Says for how long
    /// starting rests, if it does.
    pub(super) fn lose(&mut self) -> Option<Duration> {
        self.loss_count = self.loss_count.saturating_add(1);
        if self.loss_count < self.limit {
            return None;
        }
        self.is_resting = true;
        Some(self.pause)
    }

    pub(super) fn succeed(&mut self) {
        self.failure_count = 0;
        self.loss_count = 0;
        self.is_resting = false;
        self.is_proven = true;
    }

    pub(super) fn is_resting(&self) -> bool {
        self.is_resting
    }

    pub(super) fn end_rest(&mut self) {
        self.is_resting = false;
    }

    /// Whether a worker may be started: past the limit one at a time, after a rest.
    pub(super) fn may_start(&self, is_one_on_its_way: bool) -> bool {
        self.failure_count.max(self.loss_count) < self.limit || !(self.is_resting || is_one_on_its_way)
    }

    /// The last failure, if there were as many in a row as are put up with.
    pub(super) fn exhausted(&self) -> Option<StartFailure> {
        let limit = if self.is_proven { self.limit.saturating_add(TRUST) } else { self.limit };
        self.last_failure.filter(|_| self.failure_count >= limit)
    }

    pub(super) fn is_troubled(&self) -> bool {
        self.failure_count > 0 || self.loss_count > 0
    }
}
