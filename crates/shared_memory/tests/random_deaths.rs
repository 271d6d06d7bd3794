//! Processes that are killed at random moments in the middle of everything: what they share stays whole.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod support;

use std::sync::atomic::{AtomicU64, Ordering};

use support::limit::Limit;
use support::{Death, Moment, Other, Stage, until};
use threefold_shared_memory::{Acquired, BoundedSemaphore, Guard, Home, Instant, Lock, Outcome, Plain};

/// Where things are, in bytes: the guard, two pairs of numbers that must stay equal, how often something was done.
const GUARD: usize = 64;
const PAIRS: [usize; 2] = [128, 192];
const DONE: usize = 256;
const LOCK: usize = 4096;
const PERMITS: usize = 8192;

fn words(stage: &Stage, offset_bytes: usize) -> &[AtomicU64] {
    stage.0.words_at(offset_bytes, 2).unwrap()
}

/// Changes both numbers of a pair; a death in between leaves them different, which the next one repairs.
fn change(stage: &Stage, pair: usize, is_recovered: bool) {
    let pair = words(stage, pair);
    let first = pair[0].load(Ordering::Relaxed);
    if is_recovered {
        pair[1].store(first, Ordering::Relaxed);
    }
    assert_eq!(first, pair[1].load(Ordering::Relaxed), "nobody was told of a death");
    pair[0].store(first + 1, Ordering::Relaxed);
    std::hint::black_box(pair);
    pair[1].store(first + 1, Ordering::Relaxed);
}

fn work(stage: &Stage, lock: &Lock, permits: &BoundedSemaphore) {
    {
        let held = Guard::new(&words(stage, GUARD)[0]).enter();
        change(stage, PAIRS[0], held.is_recovered());
    }
    let Ok(Outcome::Ready(acquired)) = lock.acquire(None, &mut Plain) else { panic!("there was no deadline") };
    change(stage, PAIRS[1], acquired != Acquired::Free);
    lock.release().unwrap();
    let Ok(Outcome::Ready(_permit)) = permits.acquire(None, &mut Plain) else { panic!("there was no deadline") };
    permits.release().unwrap();
    words(stage, DONE)[0].fetch_add(1, Ordering::Relaxed);
}

fn parts(stage: &Stage, find: fn(Home, Home) -> (Lock, BoundedSemaphore)) -> (Lock, BoundedSemaphore) {
    find(Home::new(stage.0.clone(), LOCK), Home::new(stage.0.clone(), PERMITS))
}

#[test]
#[ignore = "runs as another process"]
fn child() {
    let stage = Stage::of_parent();
    let (lock, permits) =
        parts(&stage, |lock, permits| (Lock::attach(lock).unwrap(), BoundedSemaphore::attach(permits).unwrap()));
    loop {
        work(&stage, &lock, &permits);
    }
}

#[test]
fn what_killed_processes_leave_behind_is_repaired_and_everybody_goes_on() {
    let _limit = Limit::seconds(90);
    let stage = Stage::new();
    let (lock, permits) =
        parts(&stage, |lock, permits| (Lock::create(lock).unwrap(), BoundedSemaphore::create(permits, 2).unwrap()));
    let done = &words(&stage, DONE)[0];
    let start = || stage.start("", Moment::Waiting);
    let mut children: Vec<Other> = (0..3).map(|_| start()).collect();
    until(|| done.load(Ordering::Relaxed) > 1_000);
    for round in 0..60 {
        let victim = round % children.len();
        // Goes on for a number of turns that has nothing to do with what the victim is at.
        let seen = done.load(Ordering::Relaxed);
        let begin = Instant::now();
        until(|| done.load(Ordering::Relaxed) > seen + 50 + round as u64 * 7);
        support::within_a_second(begin, "going on");
        children[victim].die(Death::Killed);
        children[victim] = start();
    }
    for child in &children {
        child.die(Death::Killed);
    }
    for _ in 0..10 {
        work(&stage, &lock, &permits);
    }
    for _ in 0..2 {
        assert!(matches!(permits.acquire(None, &mut Plain), Ok(Outcome::Ready(_))));
    }
    assert_eq!(permits.try_acquire(), None);
    assert!(lock.holder().is_nobody() && Guard::new(&words(&stage, GUARD)[0]).holder().is_nobody());
}
