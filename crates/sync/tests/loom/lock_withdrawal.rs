//! A lock whose waiter gives up just when it is released: it is free or held by exactly one, and the next one gets it.

use std::sync::Arc;

use loom::thread::{JoinHandle, spawn};
use threefold_sync::Lock;
use threefold_wait::{Owner, Ticket};

use crate::model::{explore, thread, wait, wait_briefly, wait_interrupted, wait_interrupted_awake};

fn lasting(lock: &Arc<Lock>, number: u64) -> JoinHandle<()> {
    let lock = Arc::clone(lock);
    spawn(move || {
        wait(lock.acquire(), number);
        lock.release().unwrap();
    })
}

/// `wait` says whether it got the lock.
fn giving_up(lock: &Arc<Lock>, number: u64, wait: fn(&Lock, &mut Ticket) -> bool) -> JoinHandle<()> {
    let lock = Arc::clone(lock);
    spawn(move || {
        if wait(&lock, &mut thread(number)) {
            assert_eq!(lock.owner(), Owner(number));
            lock.release().unwrap();
        } else {
            assert_ne!(lock.owner(), Owner(number));
        }
    })
}

fn held() -> Arc<Lock> {
    let lock = Arc::new(Lock::new());
    assert!(lock.try_acquire(Owner(9)));
    lock
}

fn alone(wait: fn(&Lock, &mut Ticket) -> bool) {
    explore(move || {
        let lock = held();
        let waiter = giving_up(&lock, 1, wait);
        lock.release().unwrap();
        waiter.join().unwrap();
        assert!(lock.try_acquire(Owner(3)), "nobody holds it");
        lock.release().unwrap();
    });
}

fn before_another(wait: fn(&Lock, &mut Ticket) -> bool) {
    explore(move || {
        let lock = held();
        let waiters = [giving_up(&lock, 1, wait), lasting(&lock, 2)];
        lock.release().unwrap();
        for waiter in waiters {
            waiter.join().unwrap();
        }
        assert!(lock.try_acquire(Owner(3)), "nobody holds it");
    });
}

#[test]
fn a_timeout_races_with_the_release() {
    alone(|lock, ticket| wait_briefly(lock.acquire(), ticket).is_some());
}

#[test]
fn an_interrupt_races_with_the_release() {
    alone(|lock, ticket| wait_interrupted(lock.acquire(), ticket).is_ok());
}

#[test]
fn an_interrupt_before_the_sleep_races_with_the_release() {
    alone(|lock, ticket| wait_interrupted_awake(lock.acquire(), ticket).is_ok());
}

#[test]
fn the_next_one_gets_it_after_a_timeout() {
    before_another(|lock, ticket| wait_briefly(lock.acquire(), ticket).is_some());
}

#[test]
fn the_next_one_gets_it_after_an_interrupt() {
    before_another(|lock, ticket| wait_interrupted(lock.acquire(), ticket).is_ok());
}
