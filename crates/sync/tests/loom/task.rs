//! Tasks and threads that wait for the same thing.

use std::sync::Arc;

use loom::thread::spawn;
use threefold_sync::queue::Order;
use threefold_sync::{Lock, Queue};
use threefold_wait::{Owner, Wait, Withdrawal};

use crate::model::{explore, task, wait};

#[test]
fn a_thread_gets_the_item_that_a_cancelled_task_hands_on() {
    explore(|| {
        let queue = Arc::new(Queue::new(Order::FirstInFirstOut, 0));
        let (mut ticket, wakes) = task(1);
        assert_eq!(queue.get().poll(&mut ticket), None);
        let getter = spawn({
            let queue = Arc::clone(&queue);
            move || wait(queue.get(), 2)
        });
        let putter = spawn({
            let queue = Arc::clone(&queue);
            move || queue.try_put(1).unwrap()
        });
        assert_eq!(queue.get().withdraw(&mut ticket, Withdrawal::HandOn), None);
        putter.join().unwrap();
        assert_eq!(getter.join().unwrap(), Ok(Some(1)));
        assert!(wakes.count() <= 1);
    });
}

#[test]
fn a_task_and_a_thread_both_get_the_lock() {
    explore(|| {
        let lock = Arc::new(Lock::new());
        assert!(lock.try_acquire(Owner(3)));
        let (mut ticket, wakes) = task(1);
        assert_eq!(lock.acquire().poll(&mut ticket), None);
        let releaser = spawn({
            let lock = Arc::clone(&lock);
            move || lock.release().unwrap()
        });
        let is_mine = lock.acquire().poll(&mut ticket).is_some();
        releaser.join().unwrap();
        assert_eq!(wakes.count(), 1, "it was told once, whether it looked before or after");
        assert!(is_mine || lock.acquire().poll(&mut ticket).is_some());
        assert_eq!(lock.owner(), Owner(1));
        let waiter = spawn({
            let lock = Arc::clone(&lock);
            move || wait(lock.acquire(), 2)
        });
        lock.release().unwrap();
        waiter.join().unwrap();
        assert_eq!(lock.owner(), Owner(2));
    });
}
