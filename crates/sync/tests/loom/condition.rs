//! A notification reaches exactly one waiter, and is not lost with one that gives up.

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread::spawn;
use threefold_sync::{Condition, Lock};
use threefold_wait::{Owner, Ticket, Wait};

use crate::model::{explore, explore_when, thread, wait, wait_briefly, wait_interrupted, wait_with};

/// A ticket that stands in the condition's queue.
fn queued(condition: &Condition, number: u64) -> Ticket {
    let mut ticket = thread(number);
    assert_eq!(condition.wait().poll(&mut ticket), None);
    ticket
}

#[test]
fn a_change_under_the_lock_is_not_missed() {
    explore(|| {
        let parts = Arc::new((Lock::new(), Condition::new(), AtomicBool::new(false)));
        let waiter = spawn({
            let parts = Arc::clone(&parts);
            move || {
                let (lock, condition, is_done) = &*parts;
                wait(lock.acquire(), 1);
                while !is_done.load(Ordering::Relaxed) {
                    let mut ticket = queued(condition, 1);
                    lock.release().unwrap();
                    wait_with(condition.wait(), &mut ticket);
                    wait(lock.acquire(), 1);
                }
                lock.release().unwrap();
            }
        });
        let (lock, condition, is_done) = &*parts;
        wait(lock.acquire(), 2);
        is_done.store(true, Ordering::Relaxed);
        condition.notify(1);
        lock.release().unwrap();
        waiter.join().unwrap();
        assert!(lock.try_acquire(Owner(3)));
    });
}

#[test]
fn a_notification_goes_to_the_next_when_the_first_has_timed_out() {
    explore_when(false, || {
        let condition = Arc::new(Condition::new());
        let (mut first, mut second) = (queued(&condition, 1), queued(&condition, 2));
        let brief = spawn({
            let condition = Arc::clone(&condition);
            move || wait_briefly(condition.wait(), &mut first).is_some()
        });
        let lasting = spawn({
            let condition = Arc::clone(&condition);
            move || wait_with(condition.wait(), &mut second)
        });
        condition.notify(1);
        if brief.join().unwrap() {
            assert_eq!(condition.waiter_count(), 1);
            condition.notify(1);
        }
        lasting.join().unwrap();
        assert_eq!(condition.waiter_count(), 0);
    });
}

#[test]
fn a_notification_goes_to_the_next_when_the_first_is_interrupted() {
    explore_when(false, || {
        let condition = Arc::new(Condition::new());
        let (mut first, mut second) = (queued(&condition, 1), queued(&condition, 2));
        let interrupted = spawn({
            let condition = Arc::clone(&condition);
            move || wait_interrupted(condition.wait(), &mut first).is_ok()
        });
        let lasting = spawn({
            let condition = Arc::clone(&condition);
            move || wait_with(condition.wait(), &mut second)
        });
        condition.notify(1);
        if interrupted.join().unwrap() {
            condition.notify(1);
        }
        lasting.join().unwrap();
    });
}

#[test]
fn one_notification_never_reaches_two() {
    explore_when(false, || {
        let condition = Arc::new(Condition::new());
        let (mut first, mut second) = (queued(&condition, 1), queued(&condition, 2));
        let interrupted = spawn({
            let condition = Arc::clone(&condition);
            move || usize::from(wait_interrupted(condition.wait(), &mut first).is_ok())
        });
        let brief = spawn({
            let condition = Arc::clone(&condition);
            move || usize::from(wait_briefly(condition.wait(), &mut second).is_some())
        });
        condition.notify(1);
        assert!(interrupted.join().unwrap() + brief.join().unwrap() <= 1);
    });
}
