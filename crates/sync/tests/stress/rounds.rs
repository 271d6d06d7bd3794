//! Threads that go round after round together.

use std::sync::atomic::{AtomicU64, Ordering};

use threefold_sync::barrier::Arrival;
use threefold_sync::{Barrier, Condition, Event, Lock};
use threefold_wait::{Owner, Ticket, Wait};

use crate::crowd::{limit_s, rounds, together, wait_steadily, wait_unsteadily, wait_unsteadily_with};
use crate::limit::Limit;

#[test]
fn nobody_enters_a_round_of_a_barrier_before_all_have_ended_the_last() {
    const PARTIES: u64 = 5;
    let _limit = Limit::seconds(limit_s());
    let (barrier, arrived_count) = (Barrier::new(PARTIES), AtomicU64::new(0));
    together(5, |_, _| {
        for round in 1..=rounds(500) {
            arrived_count.fetch_add(1, Ordering::Relaxed);
            if let Arrival::Last(index) = wait_steadily(barrier.wait()).unwrap() {
                assert_eq!(index, PARTIES - 1);
                assert_eq!(arrived_count.load(Ordering::Relaxed), round * PARTIES);
                barrier.open();
            }
        }
    });
    assert_eq!(barrier.waiting_count(), 0);
}

#[test]
fn two_events_go_back_and_forth() {
    let _limit = Limit::seconds(limit_s());
    let events = [Event::new(), Event::new()];
    events[0].set();
    together(2, |number, random| {
        let (mine, other) = (&events[number], &events[1 - number]);
        for _ in 0..rounds(500) {
            while wait_unsteadily(mine.wait(), random).is_err() {}
            mine.clear();
            other.set();
        }
    });
    assert!(events[0].is_set() && !events[1].is_set());
}

#[test]
fn notified_waiters_take_turns_whoever_gives_up() {
    const PLAYERS: u64 = 4;
    let _limit = Limit::seconds(limit_s());
    // Whose turn it is; the lock protects it.
    let (lock, condition, turn) = (Lock::new(), Condition::new(), AtomicU64::new(0));
    let gave_up_counts = together(4, |number, random| {
        let mut gave_up_count = 0_u64;
        for _ in 0..rounds(200) {
            wait_steadily(lock.acquire());
            while turn.load(Ordering::Relaxed) % PLAYERS != number as u64 {
                let mut ticket = Ticket::thread(Owner::thread());
                assert_eq!(condition.wait().poll(&mut ticket), None);
                lock.release().unwrap();
                gave_up_count += u64::from(wait_unsteadily_with(condition.wait(), &mut ticket, random).is_err());
                wait_steadily(lock.acquire());
            }
            turn.store(turn.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            condition.notify(usize::MAX);
            lock.release().unwrap();
        }
        gave_up_count
    });
    assert_eq!(turn.load(Ordering::Relaxed), rounds(200) * PLAYERS, "{gave_up_counts:?} gave up");
    assert_eq!(condition.waiter_count(), 0);
}
