//! A process dies while it waits, when it was just woken, or while it holds: those who live go on within a second.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use support::limit::Limit;
use support::{Death, Moment, Stage, Watched, until, within_a_second};
use threefold_shared_memory::{
    Acquired, Arrival, Barrier, BoundedSemaphore, Condition, Driver, Event, Guard, Home, Instant, Lock, Outcome, Plain,
    RLock, Region, Semaphore,
};

/// How an operation ended for the one who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Had,
    HadFromDead,
    Last,
    Broken,
}

/// What is under test: how to wait for it, and how to end the wait.
struct Subject {
    name: &'static str,
    /// Makes it, such that a waiter must wait.
    make: fn(Home),
    /// Ends the wait of one waiter.
    end: fn(Home),
    /// How a wait of somebody who lives ends after a death while waiting, just woken, holding.
    ends: [Option<End>; 3],
}

fn region(home: &Home) -> Arc<Region> {
    Arc::clone(home.region())
}

fn guard_word(region: &Region, home: &Home) -> usize {
    assert!(region.words().len() * 8 > home.offset_bytes());
    home.offset_bytes() / 8
}

const SUBJECTS: [Subject; 8] = [
    Subject {
        name: "guard",
        make: |home| {
            let region = region(&home);
            std::mem::forget(Guard::new(&region.words()[guard_word(&region, &home)]).enter());
        },
        end: |home| {
            let region = region(&home);
            let word = &region.words()[guard_word(&region, &home)];
            // As the section's end: the word is the guard's own business otherwise.
            let before = word.swap(0, std::sync::atomic::Ordering::SeqCst);
            assert_ne!(before, 0);
            threefold_sys::futex::wake_shared(word, 1);
        },
        ends: [Some(End::Had), Some(End::Had), Some(End::HadFromDead)],
    },
    Subject {
        name: "lock",
        make: |home| assert_eq!(Lock::create(home).unwrap().try_acquire(), Some(Acquired::Free)),
        end: |home| Lock::attach(home).unwrap().release().unwrap(),
        ends: [Some(End::Had), Some(End::Had), Some(End::HadFromDead)],
    },
    Subject {
        name: "rlock",
        make: |home| assert_eq!(RLock::create(home).unwrap().try_acquire(), Some(Acquired::Free)),
        end: |home| RLock::attach(home).unwrap().release().unwrap(),
        ends: [Some(End::Had), Some(End::Had), Some(End::HadFromDead)],
    },
    Subject {
        name: "semaphore",
        make: |home| drop(Semaphore::create(home, 0, u64::MAX).unwrap()),
        end: |home| Semaphore::attach(home).unwrap().release(1).unwrap(),
        ends: [Some(End::Had), Some(End::Had), None],
    },
    Subject {
        name: "bounded semaphore",
        make: |home| {
            let semaphore = BoundedSemaphore::create(home, 2).unwrap();
            (0..2).for_each(|_| assert_eq!(semaphore.try_acquire(), Some(Acquired::Free)));
        },
        end: |home| BoundedSemaphore::attach(home).unwrap().release().unwrap(),
        ends: [Some(End::Had), Some(End::Had), Some(End::HadFromDead)],
    },
    Subject {
        name: "condition",
        make: |home| drop(Condition::create(home, Condition::WAITERS).unwrap()),
        end: |home| assert_eq!(Condition::attach(home).unwrap().notify(1), 1),
        ends: [Some(End::Had), Some(End::Had), None],
    },
    Subject {
        name: "event",
        make: |home| drop(Event::create(home).unwrap()),
        end: |home| Event::attach(home).unwrap().set(),
        ends: [Some(End::Had), Some(End::Had), None],
    },
    Subject {
        name: "barrier",
        make: |home| drop(Barrier::create(home, 3).unwrap()),
        end: |home| {
            let barrier = Barrier::attach(home).unwrap();
            if let Ok(Arrival::Last(2)) = barrier.wait(Some(Instant::now()), &mut Plain).unwrap() {
                barrier.open();
            }
        },
        ends: [Some(End::Broken), Some(End::Had), Some(End::Broken)],
    },
];

/// Waits for what is under test.
fn operate<D: Driver<Error = std::convert::Infallible>>(name: &str, home: Home, driver: &mut D) -> End {
    let had = |outcome| match outcome {
        Outcome::Ready(Acquired::Free) => End::Had,
        Outcome::Ready(Acquired::OwnerDied(_)) => End::HadFromDead,
        Outcome::TimedOut => panic!("there was no deadline"),
    };
    let is_had = |outcome: Outcome<()>| {
        assert_eq!(outcome, Outcome::Ready(()));
        End::Had
    };
    match name {
        "guard" => {
            let region = region(&home);
            let word = guard_word(&region, &home);
            match Guard::new(&region.words()[word]).enter_with(None, driver).unwrap() {
                Outcome::Ready(held) => {
                    let end = if held.is_recovered() { End::HadFromDead } else { End::Had };
                    std::mem::forget(held);
                    end
                }
                Outcome::TimedOut => panic!("there was no deadline"),
            }
        }
        "lock" => had(Lock::attach(home).unwrap().acquire(None, driver).unwrap()),
        "rlock" => had(RLock::attach(home).unwrap().acquire(None, driver).unwrap()),
        "semaphore" => is_had(Semaphore::attach(home).unwrap().acquire(None, driver).unwrap()),
        "bounded semaphore" => had(BoundedSemaphore::attach(home).unwrap().acquire(None, driver).unwrap()),
        "condition" => is_had(Condition::attach(home).unwrap().enroll().unwrap().wait(None, driver).unwrap()),
        "event" => is_had(Event::attach(home).unwrap().wait(None, driver).unwrap()),
        _ => match Barrier::attach(home).unwrap().wait(None, driver).unwrap() {
            Ok(Arrival::Passed(_)) => End::Had,
            Ok(Arrival::Last(_)) => End::Last,
            Err(_broken) => End::Broken,
        },
    }
}

