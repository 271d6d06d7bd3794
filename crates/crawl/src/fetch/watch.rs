//! Ends what takes too long: the whole of it, a pause between bytes, or bytes that trickle. One timer for all three.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// What ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expired {
    /// The time for all of it.
    Total(Duration),
    /// The time without a byte.
    Read(Duration),
    /// Fewer bytes than these came within the time.
    Speed(u64, Duration),
}

/// The times that a request may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) started: Instant,
    pub(super) total: Option<Duration>,
    pub(super) read: Option<Duration>,
    /// Bytes that must come within the window after the first one came; 0 for any.
    pub(super) window_bytes: u64,
    pub(super) window: Duration,
}

/// Watches one wait for bytes.
#[derive(Debug)]
pub(super) struct Watch {
    pace: Pace,
    timer: Option<Pin<Box<Sleep>>>,
    /// When bytes went over the connection last, and how many had in all: who sends a long body is not kept waiting.
    last: (Instant, u64),
    /// Since when the window runs, how many had come then, and whether the answer had begun.
    opened: (Instant, u64, bool),
}

impl Watch {
    /// Watches from now on.
    pub(super) fn new(pace: Pace, now: Instant, bytes: u64, moved: u64) -> Self {
        Self { pace, timer: None, last: (now, moved), opened: (now, bytes, false) }
    }

    /// Starts counting afresh, in the middle of an answer: the time that passed was not spent on waiting for bytes.
    pub(super) fn restart(&mut self, bytes: u64, moved: u64) {
        if self.pace.read.is_some() || self.pace.window_bytes > 0 {
            let now = Instant::now();
            self.last = (now, moved);
            self.opened = (now, bytes, true);
        }
    }

    /// Leaves out a time in which nothing was read because memory was wanting.
    pub(super) fn leave_out(&mut self, time: Duration, bytes: u64, moved: u64) {
        self.pace.started += time;
        self.timer = None;
        self.restart(bytes, moved);
    }

    /// Looks at the clock if it is time to; `bytes` have come and `moved` have gone either way in all, `has_begun` once the first byte of the answer is there.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, bytes: u64, moved: u64, has_begun: bool) -> Poll<Expired> {
        if self.pace.read.is_some() && moved != self.last.1 {
            self.last = (Instant::now(), moved);
        }
        loop {
            if self.timer.is_none() {
                let Some(next) = self.next() else { return Poll::Pending };
                self.timer = Some(Box::pin(sleep_until(next)));
            }
            let Some(timer) = self.timer.as_mut() else { return Poll::Pending };
            if timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            if let Some(expired) = self.judge(Instant::now(), bytes, has_begun) {
                return Poll::Ready(expired);
            }
            match (self.next(), self.timer.as_mut()) {
                (Some(next), Some(timer)) => timer.as_mut().reset(next),
                _ => return Poll::Pending,
            }
        }
    }

    /// When there is something to judge.
    fn next(&self) -> Option<Instant> {
        let total = self.pace.total.and_then(|total| self.pace.started.checked_add(total));
        let read = self.pace.read.and_then(|read| self.last.0.checked_add(read));
        let speed = (self.pace.window_bytes > 0).then(|| self.opened.0.checked_add(self.pace.window)).flatten();
        [total, read, speed].into_iter().flatten().min()
    }

    fn judge(&mut self, now: Instant, bytes: u64, has_answer: bool) -> Option<Expired> {
        let pace = self.pace;
        if let Some(total) = pace.total.filter(|total| now.duration_since(pace.started) >= *total) {
            return Some(Expired::Total(total));
        }
        if let Some(read) = pace.read.filter(|read| now.duration_since(self.last.0) >= *read) {
            return Some(Expired::Read(read));
        }
        if pace.window_bytes > 0 && now.duration_since(self.opened.0) >= pace.window {
            let (_, before, had_begun) = self.opened;
            // A window in which the answer began says nothing yet: the next one is full of it.
            if had_begun && bytes - before < pace.window_bytes {
                return Some(Expired::Speed(bytes - before, pace.window));
            }
            self.opened = (now, bytes, has_answer);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn watch(now: Instant) -> Watch {
        let pace = Pace {
            started: now,
            total: Some(60 * SECOND),
            read: Some(20 * SECOND),
            window_bytes: 1000,
            window: 10 * SECOND,
        };
        Watch::new(pace, now, 0, 0)
    }

    #[test]
    fn a_time_that_is_left_out_is_not_the_servers() {
        let now = Instant::now();
        let mut watch = watch(now);
        watch.leave_out(30 * SECOND, 5000, 5000);
        assert_eq!(watch.pace.started, now + 30 * SECOND);
        assert_eq!(watch.judge(now, 5000, true), None);
    }

    #[tokio::test]
    async fn a_server_that_thinks_is_not_slow() {
        let now = Instant::now();
        let mut watch = watch(now);
        assert_eq!(watch.judge(now + 10 * SECOND, 0, false), None);
        assert_eq!(watch.judge(now + 19 * SECOND, 0, false), None);
        assert_eq!(watch.judge(now + 20 * SECOND, 0, false), Some(Expired::Read(20 * SECOND)));
    }

    #[tokio::test]
    async fn an_answer_that_trickles_is_too_slow() {
        let now = Instant::now();
        let mut watch = watch(now);
        watch.pace.read = None;
        assert_eq!(watch.judge(now + 10 * SECOND, 1, true), None);
        assert_eq!(watch.judge(now + 20 * SECOND, 101, true), Some(Expired::Speed(100, 10 * SECOND)));
    }

    #[tokio::test]
    async fn an_answer_that_comes_fast_enough_is_ended_by_the_whole_time() {
        let now = Instant::now();
        let mut watch = watch(now);
        for window in 1..6 {
            watch.last = (now + window * 10 * SECOND, 0);
            assert_eq!(watch.judge(now + window * 10 * SECOND, u64::from(window) * 1000, true), None);
        }
        assert_eq!(watch.judge(now + 60 * SECOND, 60_000, true), Some(Expired::Total(60 * SECOND)));
    }

    #[tokio::test]
    async fn a_long_body_on_its_way_to_the_server_is_no_silence() {
        let now = Instant::now();
        let mut watch = watch(now);
        let mut context = Context::from_waker(std::task::Waker::noop());
        watch.last.0 = now.checked_sub(19 * SECOND).unwrap_or(now);
        assert!(watch.poll(&mut context, 0, 1000, false).is_pending());
        assert!(watch.last.0 >= now, "the pause began again with the bytes that went");
    }
}
