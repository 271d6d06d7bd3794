//! A lock excludes, whoever gives up waiting for it.

use std::sync::atomic::{AtomicU64, Ordering};

use threefold_sync::{Lock, RLock};
use threefold_wait::Owner;

use crate::crowd::{limit_s, rounds, together, wait_steadily, wait_unsteadily};
use crate::limit::Limit;

/// Not one step: additions of two owners at once would be lost.
fn add(count: &AtomicU64) {
    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

#[test]
fn no_addition_under_a_lock_is_lost() {
    let _limit = Limit::seconds(limit_s());
    let (lock, count) = (Lock::new(), AtomicU64::new(0));
    let added = together(8, |_, random| {
        let mut added = 0;
        for _ in 0..rounds(2000) {
            if random.below(8) == 0 {
                wait_steadily(lock.acquire());
            } else if wait_unsteadily(lock.acquire(), random).is_err() {
                assert_ne!(lock.owner(), Owner::thread());
                continue;
            }
            assert_eq!(lock.owner(), Owner::thread());
            add(&count);
            added += 1;
            lock.release().unwrap();
        }
        added
    });
    assert_eq!(count.load(Ordering::Relaxed), added.iter().sum::<u64>());
    assert!(lock.try_acquire(Owner::thread()), "it is free in the end");
}

#[test]
fn no_addition_under_a_re_entrant_lock_is_lost() {
    let _limit = Limit::seconds(limit_s());
    let (lock, count) = (RLock::new(), AtomicU64::new(0));
    let added = together(8, |_, random| {
        let mut added = 0;
        for _ in 0..rounds(2000) {
            let owner = Owner::thread();
            if wait_unsteadily(lock.acquire(), random).is_err() {
                assert_eq!(lock.count(owner), 0);
                continue;
            }
            assert!(lock.try_acquire(owner));
            assert_eq!(lock.count(owner), 2);
            add(&count);
            added += 1;
            lock.release(owner).unwrap();
            lock.release(owner).unwrap();
        }
        added
    });
    assert_eq!(count.load(Ordering::Relaxed), added.iter().sum::<u64>());
    assert_eq!(lock.owner(), Owner::NOBODY);
}
