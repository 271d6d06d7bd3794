//! Whoever waits when an event is set is released.

use std::sync::Arc;

use loom::thread::spawn;
use threefold_sync::Event;
use threefold_wait::Wait;

use crate::model::{explore_when, thread, wait, wait_briefly, wait_interrupted, wait_with};

#[test]
fn a_set_between_the_look_and_the_sleep_is_seen() {
    explore_when(false, || {
        let event = Arc::new(Event::new());
        let waiters = [1, 2].map(|number| {
            let event = Arc::clone(&event);
            spawn(move || wait(event.wait(), number))
        });
        event.set();
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}

#[test]
fn a_waiter_is_released_by_an_event_that_is_cleared_at_once() {
    explore_when(false, || {
        let event = Arc::new(Event::new());
        let mut ticket = thread(1);
        assert_eq!(event.wait().poll(&mut ticket), None);
        let waiter = spawn({
            let event = Arc::clone(&event);
            move || wait_with(event.wait(), &mut ticket)
        });
        event.set();
        event.clear();
        waiter.join().unwrap();
        assert!(!event.is_set());
    });
}

#[test]
fn a_timeout_or_an_interrupt_takes_nothing_from_the_others() {
    explore_when(false, || {
        let event = Arc::new(Event::new());
        let giving_up = spawn({
            let event = Arc::clone(&event);
            move || {
                if wait_briefly(event.wait(), &mut thread(1)).is_none() {
                    let _may_be_interrupted = wait_interrupted(event.wait(), &mut thread(1));
                }
            }
        });
        let lasting = spawn({
            let event = Arc::clone(&event);
            move || wait(event.wait(), 2)
        });
        event.set();
        giving_up.join().unwrap();
        lasting.join().unwrap();
        assert_eq!(wait_briefly(event.wait(), &mut thread(3)), Some(()));
    });
}
