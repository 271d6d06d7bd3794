//! Getters and putters that give up just when they are told: nothing is lost, nothing comes twice, nobody is left.

use std::sync::Arc;

use loom::thread::spawn;
use threefold_sync::Queue;
use threefold_sync::queue::Order;

use crate::model::{explore, thread, wait, wait_briefly, wait_interrupted};

fn queue(maxsize: usize) -> Arc<Queue<u32>> {
    Arc::new(Queue::new(Order::FirstInFirstOut, maxsize))
}

#[test]
fn an_item_is_taken_or_still_there_when_a_timeout_races_with_it() {
    explore(|| {
        let queue = queue(0);
        let getter = spawn({
            let queue = Arc::clone(&queue);
            move || usize::from(wait_briefly(queue.get(), &mut thread(1)).is_some())
        });
        queue.try_put(1).unwrap();
        assert_eq!(getter.join().unwrap() + queue.len(), 1);
    });
}

#[test]
fn an_item_is_put_or_still_the_putters_when_a_timeout_races_with_room() {
    explore(|| {
        let queue = queue(1);
        queue.try_put(1).unwrap();
        let putter = spawn({
            let queue = Arc::clone(&queue);
            move || {
                let mut item = Some(2);
                let is_put = wait_briefly(queue.put(&mut item), &mut thread(1)).is_some();
                assert_eq!(item.is_none(), is_put);
                usize::from(is_put)
            }
        });
        assert_eq!(queue.try_get(), Ok(Some(1)));
        assert_eq!(putter.join().unwrap(), queue.len());
    });
}

#[test]
fn an_item_goes_to_the_next_getter_when_the_first_is_interrupted() {
    explore(|| {
        let queue = queue(0);
        let interrupted = spawn({
            let queue = Arc::clone(&queue);
            move || wait_interrupted(queue.get(), &mut thread(1)).is_ok()
        });
        let lasting = spawn({
            let queue = Arc::clone(&queue);
            move || wait(queue.get(), 2)
        });
        queue.try_put(1).unwrap();
        if interrupted.join().unwrap() {
            queue.try_put(2).unwrap();
        }
        assert!(lasting.join().unwrap().is_ok());
        assert!(queue.is_empty());
    });
}

#[test]
fn an_item_goes_to_the_next_getter_when_the_first_times_out() {
    explore(|| {
        let queue = queue(0);
        let brief = spawn({
            let queue = Arc::clone(&queue);
            move || wait_briefly(queue.get(), &mut thread(1)).is_some()
        });
        let lasting = spawn({
            let queue = Arc::clone(&queue);
            move || wait(queue.get(), 2)
        });
        queue.try_put(1).unwrap();
        if brief.join().unwrap() {
            queue.try_put(2).unwrap();
        }
        assert!(lasting.join().unwrap().is_ok());
        assert!(queue.is_empty());
    });
}

#[test]
fn room_goes_to_the_next_putter_when_the_first_is_interrupted() {
    explore(|| {
        let queue = queue(1);
        queue.try_put(1).unwrap();
        let interrupted = spawn({
            let queue = Arc::clone(&queue);
            move || wait_interrupted(queue.put(&mut Some(2)), &mut thread(1)).is_ok()
        });
        let lasting = spawn({
            let queue = Arc::clone(&queue);
            move || wait(queue.put(&mut Some(3)), 2)
        });
        assert_eq!(queue.try_get(), Ok(Some(1)));
        if interrupted.join().unwrap() {
            queue.try_get().unwrap();
        }
        assert_eq!(lasting.join().unwrap(), Ok(()));
        assert_eq!(queue.len(), 1);
    });
}
