//! Permits are neither lost nor doubled, and reach whoever waits.

use std::sync::Arc;

use loom::thread::spawn;
use threefold_sync::Semaphore;

use crate::model::{explore, explore_when, thread, wait, wait_briefly, wait_interrupted};

fn taken_out() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(0, u64::MAX))
}

#[test]
fn two_releases_reach_two_waiters() {
    explore(|| {
        let semaphore = taken_out();
        let waiters = [1, 2].map(|number| {
            let semaphore = Arc::clone(&semaphore);
            spawn(move || wait(semaphore.acquire(), number))
        });
        semaphore.release(1).unwrap();
        semaphore.release(1).unwrap();
        for waiter in waiters {
            waiter.join().unwrap();
        }
        assert_eq!(semaphore.permits(), 0);
    });
}

#[test]
fn one_release_of_two_reaches_two_waiters() {
    explore(|| {
        let semaphore = taken_out();
        let waiters = [1, 2].map(|number| {
            let semaphore = Arc::clone(&semaphore);
            spawn(move || wait(semaphore.acquire(), number))
        });
        semaphore.release(2).unwrap();
        for waiter in waiters {
            waiter.join().unwrap();
        }
        assert_eq!(semaphore.permits(), 0);
    });
}

#[test]
fn the_second_waiter_gets_what_the_interrupted_one_hands_on() {
    explore(|| {
        let semaphore = taken_out();
        let interrupted = spawn({
            let semaphore = Arc::clone(&semaphore);
            move || wait_interrupted(semaphore.acquire(), &mut thread(1)).is_ok()
        });
        let lasting = spawn({
            let semaphore = Arc::clone(&semaphore);
            move || wait(semaphore.acquire(), 2)
        });
        semaphore.release(1).unwrap();
        if interrupted.join().unwrap() {
            semaphore.release(1).unwrap();
        }
        lasting.join().unwrap();
        assert_eq!(semaphore.permits(), 0);
    });
}

#[test]
fn permits_are_conserved_when_a_timeout_races_with_a_release() {
    explore(|| {
        let semaphore = taken_out();
        let waiter = spawn({
            let semaphore = Arc::clone(&semaphore);
            move || u64::from(wait_briefly(semaphore.acquire(), &mut thread(1)).is_some())
        });
        semaphore.release(1).unwrap();
        assert_eq!(waiter.join().unwrap() + semaphore.permits(), 1);
    });
}

#[test]
fn a_waiter_that_was_passed_over_gets_the_next_permit() {
    explore_when(false, || {
        let semaphore = taken_out();
        let waiter = spawn({
            let semaphore = Arc::clone(&semaphore);
            move || wait(semaphore.acquire(), 1)
        });
        semaphore.release(1).unwrap();
        if semaphore.try_acquire() {
            semaphore.release(1).unwrap();
        }
        waiter.join().unwrap();
        assert_eq!(semaphore.permits(), 0);
    });
}
