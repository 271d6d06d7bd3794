//! What a queue takes from the system stays the same however long it is used, and goes back.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

#[path = "../../wait/tests/support/limit.rs"]
#[allow(unreachable_pub, reason = "the same file serves the other test programs")]
mod limit;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use limit::Limit;
use threefold_shared_memory::queue::{Message, Options, Queue};

/// What a queue without messages may take.
const IDLE_BYTES: usize = 64 * 1024;

/// What a queue may keep beyond that when nobody fills or reads a message: 64 MiB, and the records of the blocks.
const REST_BYTES: usize = (64 << 20) + 128 * 1024;

/// One test at a time: descriptors are counted for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

fn descriptor_count() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn memory_and_descriptors_stay_the_same_over_many_rounds() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let _limit = Limit::seconds(240);
    let queue = Queue::create(&Options { message_cap: None, byte_cap: 64 << 20 }).unwrap();
    assert!(queue.resident_bytes().unwrap() <= IDLE_BYTES);
    let before = descriptor_count();
    for _ in 0..1000 {
        let again = Queue::attach(queue.descriptor().try_clone_to_owned().unwrap()).unwrap();
        let other = Queue::create(&Options { message_cap: Some(9), byte_cap: 1 << 40 }).unwrap();
        for number in 0..20 {
            again.try_put(Message::new(&vec![7; number * number * 150])).unwrap();
        }
        other.try_put(Message::new(b"left behind")).unwrap();
        while queue.try_get().unwrap().is_some() {}
    }
    assert_eq!(descriptor_count(), before);
    queue.tidy().unwrap();
    assert!(queue.resident_bytes().unwrap() <= IDLE_BYTES);
}

#[test]
fn ten_thousand_short_messages_take_less_than_four_mebibytes_and_give_them_back() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let _limit = Limit::seconds(60);
    let queue = Queue::create(&Options::default()).unwrap();
    for number in 0..10_000_u64 {
        queue.try_put(Message::new(&number.to_ne_bytes())).unwrap();
    }
    assert!(queue.resident_bytes().unwrap() <= 4 << 20);
    for number in 0..10_000_u64 {
        assert_eq!(queue.try_get().unwrap().unwrap().as_slice(0), Some(&number.to_ne_bytes()[..]));
    }
    // Without being asked to tidy.
    assert!(queue.resident_bytes().unwrap() <= IDLE_BYTES);
}

/// Bursts in quick succession, and after each the queue is left alone.
fn bursts(count: usize, len_bytes: usize, most_bytes: usize) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let _limit = Limit::seconds(60);
    let queue = Queue::create(&Options { message_cap: None, byte_cap: 1 << 30 }).unwrap();
    for round in 0..5 {
        for _ in 0..count {
            queue.try_put(Message::new(&vec![7; len_bytes])).unwrap();
        }
        while queue.try_get().unwrap().is_some() {}
        let resident_bytes = queue.resident_bytes().unwrap();
        assert!(resident_bytes <= most_bytes, "{resident_bytes} bytes stay after round {round}");
    }
}

#[test]
fn of_a_burst_of_large_messages_little_stays_with_nobody_there_to_tidy() {
    bursts(20, 8_000_000, IDLE_BYTES + REST_BYTES);
}

#[test]
fn of_one_message_that_is_larger_than_what_may_stay_nothing_stays() {
    bursts(1, 100_000_000, IDLE_BYTES);
}

#[test]
fn of_a_burst_of_short_messages_little_stays_with_nobody_there_to_tidy() {
    bursts(8000, 16_000, IDLE_BYTES + REST_BYTES);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "that time passes is what this is about")]
fn a_large_message_that_comes_now_and_then_leaves_nothing_in_between() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let _limit = Limit::seconds(60);
    let queue = Queue::create(&Options::default()).unwrap();
    for _ in 0..2 {
        queue.try_put(Message::new(&vec![7; 8_000_000])).unwrap();
        drop(queue.try_get().unwrap());
        assert!(queue.resident_bytes().unwrap() <= IDLE_BYTES);
        // What is meant by now and then.
        std::thread::sleep(Duration::from_millis(600));
    }
}

#[test]
fn what_a_message_took_that_is_looked_at_goes_back_when_that_ends() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let _limit = Limit::seconds(60);
    let queue = Queue::create(&Options { message_cap: None, byte_cap: 1 << 30 }).unwrap();
    for _ in 0..10 {
        queue.try_put(Message::new(&vec![7; 8_000_000])).unwrap();
    }
    let held: Vec<_> = std::iter::from_fn(|| queue.try_get().unwrap()).collect();
    assert!(queue.resident_bytes().unwrap() > 75_000_000);
    drop(held);
    assert!(queue.resident_bytes().unwrap() <= IDLE_BYTES + REST_BYTES);
}

#[test]
fn a_big_backlog_goes_back_when_it_was_drained() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let _limit = Limit::seconds(60);
    let queue = Queue::create(&Options::default()).unwrap();
    for _ in 0..2 {
        for number in 0..200 {
            queue.try_put(Message::new(&vec![7; number * 5000])).unwrap();
        }
        assert!(queue.resident_bytes().unwrap() > 90 << 20);
        while queue.try_get().unwrap().is_some() {}
        queue.tidy().unwrap();
        assert!(queue.resident_bytes().unwrap() <= IDLE_BYTES);
    }
}
