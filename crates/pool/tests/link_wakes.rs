//! While nobody dies, no wake is lost: both ends work without slices. A sleep that nobody ends fails the test.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod link_support;

use std::time::Duration;

use link_support::processes::limit::Limit;
use link_support::{Chance, JOB, REPORT, is_rung_within, link};
use threefold_pool::local::{Attention, Doorbell, Driver, Nap, ParentEnd, Woke, WorkerEnd};
use threefold_shared_memory::Instant;
use threefold_sys::futex;

const LONG: Duration = Duration::from_secs(20);
const JOBS: u64 = 20_000;
/// What tells the worker to leave.
const LEAVE: u8 = 3;

/// Sleeps for as long as it takes, and not only for a slice.
struct Patient;

impl Driver for Patient {
    type Error = std::convert::Infallible;

    fn park(&mut self, nap: &Nap<'_>) -> Result<(), Self::Error> {
        let (word, expected) = nap.word();
        let end = Instant::now().after(LONG);
        assert_ne!(futex::wait_shared(word, expected, Some(end)), Woke::TimedOut, "a wake was lost: {nap:?}");
        Ok(())
    }
}

fn work_until_told(mut worker: WorkerEnd, mut chance: Chance) {
    loop {
        let frame = worker.next(&mut Patient).unwrap();
        let Some(job) = frame.job() else { return };
        drop(frame);
        if worker.begin(job).unwrap() {
            (0..chance.below(3)).for_each(|_| std::thread::yield_now());
            worker.report(REPORT, 0, Some(job), &[]).unwrap();
        }
        worker.finish(job).unwrap();
    }
}

struct Crew<'a> {
    doorbell: &'a Doorbell,
    links: Vec<ParentEnd>,
    sent: u64,
    over: u64,
    ring_count: u64,
}

impl Crew<'_> {
    /// Sends up to `most` jobs to each worker that has room, and wakes it once.
    fn feed(&mut self, chance: &mut Chance, most: u64) {
        for parent in &mut self.links {
            for _ in 0..=chance.below(most) {
                if self.sent < JOBS && parent.has_room().unwrap() {
                    parent.send(JOB, 0, Some(self.sent), &[b"job"[..].into()]).unwrap();
                    self.sent += 1;
                    if chance.below(10) == 0 && parent.take_back(self.sent - 1) {
                        self.over += 1;
                    }
                }
            }
            parent.wake();
        }
    }

    fn collect(&mut self) -> u64 {
        let before = self.over;
        for parent in &mut self.links {
            while parent.next_report().unwrap().is_some() {
                self.over += 1;
            }
        }
        self.over - before
    }

    /// Sleeps until one of the workers rings, unless there is something already.
    fn sleep(&mut self) {
        let has_more = self.sent < JOBS;
        let attention = if has_more { Attention::Napping } else { Attention::Asleep };
        self.links.iter().for_each(|parent| parent.set_attention(attention));
        let has_room = has_more && self.links.iter_mut().any(|parent| parent.unread_count().unwrap() == 0);
        if self.collect() == 0 && self.over < JOBS && !has_room {
            assert!(is_rung_within(self.doorbell, LONG), "a ring was lost: {} of {} are over", self.over, self.sent);
            self.ring_count += 1;
        }
        self.links.iter().for_each(|parent| parent.set_attention(Attention::Awake));
    }
}

#[test]
fn a_parent_and_its_workers_wake_each_other() {
    let _limit = Limit::seconds(180);
    for (worker_count, most) in [(1, 1), (1, 40), (3, 5)] {
        let doorbell = Doorbell::create().unwrap();
        let (links, workers): (Vec<_>, Vec<_>) = (0..worker_count).map(|_| link(&doorbell)).unzip();
        let mut crew = Crew { doorbell: &doorbell, links, sent: 0, over: 0, ring_count: 0 };
        let mut chance = Chance(7);
        std::thread::scope(|scope| {
            for (number, worker) in (0_u64..).zip(workers) {
                scope.spawn(move || work_until_told(worker, Chance(number)));
            }
            while crew.over < JOBS {
                crew.feed(&mut chance, most);
                crew.collect();
                crew.sleep();
            }
            for parent in &mut crew.links {
                parent.send(LEAVE, 0, None, &[]).unwrap();
                parent.wake();
            }
        });
        assert_eq!((crew.over, crew.sent), (JOBS, JOBS));
        assert!(crew.ring_count <= JOBS);
    }
}
