//! What the attention is between: two rings that are only counted here, and a doorbell.

use std::sync::{Arc, PoisonError};

use loom::sync::{Condvar, Mutex, MutexGuard};
use loom::thread::{JoinHandle, spawn};

use crate::atomic::{AtomicU64, Ordering};
use crate::attention::{self, Attention};

/// Stands in for the pipe: what was written stays until somebody drains it, and the kernel orders who writes and who reads.
#[derive(Debug, Default)]
pub(crate) struct Doorbell {
    byte_count: Mutex<u64>,
    written: Condvar,
}

impl Doorbell {
    fn count(&self) -> MutexGuard<'_, u64> {
        self.byte_count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        *self.count() += 1;
        self.written.notify_one();
    }

    /// How many bytes nobody has drained.
    pub(crate) fn owed_count(&self) -> u64 {
        *self.count()
    }

    /// Sleeps until there is something, and takes all of it.
    fn sleep(&self) {
        let mut count = self.count();
        while *count == 0 {
            count = self.written.wait(count).unwrap_or_else(PoisonError::into_inner);
        }
        *count = 0;
    }
}

/// A link, seen from both sides. What counts frames is committed as the rings commit it.
#[derive(Debug)]
pub(crate) struct Link {
    attention: AtomicU64,
    doorbell: Arc<Doorbell>,
    /// How many jobs there are to read.
    job_count: u64,
    report_tail: AtomicU64,
    finished_count: AtomicU64,
}

impl Link {
    /// A link to a worker that has jobs to read, and rings this doorbell.
    pub(crate) fn new(doorbell: &Arc<Doorbell>, job_count: u64) -> Arc<Self> {
        Arc::new(Self {
            attention: AtomicU64::new(Attention::Awake as u64),
            doorbell: Arc::clone(doorbell),
            job_count,
            report_tail: AtomicU64::new(0),
            finished_count: AtomicU64::new(0),
        })
    }

    /// The worker of this link.
    pub(crate) fn worker(self: &Arc<Self>, work: impl FnOnce(&Self) + 'static) -> JoinHandle<()> {
        let link = Arc::clone(self);
        spawn(move || work(&link))
    }

    /// The worker takes the frame of this number.
    pub(crate) fn take(&self, number: u64) {
        attention::after_frame(&self.attention, || self.job_count > number, || self.doorbell.ring());
    }

    /// The worker reports for the job of this number, and is through with it.
    pub(crate) fn report(&self, number: u64) {
        self.report_tail.store(number, Ordering::Release);
        attention::after_report(&self.attention, || self.job_count > number, || self.doorbell.ring());
        self.skip(number);
    }

    /// The worker is through with the job of this number.
    pub(crate) fn skip(&self, number: u64) {
        self.finished_count.store(number, Ordering::Release);
    }

    /// The worker has nothing to do.
    pub(crate) fn rest(&self, has_skipped: bool) {
        attention::before_sleep(&self.attention, has_skipped, || self.doorbell.ring());
    }

    /// The parent says what it does.
    pub(crate) fn set_attention(&self, attention: Attention) {
        attention::set(&self.attention, attention);
    }

    /// Whether the parent can read the report for the job of this number.
    pub(crate) fn has_report(&self, number: u64) -> bool {
        self.report_tail.load(Ordering::Acquire) >= number
    }

    /// Whether the parent sees that the worker is through with the job of this number.
    pub(crate) fn is_finished(&self, number: u64) -> bool {
        self.finished_count.load(Ordering::Acquire) >= number
    }
}

/// The parent waits for what its look finds: it says what it does, looks once more, and sleeps. No slice ends that sleep: what
/// it is not rung for is a deadlock.
pub(crate) fn wait_until(links: &[&Arc<Link>], rest: Attention, look: impl Fn() -> bool) {
    while !look() {
        links.iter().for_each(|link| link.set_attention(rest));
        if look() {
            break;
        }
        links[0].doorbell.sleep();
    }
    links.iter().for_each(|link| link.set_attention(Attention::Awake));
}
