//! Models of the inbox, run in every interleaving: `make loom`.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]
#![allow(clippy::disallowed_methods, reason = "loom's condition variable stands for the kernel")]

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use threefold_event_loop::Inbox;

/// The kernel's part: a bell that rings until it is heard.
#[derive(Default)]
struct Bell {
    rings: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rings.lock().unwrap() = true;
        self.changed.notify_one();
    }

    fn hear(&self) {
        let mut rings = self.rings.lock().unwrap();
        while !*rings {
            rings = self.changed.wait(rings).unwrap();
        }
        *rings = false;
    }
}

/// A loop's way to sleep and to take what is there, until it has `wanted` things.
fn take(inbox: &Inbox<u32>, bell: &Bell, wanted: usize) -> Vec<u32> {
    let mut taken = Vec::new();
    while taken.len() < wanted {
        if inbox.may_sleep() {
            bell.hear();
            inbox.wake();
        }
        taken.extend(std::iter::from_fn(|| inbox.take()));
    }
    taken
}

#[test]
fn a_thing_that_another_thread_brings_wakes_the_loop() {
    loom::model(|| {
        let shared = Arc::new((Inbox::default(), Bell::default()));
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            if other.0.put(1) {
                other.1.ring();
            }
        });
        assert_eq!(take(&shared.0, &shared.1, 1), [1]);
        thread.join().unwrap();
    });
}

#[test]
fn things_of_two_threads_arrive_though_only_one_of_them_rings() {
    loom::model(|| {
        let shared = Arc::new((Inbox::default(), Bell::default()));
        let threads = [1, 2].map(|thing| {
            let other = Arc::clone(&shared);
            thread::spawn(move || {
                if other.0.put(thing) {
                    other.1.ring();
                }
            })
        });
        let mut taken = take(&shared.0, &shared.1, 2);
        taken.sort_unstable();
        assert_eq!(taken, [1, 2]);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn nobody_rings_for_a_loop_that_is_awake() {
    loom::model(|| {
        let inbox = Inbox::default();
        assert!(!inbox.put(1));
        assert!(!inbox.may_sleep());
        assert_eq!(inbox.take(), Some(1));
        assert!(inbox.may_sleep());
        inbox.wake();
        assert!(!inbox.put(2));
    });
}
