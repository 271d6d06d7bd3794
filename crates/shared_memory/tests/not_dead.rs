//! Who is stopped, or only a thread that ended, is not robbed of what it holds.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod support;

use std::time::Duration;

use support::limit::Limit;
use support::{Moment, Stage, Watched, until};
use threefold_shared_memory::{Acquired, BoundedSemaphore, Home, Instant, Lock, Outcome, Plain};

fn homes(stage: &Stage) -> (Home, Home) {
    (stage.home(), Home::new(stage.0.clone(), stage.home().offset_bytes() + Home::ALIGNMENT_BYTES))
}

#[test]
#[ignore = "runs as another process"]
fn child() {
    let stage = Stage::of_parent();
    let (lock, permit) = homes(&stage);
    assert!(Lock::attach(lock).unwrap().try_acquire().is_some());
    assert!(BoundedSemaphore::attach(permit).unwrap().try_acquire().is_some());
    Watched::of_child(&stage).comes_to(Moment::Holding);
}

#[test]
fn a_stopped_process_keeps_what_it_holds() {
    let _limit = Limit::seconds(30);
    let stage = Stage::new();
    let (lock, permit) = homes(&stage);
    let lock = Lock::create(lock).unwrap();
    let permit = BoundedSemaphore::create(permit, 1).unwrap();
    let child = stage.start("", Moment::Holding);
    until(|| stage.has_come_to(Moment::Holding));
    child.stop();
    // Long enough for more than one slice, after each of which it is asked whether the holder lives.
    let deadline = Some(Instant::now().after(Duration::from_millis(450)));
    assert_eq!(lock.acquire(deadline, &mut Plain), Ok(Outcome::TimedOut));
    let deadline = Some(Instant::now().after(Duration::from_millis(450)));
    assert_eq!(permit.acquire(deadline, &mut Plain), Ok(Outcome::TimedOut));
    assert_eq!(lock.holder().pid(), child.0.id());
}

#[test]
fn a_thread_that_ended_leaves_what_it_held_to_its_process() {
    let _limit = Limit::seconds(30);
    let stage = Stage::new();
    let lock = Lock::create(stage.home()).unwrap();
    let taken = std::thread::scope(|scope| scope.spawn(|| lock.try_acquire()).join().unwrap());
    assert_eq!(taken, Some(Acquired::Free));
    let deadline = Some(Instant::now().after(Duration::from_millis(250)));
    assert_eq!(lock.acquire(deadline, &mut Plain), Ok(Outcome::TimedOut));
    lock.release().unwrap();
    assert_eq!(lock.try_acquire(), Some(Acquired::Free));
}
