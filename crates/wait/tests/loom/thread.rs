//! Threads that wait and are woken. README sections 2 and 3.

use std::sync::Arc;

use loom::thread::spawn;

use crate::model::{explore, explore_when, wait};
use crate::permits::Permits;

#[test]
fn a_wake_between_the_last_look_and_the_sleep_is_not_lost() {
    explore(|| {
        let permits = Arc::new(Permits::new(0));
        let taker = spawn({
            let permits = Arc::clone(&permits);
            move || wait(permits.take(), 1)
        });
        permits.give(1);
        taker.join().unwrap();
        assert_eq!(permits.free(), 0);
        assert_eq!(permits.waiter_count(), 0);
    });
}

#[test]
fn two_gifts_wake_two_takers_while_the_first_nudge_is_under_way() {
    explore(|| {
        let permits = Arc::new(Permits::new(0));
        let takers = [1, 2].map(|number| {
            let permits = Arc::clone(&permits);
            spawn(move || wait(permits.take(), number))
        });
        permits.give(1);
        permits.give(1);
        for taker in takers {
            taker.join().unwrap();
        }
        assert_eq!(permits.free(), 0);
    });
}

#[test]
fn one_gift_of_two_wakes_two_takers() {
    explore(|| {
        let permits = Arc::new(Permits::new(0));
        let takers = [1, 2].map(|number| {
            let permits = Arc::clone(&permits);
            spawn(move || wait(permits.take(), number))
        });
        permits.give(2);
        for taker in takers {
            taker.join().unwrap();
        }
        assert_eq!(permits.free(), 0);
    });
}

#[test]
fn a_taker_that_was_passed_over_is_woken_again() {
    explore_when(false, || {
        let permits = Arc::new(Permits::new(0));
        let taker = spawn({
            let permits = Arc::clone(&permits);
            move || wait(permits.take(), 1)
        });
        permits.give(1);
        if permits.try_take() {
            permits.give(1);
        }
        taker.join().unwrap();
        assert_eq!(permits.free(), 0);
    });
}

#[test]
fn whoever_has_lost_patience_is_not_passed_over() {
    explore_when(true, || {
        let permits = Arc::new(Permits::new(0));
        let mut first = crate::model::thread(1);
        assert_eq!(threefold_wait::Wait::poll(&mut permits.take(), &mut first), None);
        let taker = spawn({
            let permits = Arc::clone(&permits);
            move || crate::model::wait_with(permits.take(), &mut first)
        });
        permits.give(1);
        assert!(!permits.try_take(), "what was granted is set aside");
        taker.join().unwrap();
    });
}
