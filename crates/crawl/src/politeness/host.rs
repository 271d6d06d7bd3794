//! One host: what waits for it, what is in flight, and when it may be asked next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::throttle::Throttle;
use super::{OutcomeKind, PolitenessOptions};

/// Where the scheduler keeps a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere: nothing may start before something is pushed or finished.
    Out,
    /// In the line of those that may start something now.
    Ready,
    /// Among those that may start something later.
    Timed,
}

/// When a host may start its next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Now,
    At(Instant),
    /// Something must happen first.
    Event,
}

#[derive(Debug)]
pub(super) struct Host<T> {
    pub(super) key: Arc<str>,
    pub(super) urgent: VecDeque<T>,
    pub(super) queue: VecDeque<T>,
    pub(super) in_flight: usize,
    pub(super) place: Place,
    pub(super) is_paused: bool,
    pub(super) failures: u32,
    /// What robots.txt asks for.
    pub(super) delay: Duration,
    pub(super) throttle: Throttle,
    /// Not before; none where nothing forbids a start.
    not_before: Option<Instant>,
    /// True where others who go on with the host would have to know more than they were told.
    pub(super) is_untold: bool,
    /// When it was last made slower. What was started before says nothing more about its strength.
    marked: Option<Instant>,
}

impl<T> Host<T> {
    pub(super) fn new(key: Arc<str>, per_host: usize) -> Self {
        Self {
            key,
            urgent: VecDeque::new(),
            queue: VecDeque::new(),
            in_flight: 0,
            place: Place::Out,
            is_paused: false,
            failures: 0,
            delay: Duration::ZERO,
            throttle: Throttle::new(per_host),
            not_before: None,
            is_untold: false,
            marked: None,
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.urgent.len() + self.queue.len()
    }

    /// The payload to start next.
    pub(super) fn pop(&mut self) -> Option<T> {
        match self.urgent.pop_front() {
            None if !self.is_paused => self.queue.pop_front(),
            urgent => urgent,
        }
    }

    pub(super) fn when(&self, now: Instant, options: &PolitenessOptions) -> When {
        let has_work = !self.urgent.is_empty() || (!self.is_paused && !self.queue.is_empty());
        if !has_work || self.in_flight >= self.limit(options) {
            return When::Event;
        }
        match self.not_before {
            Some(time) if time > now => When::At(time),
            _ => When::Now,
        }
    }

    /// With a delay one at a time: only the end of a request shows that the server has surely seen it, and so the server, too, sees
    /// starts that are never closer than the delay, whatever the network does with them.
    fn limit(&self, options: &PolitenessOptions) -> usize {
        if self.full_delay(options).is_zero() { self.throttle.limit(options.per_host, options.throttle) } else { 1 }
    }

    fn full_delay(&self, options: &PolitenessOptions) -> Duration {
        self.delay.max(options.delay)
    }

    /// Learns from the end of a request.
    pub(super) fn learn(
        &mut self,
        started: Instant,
        kind: OutcomeKind,
        latency: Option<Duration>,
        now: Instant,
        options: &PolitenessOptions,
    ) {
        if kind == OutcomeKind::Dropped {
            return;
        }
        let delay = self.full_delay(options);
        if !delay.is_zero() {
            self.hold_until(now.checked_add(delay));
        }
        let is_news = self.marked.is_none_or(|marked| started >= marked);
        let is_good = matches!(kind, OutcomeKind::Answered(..400));
        if let Some(latency) = latency {
            self.throttle.measured(latency, is_good);
        }
        self.failures = if kind == OutcomeKind::Failed { self.failures.saturating_add(1) } else { 0 };
        match kind {
            OutcomeKind::Answered(status) if is_news && status < 500 => self.throttle.did_well(options.per_host),
            OutcomeKind::Failed if is_news => self.mark(now),
            OutcomeKind::PushedBack { retry_after } => self.push_back(retry_after, is_news, now, options),
            OutcomeKind::Answered(_) | OutcomeKind::Failed | OutcomeKind::Dropped => {}
        }
    }

    /// Several requests that were in flight together are pushed back together: that is one sign.
    fn push_back(&mut self, retry_after: Option<Duration>, is_news: bool, now: Instant, options: &PolitenessOptions) {
        if is_news {
            self.mark(now);
            let factor = 1_u32 << self.throttle.strikes.min(16);
            self.throttle.strikes = self.throttle.strikes.saturating_add(1);
            let own = options.hold.saturating_mul(factor).min(options.longest_hold);
            self.hold_until(now.checked_add(retry_after.unwrap_or(own)));
        } else if let Some(asked) = retry_after {
            self.hold_until(now.checked_add(asked));
        }
    }

    fn mark(&mut self, now: Instant) {
        self.throttle.halve();
        self.marked = Some(now);
    }

    pub(super) fn hold_until(&mut self, time: Option<Instant>) {
        self.is_untold |= time > self.not_before;
        self.not_before = self.not_before.max(time);
    }

    /// Before this time nobody may ask the host, whatever becomes of the requests in flight.
    pub(super) fn held_until(&self, now: Instant, options: &PolitenessOptions) -> Option<Instant> {
        let delay = self.full_delay(options);
        let after_flight = if self.in_flight > 0 && !delay.is_zero() { now.checked_add(delay) } else { None };
        self.not_before.max(after_flight).filter(|time| *time > now)
    }

    /// Takes the start of a request: with a delay, others may not ask before it is over.
    pub(super) fn started(&mut self, options: &PolitenessOptions) {
        self.in_flight += 1;
        self.is_untold |= !self.full_delay(options).is_zero();
    }

    /// True where nothing would be lost if the host were forgotten.
    pub(super) fn is_forgettable(&self, now: Instant, options: &PolitenessOptions) -> bool {
        let is_idle = self.waiting() == 0 && self.in_flight == 0 && self.place == Place::Out && !self.is_paused;
        let is_free = self.not_before.is_none_or(|time| time <= now);
        is_idle && is_free && self.delay.is_zero() && self.failures == 0 && self.throttle.is_unmarked(options.per_host)
    }
}
