//! Items reach whoever waits for them, once and in order, and so does room.

use std::collections::VecDeque;
use std::sync::Arc;

use loom::thread::spawn;
use threefold_sync::Queue;
use threefold_sync::error::PutError;
use threefold_sync::queue::Order;
use threefold_wait::Wait;

use crate::model::{explore, explore_when, thread, wait, wait_with};

fn queue(maxsize: usize) -> Arc<Queue<u32>> {
    Arc::new(Queue::new(Order::FirstInFirstOut, maxsize))
}

fn get(queue: &Queue<u32>, number: u64) -> u32 {
    wait(queue.get(), number).unwrap().unwrap()
}

#[test]
fn a_queue_of_one_hands_items_over_in_order() {
    explore(|| {
        let queue = queue(1);
        let producer = spawn({
            let queue = Arc::clone(&queue);
            move || [1, 2].map(|item| wait(queue.put(&mut Some(item)), 1).unwrap())
        });
        assert_eq!([get(&queue, 2), get(&queue, 2)], [1, 2]);
        producer.join().unwrap();
        assert!(queue.is_empty());
    });
}

#[test]
fn two_items_reach_two_getters() {
    explore(|| {
        let queue = queue(0);
        let getters = [1, 2].map(|number| {
            let queue = Arc::clone(&queue);
            spawn(move || get(&queue, number))
        });
        queue.try_put(1).unwrap();
        queue.try_put(2).unwrap();
        let items = getters.map(|getter| getter.join().unwrap());
        assert!(items == [1, 2] || items == [2, 1]);
    });
}

#[test]
fn a_batch_reaches_two_getters() {
    explore(|| {
        let queue = queue(0);
        let getters = [1, 2].map(|number| {
            let queue = Arc::clone(&queue);
            spawn(move || get(&queue, number))
        });
        assert_eq!(queue.try_put_many(&mut VecDeque::from([1, 2])), Ok(2));
        assert_eq!(getters.map(|getter| getter.join().unwrap()).iter().sum::<u32>(), 3);
    });
}

#[test]
fn room_for_two_reaches_two_putters() {
    explore(|| {
        let queue = queue(2);
        queue.try_put_many(&mut VecDeque::from([1, 2])).unwrap();
        let putters = [3, 4].map(|item| {
            let queue = Arc::clone(&queue);
            spawn(move || wait(queue.put(&mut Some(item)), u64::from(item)).unwrap())
        });
        assert_eq!(queue.try_get_many(2), [Some(1), Some(2)]);
        for putter in putters {
            putter.join().unwrap();
        }
        assert_eq!(queue.len(), 2);
    });
}

#[test]
fn a_getter_that_was_passed_over_gets_the_next_item() {
    explore_when(false, || {
        let queue = queue(0);
        let getter = spawn({
            let queue = Arc::clone(&queue);
            move || get(&queue, 1)
        });
        queue.try_put(1).unwrap();
        let passed_over = queue.try_get();
        if passed_over.is_ok() {
            queue.try_put(2).unwrap();
        }
        assert_eq!(getter.join().unwrap(), if passed_over.is_ok() { 2 } else { 1 });
    });
}

#[test]
fn more_room_reaches_a_putter() {
    explore(|| {
        let queue = queue(1);
        queue.try_put(1).unwrap();
        let putter = spawn({
            let queue = Arc::clone(&queue);
            move || wait(queue.put(&mut Some(2)), 1).unwrap()
        });
        queue.set_maxsize(2);
        putter.join().unwrap();
        assert!(queue.is_full());
    });
}

#[test]
fn a_right_that_is_given_back_reaches_another_getter() {
    explore(|| {
        let queue = Arc::new(Queue::new(Order::Ranked, 0));
        let getter = spawn({
            let queue = Arc::clone(&queue);
            move || wait(queue.get(), 1)
        });
        queue.try_put(1).unwrap();
        if queue.try_get().is_ok() {
            queue.give_back();
        }
        assert_eq!(getter.join().unwrap(), Ok(None));
        assert_eq!(queue.len(), 0);
    });
}

#[test]
fn whoever_has_lost_patience_is_not_passed_over() {
    explore_when(true, || {
        let queue = queue(1);
        let mut getter = thread(1);
        assert_eq!(queue.get().poll(&mut getter), None);
        let getter = spawn({
            let queue = Arc::clone(&queue);
            move || wait_with(queue.get(), &mut getter)
        });
        queue.try_put(1).unwrap();
        assert!(queue.try_get().is_err(), "what was granted is set aside");
        assert_eq!(getter.join().unwrap(), Ok(Some(1)));
        queue.try_put(2).unwrap();
        let mut item = Some(3);
        let mut putter = thread(2);
        assert_eq!(queue.put(&mut item).poll(&mut putter), None);
        assert_eq!(queue.try_get(), Ok(Some(2)));
        assert_eq!(queue.try_put(4), Err(PutError::Full(4)), "room that was granted is set aside");
        assert_eq!(queue.put(&mut item).poll(&mut putter), Some(Ok(())));
    });
}