#[test]
#[ignore = "runs as another process"]
fn child() {
    let stage = Stage::of_parent();
    let mut driver = Watched::of_child(&stage);
    operate(&support::what(), stage.home(), &mut driver);
    driver.comes_to(Moment::Holding);
}

/// One death; the survivor waits beside the child while it dies, or comes after it when it dies holding.
fn play(stage: &Stage, subject: &Subject, moment: Moment, death: Death) {
    stage.clear();
    (subject.make)(stage.home());
    let is_barrier = subject.name == "barrier";
    let has_parked = AtomicU64::new(0);
    let case = format!("{}: {death:?} {moment:?}", subject.name);
    std::thread::scope(|scope| {
        let child = stage.start(subject.name, moment);
        until(|| stage.has_come_to(Moment::Waiting));
        if moment == Moment::Holding && !is_barrier {
            (subject.end)(stage.home());
            until(|| stage.has_come_to(Moment::Holding));
            if subject.name == "bounded semaphore" {
                // The other permit stays with this process.
                assert_eq!(BoundedSemaphore::attach(stage.home()).unwrap().permits(), 0);
            }
        }
        let survivor = scope.spawn(|| operate(subject.name, stage.home(), &mut Watched::new(&has_parked)));
        until(|| has_parked.load(std::sync::atomic::Ordering::SeqCst) > 0);
        if moment == Moment::Woken {
            (subject.end)(stage.home());
            // Now and then the survivor is awake for a new slice, or quicker, and the child sleeps on.
            until(|| stage.has_come_to(Moment::Woken) || survivor.is_finished());
        }
        let begin = child.die(death);
        if moment == Moment::Waiting && !is_barrier {
            (subject.end)(stage.home());
        }
        let end = survivor.join().unwrap();
        within_a_second(begin, &case);
        if let Some(expected) = subject.ends[moment as usize - 1] {
            assert_eq!(end, expected, "{case}");
        }
    });
}

fn play_all(name: &str) {
    let _limit = Limit::seconds(120);
    let stage = Stage::new();
    let subject = SUBJECTS.iter().find(|subject| subject.name == name).unwrap();
    for (moment, end) in Moment::ALL.into_iter().zip(subject.ends) {
        let is_another_test = moment == Moment::Holding && (end.is_none() || name == "barrier");
        for death in Death::ALL.into_iter().filter(|_| !is_another_test) {
            play(&stage, subject, moment, death);
        }
    }
}

#[test]
fn a_guard_outlives_every_death() {
    play_all("guard");
}

#[test]
fn a_lock_outlives_every_death() {
    play_all("lock");
}

#[test]
fn a_reentrant_lock_outlives_every_death() {
    play_all("rlock");
}

#[test]
fn a_semaphore_outlives_every_death() {
    play_all("semaphore");
}

#[test]
fn a_bounded_semaphore_outlives_every_death() {
    play_all("bounded semaphore");
}

#[test]
fn a_condition_outlives_every_death() {
    play_all("condition");
}

#[test]
fn an_event_outlives_every_death() {
    play_all("event");
}

#[test]
fn a_barrier_outlives_every_death() {
    play_all("barrier");
}

#[test]
fn a_barrier_whose_last_party_dies_before_it_opens_it_is_broken() {
    let _limit = Limit::seconds(30);
    let stage = Stage::new();
    for death in Death::ALL {
        stage.clear();
        let barrier = Barrier::create(stage.home(), 2).unwrap();
        std::thread::scope(|scope| {
            let survivor = scope.spawn(|| operate("barrier", stage.home(), &mut Plain));
            until(|| barrier.waiting_count() == 1);
            let child = stage.start("barrier", Moment::Holding);
            until(|| stage.has_come_to(Moment::Holding));
            let outside = scope.spawn(|| operate("barrier", stage.home(), &mut Plain));
            let begin = child.die(death);
            assert_eq!(survivor.join().unwrap(), End::Broken);
            assert_eq!(outside.join().unwrap(), End::Broken);
            within_a_second(begin, "a barrier whose actor died");
        });
        barrier.reset();
        assert!(!barrier.is_broken());
    }
}

#[test]
fn a_permit_that_is_a_signal_stays_taken_when_its_taker_dies() {
    let _limit = Limit::seconds(30);
    let stage = Stage::new();
    let semaphore = Semaphore::create(stage.home(), 1, u64::MAX).unwrap();
    let child = stage.start("semaphore", Moment::Holding);
    until(|| stage.has_come_to(Moment::Holding));
    child.die(Death::Killed);
    drop(child);
    assert!(!semaphore.try_acquire());
    semaphore.release(1).unwrap();
    assert!(semaphore.try_acquire());
}
