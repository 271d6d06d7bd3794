//! Tasks that wait, next to threads that wait for the same. README section 5.

use std::sync::Arc;

use loom::thread::spawn;
use threefold_wait::{Wait, Withdrawal};

use crate::model::{CountedWaker, explore, task, wait};
use crate::permits::Permits;

#[test]
fn a_task_is_woken_once_it_has_asked() {
    explore(|| {
        let permits = Arc::new(Permits::new(0));
        let giver = spawn({
            let permits = Arc::clone(&permits);
            move || permits.give(1)
        });
        let (mut ticket, wakes) = task(1);
        let is_ready = permits.take().poll(&mut ticket).is_some();
        giver.join().unwrap();
        if is_ready {
            assert_eq!(wakes.count(), 0);
        } else {
            assert_eq!(wakes.count(), 1);
            assert_eq!(permits.take().poll(&mut ticket), Some(()));
        }
        assert_eq!(permits.free(), 0);
    });
}

#[test]
fn a_task_that_changes_its_waker_is_woken_through_one_that_it_will_still_hear() {
    explore(|| {
        let permits = Arc::new(Permits::new(0));
        let (mut ticket, _old_wakes) = task(1);
        assert_eq!(permits.take().poll(&mut ticket), None);
        let giver = spawn({
            let permits = Arc::clone(&permits);
            move || permits.give(1)
        });
        let (new_wakes, waker) = CountedWaker::new();
        ticket.set_waker(&waker);
        let is_ready = permits.take().poll(&mut ticket).is_some();
        giver.join().unwrap();
        assert!(is_ready || new_wakes.count() == 1, "still waiting, and only the old waker was told");
    });
}

#[test]
fn a_thread_gets_what_a_cancelled_task_hands_on() {
    explore(|| {
        let permits = Arc::new(Permits::new(0));
        let (mut ticket, wakes) = task(1);
        assert_eq!(permits.take().poll(&mut ticket), None);
        let taker = spawn({
            let permits = Arc::clone(&permits);
            move || wait(permits.take(), 2)
        });
        let giver = spawn({
            let permits = Arc::clone(&permits);
            move || permits.give(1)
        });
        assert_eq!(permits.take().withdraw(&mut ticket, Withdrawal::HandOn), None);
        giver.join().unwrap();
        taker.join().unwrap();
        assert!(wakes.count() <= 1);
        assert_eq!(permits.free(), 0);
        assert_eq!(permits.waiter_count(), 0);
    });
}

#[test]
fn a_task_gets_what_an_interrupted_thread_hands_on() {
    explore(|| {
        let permits = Arc::new(Permits::new(0));
        let interrupted = spawn({
            let permits = Arc::clone(&permits);
            move || crate::model::wait_interrupted(permits.take(), &mut crate::model::thread(1)).is_ok()
        });
        let (mut ticket, wakes) = task(2);
        let is_ready = permits.take().poll(&mut ticket).is_some();
        assert!(!is_ready, "nothing was given yet");
        permits.give(1);
        if interrupted.join().unwrap() {
            permits.give(1);
        }
        assert_eq!(wakes.count(), 1);
        assert_eq!(permits.take().poll(&mut ticket), Some(()));
    });
}
