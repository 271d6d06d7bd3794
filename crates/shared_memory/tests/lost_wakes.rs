//! While nobody dies, no wake is lost: everything works without slices, too. A sleep that nobody ends fails the test.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use support::Stage;
use support::limit::Limit;
use threefold_shared_memory::{
    Acquired, Arrival, Barrier, BoundedSemaphore, Condition, Driver, Event, Guard, Home, Instant, Lock, Nap, Outcome,
    Plain, Semaphore,
};
use threefold_sys::futex::{self, Woke};

/// Sleeps for as long as it takes, and not only for a slice.
struct Patient;

impl Driver for Patient {
    type Error = std::convert::Infallible;

    fn park(&mut self, nap: &Nap<'_>) -> Result<(), Self::Error> {
        let (word, expected) = nap.word();
        let end = Instant::now().after(Duration::from_secs(20));
        assert_ne!(futex::wait_shared(word, expected, Some(end)), Woke::TimedOut, "a wake was lost: {nap:?}");
        Ok(())
    }
}

const THREADS: usize = 4;

fn together(run: impl Fn(usize) + Sync) {
    std::thread::scope(|scope| {
        for number in 0..THREADS {
            let run = &run;
            scope.spawn(move || run(number));
        }
    });
}

fn had<T>(outcome: Result<Outcome<T>, std::convert::Infallible>) -> T {
    match outcome {
        Ok(Outcome::Ready(value)) => value,
        Ok(Outcome::TimedOut) => panic!("there was no deadline"),
        Err(never) => match never {},
    }
}

/// Adds one to a number that only one may change at a time, and lets others run in the middle of it.
fn add_slowly(number: &AtomicU64, round: usize) {
    let before = number.load(Ordering::Relaxed);
    if round % 8 == 0 {
        std::thread::yield_now();
    }
    number.store(before + 1, Ordering::Relaxed);
}

#[test]
fn a_lock_and_a_guard_that_many_want() {
    let _limit = Limit::seconds(60);
    let stage = Stage::new();
    let lock = Lock::create(stage.home()).unwrap();
    let word = stage.0.words_at(0, 1).unwrap();
    let (locked, guarded) = (AtomicU64::new(0), AtomicU64::new(0));
    together(|_| {
        for round in 0..5_000 {
            assert_eq!(had(lock.acquire(None, &mut Patient)), Acquired::Free);
            add_slowly(&locked, round);
            lock.release().unwrap();
            let held = had(Guard::new(&word[0]).enter_with(None, &mut Patient));
            assert!(!held.is_recovered());
            add_slowly(&guarded, round);
        }
    });
    assert_eq!((locked.load(Ordering::Relaxed), guarded.load(Ordering::Relaxed)), (20_000, 20_000));
}

#[test]
fn semaphores_that_hand_a_permit_around() {
    let _limit = Limit::seconds(60);
    let stage = Stage::new();
    let home = |number: usize| Home::new(stage.0.clone(), 4096 + 64 * number);
    let ring: Vec<_> = (0..THREADS).map(|number| Semaphore::create(home(number), 0, u64::MAX).unwrap()).collect();
    ring[0].release(1).unwrap();
    together(|number| {
        for _ in 0..5_000 {
            had(ring[number].acquire(None, &mut Patient));
            ring[(number + 1) % THREADS].release(1).unwrap();
        }
    });
    assert_eq!(ring[0].permits(), 1);
}

#[test]
fn two_permits_for_four() {
    let _limit = Limit::seconds(60);
    let stage = Stage::new();
    let semaphore = BoundedSemaphore::create(stage.home(), 2).unwrap();
    let inside = AtomicU64::new(0);
    together(|_| {
        for _ in 0..5_000 {
            assert_eq!(had(semaphore.acquire(None, &mut Patient)), Acquired::Free);
            assert!(inside.fetch_add(1, Ordering::SeqCst) < 2);
            std::thread::yield_now();
            inside.fetch_sub(1, Ordering::SeqCst);
            semaphore.release().unwrap();
        }
    });
    assert_eq!(semaphore.permits(), 2);
}

