//! A queue loses no item and gives none twice, while its users give up, come back, and shut it down.

use std::sync::atomic::{AtomicU64, Ordering};

use threefold_sync::Queue;
use threefold_sync::error::{GetError, PutError};
use threefold_sync::queue::Order;

use crate::crowd::{GaveUp, Random, limit_s, rounds, together, wait_unsteadily};
use crate::limit::Limit;

const PRODUCERS: usize = 8;
const CONSUMERS: usize = 8;

/// Items on the heap, so that one which is taken twice or lost is a memory error, too.
type Item = Box<u64>;

/// Puts until it is done or the queue takes no more; returns the items that stayed with it.
fn produce(queue: &Queue<Item>, items: impl Iterator<Item = u64>, random: &mut Random) -> Vec<u64> {
    let mut kept = vec![];
    for item in items {
        let mut offered = Some(Box::new(item));
        loop {
            match wait_unsteadily(queue.put(&mut offered), random) {
                Ok(Ok(())) => break,
                Ok(Err(error)) => {
                    assert_eq!(error, PutError::ShutDown(()));
                    break;
                }
                Err(GaveUp::TimedOut | GaveUp::Interrupted) => assert!(offered.is_some()),
            }
        }
        kept.extend(offered.map(|item| *item));
    }
    kept
}

/// Gets until the queue is shut down and empty, or `enough` says so after an item.
fn consume(queue: &Queue<Item>, random: &mut Random, mut enough: impl FnMut() -> bool) -> Vec<u64> {
    let mut got = vec![];
    loop {
        match wait_unsteadily(queue.get(), random) {
            Ok(Ok(item)) => {
                got.push(*item.expect("the queue is not ranked"));
                queue.task_done().ok();
                if enough() {
                    queue.shut_down(false);
                }
            }
            Ok(Err(error)) => {
                assert_eq!(error, GetError::ShutDown);
                return got;
            }
            Err(GaveUp::TimedOut | GaveUp::Interrupted) => {}
        }
    }
}

/// Runs all producers and consumers; the queue is shut down when `shut_down_after` items have been consumed.
fn run(order: Order, maxsize: usize, shut_down_after: u64, is_immediate: bool) {
    let _limit = Limit::seconds(limit_s());
    let each = rounds(500);
    let total = each * PRODUCERS as u64;
    let queue = Queue::new(order, maxsize);
    let consumed_count = AtomicU64::new(0);
    let found = together(PRODUCERS + CONSUMERS, |number, random| {
        if number < PRODUCERS {
            let first = number as u64 * each;
            return produce(&queue, first..first + each, random);
        }
        let mut dropped = vec![];
        let mut got = consume(&queue, random, || {
            let is_enough = consumed_count.fetch_add(1, Ordering::Relaxed) + 1 == shut_down_after.min(total);
            if is_enough && is_immediate {
                dropped.extend(queue.shut_down(true).into_iter().map(|item| *item));
            }
            is_enough
        });
        got.extend(dropped);
        got
    });
    let mut found: Vec<_> = found.into_iter().flatten().collect();
    found.sort_unstable();
    assert_eq!(found, (0..total).collect::<Vec<_>>(), "each item is somewhere, once");
    assert!(queue.is_empty());
    assert_eq!(queue.unfinished_count(), 0);
}

#[test]
fn through_a_queue_of_one() {
    run(Order::FirstInFirstOut, 1, u64::MAX, false);
}

#[test]
fn through_a_queue_of_four() {
    run(Order::FirstInFirstOut, 4, u64::MAX, false);
}

#[test]
fn through_a_queue_without_limit() {
    run(Order::LastInFirstOut, 0, u64::MAX, false);
}

#[test]
fn through_a_queue_that_is_shut_down_half_way() {
    run(Order::FirstInFirstOut, 4, rounds(2000), false);
}

#[test]
fn through_a_queue_that_is_emptied_half_way() {
    run(Order::FirstInFirstOut, 64, rounds(2000), true);
}
