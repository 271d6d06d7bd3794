//! Waiting at a queue: until there is something, until a deadline, until a driver gives up.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

#[path = "../../wait/tests/support/limit.rs"]
#[allow(unreachable_pub, reason = "the same file serves the other test programs")]
mod limit;

use std::time::Duration;

use limit::Limit;
use threefold_shared_memory::queue::{Message, Options, Outcome, Queue, Stop};
use threefold_shared_memory::{Driver, Instant, Nap, Plain};

const BYTE_CAP: u64 = 16 << 20;

/// A driver whose signal handler raises.
struct GivesUp;

#[derive(Debug, PartialEq)]
struct Raised;

impl Driver for GivesUp {
    type Error = Raised;

    fn park(&mut self, _nap: &Nap<'_>) -> Result<(), Raised> {
        Err(Raised)
    }
}

fn queue(message_cap: Option<u64>) -> Queue {
    Queue::create(&Options { message_cap, byte_cap: BYTE_CAP }).unwrap()
}

/// Lets others run until somebody sleeps there.
fn until_somebody_sleeps(sleeper_count: impl Fn() -> u64) {
    while sleeper_count() == 0 {
        std::thread::yield_now();
    }
}

fn soon() -> Instant {
    Instant::now().after(Duration::from_millis(20))
}

#[test]
fn a_get_that_is_given_up_takes_nothing() {
    let _limit = Limit::seconds(20);
    let queue = queue(None);
    assert!(matches!(queue.get(None, &mut GivesUp), Err(Stop::Driver(Raised))));
    queue.try_put(Message::new(b"kept")).unwrap();
    assert_eq!(queue.try_get().unwrap().unwrap().as_slice(0), Some(&b"kept"[..]));
}

#[test]
fn a_put_that_is_given_up_leaves_nothing_behind() {
    let _limit = Limit::seconds(20);
    let queue = queue(Some(1));
    queue.try_put(Message::new(b"first")).unwrap();
    let long = vec![7; 1 << 20];
    assert!(matches!(queue.put(Message::new(&long), None, &mut GivesUp), Err(Stop::Driver(Raised))));
    queue.tidy().unwrap();
    assert!(queue.resident_bytes().unwrap() <= 64 * 1024);
    drop(queue.try_get().unwrap());
    let all = [Message::new(b"one"), Message::new(b"two")];
    let batch = queue.put_many(&all, None, &mut GivesUp);
    assert!(matches!(batch.end, Err(Stop::Driver(Raised))));
    assert_eq!((batch.put_count, queue.len()), (1, 1));
}

#[test]
fn deadlines_end_waits_and_change_nothing() {
    let _limit = Limit::seconds(20);
    let queue = queue(Some(1));
    assert!(matches!(queue.get(Some(soon()), &mut Plain), Ok(Outcome::TimedOut)));
    assert!(queue.get_many(5, Some(soon()), &mut Plain).unwrap().is_empty());
    assert_eq!(queue.put(Message::new(b"x"), Some(soon()), &mut Plain).unwrap(), Outcome::Ready(()));
    assert_eq!(queue.put(Message::new(b"y"), Some(soon()), &mut Plain).unwrap(), Outcome::TimedOut);
    assert_eq!(queue.join(Some(soon()), &mut Plain).unwrap(), Outcome::TimedOut);
    assert_eq!((queue.len(), queue.unfinished_count()), (1, 1));
}

#[test]
fn sleepers_are_woken_by_what_they_wait_for() {
    let _limit = Limit::seconds(60);
    let queue = queue(Some(1));
    for _ in 0..20 {
        std::thread::scope(|scope| {
            let getting = scope.spawn(|| queue.get(None, &mut Plain).is_ok());
            until_somebody_sleeps(|| queue.filled_bell().sleeper_count());
            queue.try_put(Message::new(b"for the getter")).unwrap();
            assert!(getting.join().unwrap());
            queue.try_put(Message::new(b"in the way")).unwrap();
            let putting = scope.spawn(|| queue.put(Message::new(b"second"), None, &mut Plain).is_ok());
            until_somebody_sleeps(|| queue.taken_bell().sleeper_count());
            queue.try_get().unwrap();
            assert!(putting.join().unwrap());
            let joining = scope.spawn(|| queue.join(None, &mut Plain).is_ok());
            until_somebody_sleeps(|| queue.done_bell().sleeper_count());
            queue.try_get().unwrap();
            (0..3).for_each(|_| queue.task_done().unwrap());
            assert!(joining.join().unwrap());
        });
    }
    assert!(queue.task_done().is_err());
}
