//! Waking one of 10,000 waiters costs what waking one of 1,000 costs.
//!
//! The waiters are tasks, so that the queues are measured and not the kernel. A cost that grew with the number of waiters
//! would be ten times as high; a factor of five leaves room for caches that others use too.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing unwrap is a failing test")]
#![allow(dead_code, unreachable_pub, reason = "the support is shared; each test program uses its part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

use threefold_sync::queue::Order;
use threefold_sync::{Event, Lock, Queue, Semaphore};
use threefold_wait::{Owner, Ticket, Wait, Withdrawal};

#[path = "../../wait/tests/support/limit.rs"]
mod limit;
use limit::Limit;

const ATTEMPTS: usize = 7;

#[derive(Default)]
struct Counted(AtomicUsize);

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The processor time of this thread: what others take of a busy machine does not count.
fn processor_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.try_into().unwrap(), now.tv_nsec.try_into().unwrap())
}

/// Tickets of tasks that have asked and must wait.
fn queued<W: Wait>(count: usize, counted: &Arc<Counted>, wait: impl Fn() -> W) -> Vec<Ticket> {
    let tickets = (1..=count as u64).map(|number| {
        let mut ticket = Ticket::task(Owner(number), Waker::from(Arc::clone(counted)));
        assert!(wait().poll(&mut ticket).is_none());
        ticket
    });
    tickets.collect()
}

/// `wake` wakes `count` waiters and returns how long that took and how many wakes there were.
fn check(wake: impl Fn(usize) -> (Duration, usize)) {
    let _limit = Limit::seconds(120);
    let cost = |count: usize| {
        let times = (0..ATTEMPTS).map(|_| {
            let (time, wake_count) = wake(count);
            assert_eq!(wake_count, count, "one wake for each");
            time / u32::try_from(count).unwrap()
        });
        times.min().unwrap()
    };
    let (few, many) = (cost(1_000), cost(10_000));
    assert!(many < few * 5, "{few:?} each of 1,000, {many:?} each of 10,000");
}

#[test]
fn of_a_semaphore() {
    check(|count| {
        let counted = Arc::default();
        let semaphore = Semaphore::new(0, u64::MAX);
        let tickets = queued(count, &counted, || semaphore.acquire());
        let start = processor_time();
        for mut ticket in tickets {
            semaphore.release(1).unwrap();
            assert!(semaphore.acquire().poll(&mut ticket).is_some());
        }
        (processor_time().saturating_sub(start), counted.0.load(Ordering::Relaxed))
    });
}

#[test]
fn of_a_semaphore_that_releases_all_at_once() {
    check(|count| {
        let counted = Arc::default();
        let semaphore = Semaphore::new(0, u64::MAX);
        let tickets = queued(count, &counted, || semaphore.acquire());
        let start = processor_time();
        semaphore.release(count as u64).unwrap();
        for mut ticket in tickets {
            assert!(semaphore.acquire().poll(&mut ticket).is_some());
        }
        (processor_time().saturating_sub(start), counted.0.load(Ordering::Relaxed))
    });
}

#[test]
fn of_a_queue() {
    check(|count| {
        let counted = Arc::default();
        let queue = Queue::new(Order::FirstInFirstOut, 0);
        let tickets = queued(count, &counted, || queue.get());
        let start = processor_time();
        for (item, mut ticket) in tickets.into_iter().enumerate() {
            queue.try_put(item).unwrap();
            assert_eq!(queue.get().poll(&mut ticket), Some(Ok(Some(item))));
        }
        (processor_time().saturating_sub(start), counted.0.load(Ordering::Relaxed))
    });
}

#[test]
fn of_an_event() {
    check(|count| {
        let counted = Arc::default();
        let event = Event::new();
        let tickets = queued(count, &counted, || event.wait());
        let start = processor_time();
        event.set();
        for mut ticket in tickets {
            assert!(event.wait().poll(&mut ticket).is_some());
        }
        (processor_time().saturating_sub(start), counted.0.load(Ordering::Relaxed))
    });
}

#[test]
fn of_a_lock() {
    check(|count| {
        let counted = Arc::default();
        let lock = Lock::new();
        assert!(lock.try_acquire(Owner(1)));
        let tickets = queued(count, &counted, || lock.acquire());
        let start = processor_time();
        for mut ticket in tickets {
            lock.release().unwrap();
            assert!(lock.acquire().poll(&mut ticket).is_some());
        }
        (processor_time().saturating_sub(start), counted.0.load(Ordering::Relaxed))
    });
}

#[test]
fn that_give_up_newest_first() {
    check(|count| {
        let semaphore = Semaphore::new(0, u64::MAX);
        let tickets = queued(count, &Arc::default(), || semaphore.acquire());
        let start = processor_time();
        for mut ticket in tickets.into_iter().rev() {
            assert_eq!(semaphore.acquire().withdraw(&mut ticket, Withdrawal::HandOn), None);
        }
        (processor_time().saturating_sub(start), count)
    });
}
