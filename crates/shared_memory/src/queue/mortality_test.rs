//! Lets a process die after every single store of every operation, and looks at what the others find.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::cell::mortality::die_after;
use super::invariants::{check, kill_holders};
use super::layout::GRANULE_BYTES;
use super::{Message, Options, Queue};
use crate::limit::Limit;

/// A body of its own for each number: short ones, and every fourth in a block.
fn body(number: usize) -> Vec<u8> {
    let bytes = if number % 4 == 3 { 40_000 } else { 3 + number * 7 % 90 };
    vec![u8::try_from(number % 251).unwrap(); bytes]
}

fn contents(queue: &Queue) -> VecDeque<Vec<u8>> {
    let mut all = VecDeque::new();
    while let Some(mut received) = queue.try_get().unwrap() {
        all.push_back(received.take_part(0).unwrap());
    }
    all
}

fn fill(queue: &Queue, bodies: &[Vec<u8>]) {
    for body in bodies {
        queue.try_put(Message::new(body)).unwrap();
    }
}

/// Kills `operation` after 0, 1, 2... of its stores, each time on a queue made by `prepare`: the queue is then as
/// before it, or as after it.
fn at_every_store(prepare: impl Fn(&Queue), operation: impl Fn(&Queue)) -> u64 {
    let _limit = Limit::seconds(60);
    let after = {
        let queue = Queue::create(&Options { message_cap: None, byte_cap: 8 << 20 }).unwrap();
        prepare(&queue);
        operation(&queue);
        contents(&queue)
    };
    let before = {
        let queue = Queue::create(&Options { message_cap: None, byte_cap: 8 << 20 }).unwrap();
        prepare(&queue);
        contents(&queue)
    };
    for stores in 0.. {
        let queue = Queue::create(&Options { message_cap: None, byte_cap: 8 << 20 }).unwrap();
        prepare(&queue);
        die_after(Some(stores));
        let has_died = catch_unwind(AssertUnwindSafe(|| operation(&queue))).is_err();
        die_after(None);
        check(&queue.shared);
        kill_holders(&queue.shared);
        queue.tidy().unwrap();
        check(&queue.shared);
        let left = contents(&queue);
        assert!(left == before || left == after, "after {stores} stores: neither before nor after");
        queue.tidy().unwrap();
        check(&queue.shared);
        let used = queue.shared.peek(super::layout::USED_BYTES);
        assert_eq!(used, GRANULE_BYTES, "after {stores} stores: memory is lost");
        if !has_died {
            assert!(left == after);
            return stores;
        }
    }
    0
}

fn small(queue: &Queue) {
    fill(queue, &[body(0), body(1)]);
}

/// The tail is a few words before the end of its segment.
fn nearly_full_segment(queue: &Queue) {
    fill(queue, &[vec![1; 16_000], vec![2; 16_000], vec![3; 600]]);
}

#[test]
fn a_put_of_a_short_message_happens_or_does_not() {
    let stores = at_every_store(small, |queue| fill(queue, &[body(2)]));
    assert!(stores > 8, "{stores}");
}

#[test]
fn a_put_that_begins_a_segment_happens_or_does_not() {
    at_every_store(nearly_full_segment, |queue| fill(queue, &[vec![4; 300]]));
}

#[test]
fn a_put_of_a_long_message_happens_or_does_not() {
    at_every_store(small, |queue| fill(queue, &[body(3)]));
    // Its frame begins a segment.
    let prepare = |queue: &Queue| fill(queue, &[vec![1; 16_000], vec![2; 16_000], vec![3; 720]]);
    at_every_store(prepare, |queue| fill(queue, &[body(3)]));
}

#[test]
fn a_get_of_a_short_message_happens_or_does_not() {
    at_every_store(small, |queue| drop(queue.try_get().unwrap()));
}

#[test]
fn a_get_that_empties_the_queue_happens_or_does_not() {
    at_every_store(|queue| fill(queue, &[vec![7; 6000]]), |queue| drop(queue.try_get().unwrap()));
}

#[test]
fn a_get_that_leaves_a_segment_happens_or_does_not() {
    let prepare = |queue: &Queue| {
        nearly_full_segment(queue);
        fill(queue, &[vec![4; 300], vec![5; 5]]);
        for _ in 0..3 {
            queue.try_get().unwrap();
        }
    };
    at_every_store(prepare, |queue| drop(queue.try_get().unwrap()));
}

#[test]
fn a_get_of_a_long_message_happens_or_does_not() {
    at_every_store(|queue| fill(queue, &[body(3), body(0)]), |queue| drop(queue.try_get().unwrap()));
    // And one that empties the queue, so that memory is given back.
    at_every_store(|queue| fill(queue, &[body(3)]), |queue| drop(queue.try_get().unwrap()));
}

#[test]
fn tidying_and_splitting_and_joining_of_blocks_happens_or_does_not() {
    let prepare = |queue: &Queue| {
        fill(queue, &[vec![1; 200_000], vec![2; 70_000], vec![3; 40_000], vec![4; 300_000], body(0)]);
        for _ in 0..2 {
            queue.try_get().unwrap();
        }
    };
    at_every_store(prepare, |queue| queue.tidy().unwrap());
    at_every_store(prepare, |queue| {
        queue.tidy().unwrap();
        fill(queue, &[vec![6; 33_000]]);
    });
}

#[test]
fn a_return_to_the_first_block_happens_or_does_not() {
    let prepare = |queue: &Queue| {
        fill(queue, &vec![vec![1; 16_000]; 290]);
        while let Some(received) = queue.try_get().unwrap() {
            drop(received);
        }
    };
    at_every_store(prepare, |queue| {
        queue.tidy().unwrap();
        assert_eq!(queue.shared.peek(super::layout::TOP), 1);
        fill(queue, &[body(0)]);
    });
}
