//! However many die: memory and descriptors stay what they were. Alone in its program, because it counts descriptors.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod support;

use support::limit::Limit;
use support::{Death, Moment, Stage, Watched, descriptor_count, until};
use threefold_shared_memory::{BoundedSemaphore, Condition, Home, Outcome, Plain};

/// The permits live behind the condition.
fn homes(stage: &Stage) -> (Home, Home) {
    let behind =
        stage.home().offset_bytes() + Condition::bytes(Condition::WAITERS).next_multiple_of(Home::ALIGNMENT_BYTES);
    (stage.home(), Home::new(stage.0.clone(), behind))
}

#[test]
#[ignore = "runs as another process"]
fn child() {
    let stage = Stage::of_parent();
    let (line, permits) = homes(&stage);
    let mut driver = Watched::of_child(&stage);
    let semaphore = BoundedSemaphore::attach(permits).unwrap();
    assert!(semaphore.try_acquire().is_some());
    let _killed = Condition::attach(line).unwrap().enroll().unwrap().wait(None, &mut driver);
}

#[test]
fn neither_memory_nor_descriptors_grow_with_the_dead() {
    let _limit = Limit::seconds(240);
    let stage = Stage::new();
    stage.clear();
    let (line, permits) = homes(&stage);
    let condition = Condition::create(line, Condition::WAITERS).unwrap();
    let semaphore = BoundedSemaphore::create(permits, 3).unwrap();
    let round = |number: usize| {
        let child = stage.start("", Moment::Waiting);
        until(|| condition.waiter_count() == 1);
        child.die(Death::Killed);
        drop(child);
        // Told to the dead, and now and then passed on to the living, which takes a slice.
        let living = (number % 25 == 0).then(|| condition.enroll().unwrap());
        assert_eq!(condition.notify(1), 1);
        if let Some(living) = living {
            assert_eq!(living.wait(None, &mut Plain), Ok(Outcome::Ready(())));
        }
    };
    round(0);
    let before = (stage.0.resident_bytes().unwrap(), descriptor_count());
    (1..=1000).for_each(round);
    assert_eq!(before, (stage.0.resident_bytes().unwrap(), descriptor_count()));
    (0..3).for_each(|_| assert!(matches!(semaphore.acquire(None, &mut Plain), Ok(Outcome::Ready(_)))));
    assert_eq!((condition.waiter_count(), semaphore.permits()), (0, 0));
}
