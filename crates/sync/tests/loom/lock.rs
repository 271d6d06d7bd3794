//! Locks exclude, and their release always reaches somebody who waits.

use std::sync::Arc;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread::spawn;
use threefold_sync::{Lock, RLock};
use threefold_wait::Owner;

use crate::model::{explore, explore_when, wait};

/// What a lock protects. An addition is lost when two owners overlap, and also when the second one does not see what
/// the first one wrote.
#[derive(Default)]
struct Counted {
    lock: Lock,
    count: AtomicUsize,
}

impl Counted {
    fn add(&self, number: u64) {
        wait(self.lock.acquire(), number);
        assert_eq!(self.lock.owner(), Owner(number));
        self.add_owned();
        self.lock.release().unwrap();
    }

    fn add_owned(&self) {
        self.count.store(self.count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    fn check(&self, expected: usize) {
        assert!(self.lock.try_acquire(Owner(9)), "the lock is left free");
        assert_eq!(self.count.load(Ordering::Relaxed), expected);
    }
}

#[test]
fn two_threads_never_own_it_at_once() {
    explore(|| {
        let counted = Arc::new(Counted::default());
        let other = spawn({
            let counted = Arc::clone(&counted);
            move || counted.add(1)
        });
        counted.add(2);
        other.join().unwrap();
        counted.check(2);
    });
}

#[test]
fn two_waiters_both_get_it_in_the_end() {
    explore(|| {
        let counted = Arc::new(Counted::default());
        assert!(counted.lock.try_acquire(Owner(3)));
        let waiters = [1, 2].map(|number| {
            let counted = Arc::clone(&counted);
            spawn(move || counted.add(number))
        });
        counted.add_owned();
        counted.lock.release().unwrap();
        for waiter in waiters {
            waiter.join().unwrap();
        }
        counted.check(3);
    });
}

#[test]
fn a_waiter_that_was_passed_over_gets_it_later() {
    explore_when(false, || {
        let counted = Arc::new(Counted::default());
        assert!(counted.lock.try_acquire(Owner(2)));
        let waiter = spawn({
            let counted = Arc::clone(&counted);
            move || counted.add(1)
        });
        counted.lock.release().unwrap();
        if counted.lock.try_acquire(Owner(2)) {
            counted.add_owned();
            counted.lock.release().unwrap();
        } else {
            wait(counted.lock.acquire(), 2);
            counted.add_owned();
            counted.lock.release().unwrap();
        }
        waiter.join().unwrap();
        counted.check(2);
    });
}

#[test]
fn only_one_of_two_that_come_by_takes_a_free_lock_with_a_nudge_under_way() {
    explore_when(false, || {
        let counted = Arc::new(Counted::default());
        assert!(counted.lock.try_acquire(Owner(3)));
        let waiter = spawn({
            let counted = Arc::clone(&counted);
            move || counted.add(1)
        });
        let passer_by = spawn({
            let counted = Arc::clone(&counted);
            move || {
                let is_mine = counted.lock.try_acquire(Owner(2));
                if is_mine {
                    counted.add_owned();
                    counted.lock.release().unwrap();
                }
                usize::from(is_mine)
            }
        });
        counted.lock.release().unwrap();
        let passed_count = passer_by.join().unwrap();
        waiter.join().unwrap();
        counted.check(1 + passed_count);
    });
}

#[test]
fn a_lock_that_is_taken_twice_is_free_after_the_second_release() {
    explore(|| {
        let lock = Arc::new(RLock::new());
        let count = Arc::new(AtomicUsize::new(0));
        assert!(lock.try_acquire(Owner(1)) && lock.try_acquire(Owner(1)));
        let waiter = spawn({
            let (lock, count) = (Arc::clone(&lock), Arc::clone(&count));
            move || {
                wait(lock.acquire(), 2);
                assert_eq!(lock.count(Owner(2)), 1);
                assert_eq!(count.load(Ordering::Relaxed), 2);
                lock.release(Owner(2)).unwrap();
            }
        });
        lock.release(Owner(1)).unwrap();
        count.store(2, Ordering::Relaxed);
        lock.release(Owner(1)).unwrap();
        waiter.join().unwrap();
        assert_eq!(lock.owner(), Owner::NOBODY);
    });
}
