//! Timeouts and interrupts that race with a grant or a nudge. README section 4.

use std::sync::Arc;

use loom::thread::spawn;

use crate::model::{explore, thread, wait, wait_briefly, wait_interrupted, wait_interrupted_awake};
use crate::permits::Permits;

#[test]
fn a_permit_is_taken_or_still_there_when_a_timeout_races_with_it() {
    explore(|| {
        let permits = Arc::new(Permits::new(0));
        let taker = spawn({
            let permits = Arc::clone(&permits);
            move || wait_briefly(permits.take(), &mut thread(1))
        });
        permits.give(1);
        let taken_count = usize::from(taker.join().unwrap().is_some());
        assert_eq!(permits.free() + taken_count, 1);
        assert_eq!(permits.waiter_count(), 0);
    });
}

#[test]
fn the_second_taker_gets_what_the_timed_out_one_leaves() {
    explore(|| {
        let permits = Arc::new(Permits::new(0));
        let brief = spawn({
            let permits = Arc::clone(&permits);
            move || wait_briefly(permits.take(), &mut thread(1))
        });
        let lasting = spawn({
            let permits = Arc::clone(&permits);
            move || wait(permits.take(), 2)
        });
        permits.give(1);
        if brief.join().unwrap().is_some() {
            permits.give(1);
        }
        lasting.join().unwrap();
        assert_eq!(permits.free(), 0);
    });
}

#[test]
fn the_second_taker_gets_what_the_interrupted_one_hands_on() {
    explore(|| {
        let permits = Arc::new(Permits::new(0));
        let interrupted = spawn({
            let permits = Arc::clone(&permits);
            move || wait_interrupted(permits.take(), &mut thread(1))
        });
        let lasting = spawn({
            let permits = Arc::clone(&permits);
            move || wait(permits.take(), 2)
        });
        permits.give(1);
        if interrupted.join().unwrap().is_ok() {
            permits.give(1);
        }
        lasting.join().unwrap();
        assert_eq!(permits.free(), 0);
    });
}

#[test]
fn an_interrupt_before_the_sleep_hands_on_as_well() {
    explore(|| {
        let permits = Arc::new(Permits::new(0));
        let interrupted = spawn({
            let permits = Arc::clone(&permits);
            move || wait_interrupted_awake(permits.take(), &mut thread(1))
        });
        let lasting = spawn({
            let permits = Arc::clone(&permits);
            move || wait(permits.take(), 2)
        });
        permits.give(1);
        if interrupted.join().unwrap().is_ok() {
            permits.give(1);
        }
        lasting.join().unwrap();
        assert_eq!(permits.free(), 0);
    });
}
