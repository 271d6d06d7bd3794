//! Shutting a queue down, or moving it elsewhere, reaches everybody who waits.

use std::sync::Arc;

use loom::thread::spawn;
use threefold_sync::Queue;
use threefold_sync::error::{GetError, PutError};
use threefold_sync::queue::Order;

use crate::model::{explore, explore_when, wait};

fn queue(maxsize: usize) -> Arc<Queue<u32>> {
    Arc::new(Queue::new(Order::FirstInFirstOut, maxsize))
}

#[test]
fn a_shut_down_reaches_two_getters_and_the_last_item_one_of_them() {
    explore(|| {
        let queue = queue(0);
        let getters = [1, 2].map(|number| {
            let queue = Arc::clone(&queue);
            spawn(move || wait(queue.get(), number))
        });
        queue.try_put(1).unwrap();
        assert!(queue.shut_down(false).is_empty());
        let results = getters.map(|getter| getter.join().unwrap());
        assert!(results.contains(&Ok(Some(1))) && results.contains(&Err(GetError::ShutDown)), "{results:?}");
    });
}

#[test]
fn a_shut_down_reaches_a_putter_and_its_item_stays_with_it() {
    explore_when(false, || {
        let queue = queue(1);
        queue.try_put(1).unwrap();
        let putter = spawn({
            let queue = Arc::clone(&queue);
            move || {
                let mut item = Some(2);
                assert_eq!(wait(queue.put(&mut item), 1), Err(PutError::ShutDown(())));
                item
            }
        });
        queue.shut_down(false);
        assert_eq!(putter.join().unwrap(), Some(2));
        assert_eq!(queue.try_get(), Ok(Some(1)));
    });
}

#[test]
fn an_immediate_shut_down_loses_no_item_and_releases_whoever_joins() {
    explore(|| {
        let queue = queue(0);
        queue.try_put(1).unwrap();
        let joiner = spawn({
            let queue = Arc::clone(&queue);
            move || wait(queue.join(), 1)
        });
        let getter = spawn({
            let queue = Arc::clone(&queue);
            move || {
                let result = wait(queue.get(), 2);
                if result.is_ok() {
                    queue.task_done().unwrap();
                }
                usize::from(result.is_ok())
            }
        });
        let dropped = queue.shut_down(true);
        assert_eq!(getter.join().unwrap() + dropped.len(), 1);
        assert_eq!(joiner.join().unwrap(), Ok(()));
    });
}

#[test]
fn the_last_task_done_releases_whoever_joins() {
    explore_when(false, || {
        let queue = queue(0);
        queue.try_put(1).unwrap();
        queue.try_put(2).unwrap();
        let joiner = spawn({
            let queue = Arc::clone(&queue);
            move || wait(queue.join(), 1)
        });
        queue.task_done().unwrap();
        queue.task_done().unwrap();
        assert_eq!(joiner.join().unwrap(), Ok(()));
    });
}

#[test]
fn a_move_reaches_a_getter_and_a_joiner() {
    explore_when(false, || {
        let queue = queue(0);
        queue.set_unfinished_count(1);
        let getter = spawn({
            let queue = Arc::clone(&queue);
            move || wait(queue.get(), 1)
        });
        let joiner = spawn({
            let queue = Arc::clone(&queue);
            move || wait(queue.join(), 2)
        });
        assert_eq!(queue.move_out().unwrap().unfinished_count, 1);
        assert_eq!(getter.join().unwrap(), Err(GetError::Moved));
        assert_eq!(joiner.join().unwrap(), Err(GetError::Moved));
    });
}

#[test]
fn an_item_moves_or_is_taken_or_stays_with_its_putter() {
    explore(|| {
        let queue = queue(1);
        queue.try_put(1).unwrap();
        let putter = spawn({
            let queue = Arc::clone(&queue);
            move || {
                let mut item = Some(2);
                let result = wait(queue.put(&mut item), 1);
                assert_eq!(result.is_err(), item.is_some());
                usize::from(item.is_some())
            }
        });
        let getter = spawn({
            let queue = Arc::clone(&queue);
            move || usize::from(wait(queue.get(), 2).is_ok())
        });
        let moved_count = queue.move_out().unwrap().items.len();
        assert_eq!(putter.join().unwrap() + getter.join().unwrap() + moved_count, 2);
    });
}