#[test]
fn a_condition_that_passes_the_turn_on() {
    let _limit = Limit::seconds(60);
    let stage = Stage::new();
    let lock = Lock::create(stage.home()).unwrap();
    let condition = Condition::create(Home::new(stage.0.clone(), 8192), 64).unwrap();
    let turn = AtomicU64::new(0);
    together(|number| {
        for _ in 0..1_000 {
            assert_eq!(had(lock.acquire(None, &mut Patient)), Acquired::Free);
            while turn.load(Ordering::Relaxed) % THREADS as u64 != number as u64 {
                let enrolled = condition.enroll().unwrap();
                lock.release().unwrap();
                had(enrolled.wait(None, &mut Patient));
                assert_eq!(had(lock.acquire(None, &mut Patient)), Acquired::Free);
            }
            turn.fetch_add(1, Ordering::Relaxed);
            condition.notify(usize::MAX);
            lock.release().unwrap();
        }
    });
    assert_eq!((turn.load(Ordering::Relaxed), condition.waiter_count()), (4_000, 0));
}

#[test]
fn events_that_answer_each_other() {
    let _limit = Limit::seconds(60);
    let stage = Stage::new();
    let home = |number: usize| Home::new(stage.0.clone(), 4096 + 64 * number);
    let ring: Vec<_> = (0..THREADS).map(|number| Event::create(home(number)).unwrap()).collect();
    ring[0].set();
    together(|number| {
        for _ in 0..5_000 {
            had(ring[number].wait(None, &mut Patient));
            ring[number].clear();
            ring[(number + 1) % THREADS].set();
        }
    });
}

#[test]
fn a_barrier_for_four_that_goes_around() {
    let _limit = Limit::seconds(60);
    let stage = Stage::new();
    let barrier = Barrier::create(stage.home(), THREADS).unwrap();
    let arrived = AtomicU64::new(0);
    together(|_| {
        for round in 1..=1_000 {
            arrived.fetch_add(1, Ordering::SeqCst);
            if let Arrival::Last(index) = barrier.wait(None, &mut Patient).unwrap().unwrap() {
                assert_eq!((index, arrived.load(Ordering::SeqCst)), (3, round * THREADS as u64));
                barrier.open();
            }
        }
    });
    assert_eq!(barrier.waiting_count(), 0);
}

/// Says that it is about to sleep, then sleeps for as long as it takes.
struct Announced<'a>(&'a AtomicU64);

impl Driver for Announced<'_> {
    type Error = std::convert::Infallible;

    fn park(&mut self, nap: &Nap<'_>) -> Result<(), Self::Error> {
        self.0.store(1, Ordering::SeqCst);
        Patient.park(nap)
    }
}

#[test]
fn a_party_that_came_while_the_last_one_acted() {
    let _limit = Limit::seconds(60);
    let stage = Stage::new();
    for round in 0..50 {
        stage.clear();
        let barrier = Barrier::create(stage.home(), 1).unwrap();
        assert_eq!(barrier.wait(None, &mut Patient), Ok(Ok(Arrival::Last(0))));
        let is_outside = AtomicU64::new(0);
        std::thread::scope(|scope| {
            let next = scope.spawn(|| barrier.wait(None, &mut Announced(&is_outside)));
            support::until(|| is_outside.load(Ordering::SeqCst) == 1);
            (0..round).for_each(|_| std::thread::yield_now());
            barrier.open();
            assert_eq!(next.join().unwrap(), Ok(Ok(Arrival::Last(0))));
        });
    }
}

#[test]
fn deadlines_that_pass_while_permits_come() {
    let _limit = Limit::seconds(60);
    let stage = Stage::new();
    let semaphore = Semaphore::create(stage.home(), 0, u64::MAX).unwrap();
    let taken = AtomicU64::new(0);
    together(|number| {
        for round in 0..2_000 {
            if number % 2 == 0 {
                semaphore.release(1).unwrap();
            } else {
                let deadline = Some(Instant::now().after(Duration::from_micros(round % 100)));
                let is_taken = semaphore.acquire(deadline, &mut Plain).unwrap() == Outcome::Ready(());
                taken.fetch_add(u64::from(is_taken), Ordering::Relaxed);
            }
        }
    });
    assert_eq!(taken.load(Ordering::Relaxed) + semaphore.permits(), 4_000);
}
