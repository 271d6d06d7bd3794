//! Parties pass together or are all told that the barrier is broken.

use std::sync::Arc;

use loom::thread::spawn;
use threefold_sync::Barrier;
use threefold_sync::barrier::Arrival;
use threefold_sync::error::Broken;

use crate::model::{explore_when, thread, wait, wait_briefly};

fn meet(barrier: &Barrier, number: u64) -> Result<u64, Broken> {
    wait(barrier.wait(), number).map(|arrival| pass(barrier, arrival))
}

/// The party's index.
fn pass(barrier: &Barrier, arrival: Arrival) -> u64 {
    match arrival {
        Arrival::Passed(index) => index,
        Arrival::Last(index) => {
            barrier.open();
            index
        }
    }
}

#[test]
fn two_parties_meet_twice() {
    explore_when(false, || {
        let barrier = Arc::new(Barrier::new(2));
        let other = spawn({
            let barrier = Arc::clone(&barrier);
            move || [meet(&barrier, 1).unwrap(), meet(&barrier, 1).unwrap()]
        });
        let mine = [meet(&barrier, 2).unwrap(), meet(&barrier, 2).unwrap()];
        let theirs = other.join().unwrap();
        assert_eq!([mine[0] + theirs[0], mine[1] + theirs[1]], [1, 1], "one of each round is the last");
        assert_eq!(barrier.waiting_count(), 0);
    });
}

#[test]
fn three_parties_meet() {
    explore_when(false, || {
        let barrier = Arc::new(Barrier::new(3));
        let others = [1, 2].map(|number| {
            let barrier = Arc::clone(&barrier);
            spawn(move || meet(&barrier, number).unwrap())
        });
        let mine = meet(&barrier, 3).unwrap();
        assert_eq!(mine + others.map(|other| other.join().unwrap()).iter().sum::<u64>(), 3);
    });
}

#[test]
fn whoever_arrives_before_or_after_an_abort_is_told() {
    explore_when(false, || {
        let barrier = Arc::new(Barrier::new(3));
        let parties = [1, 2].map(|number| {
            let barrier = Arc::clone(&barrier);
            spawn(move || meet(&barrier, number))
        });
        barrier.abort();
        assert_eq!(parties.map(|party| party.join().unwrap()), [Err(Broken), Err(Broken)]);
        assert!(barrier.is_broken());
    });
}

#[test]
fn a_party_that_times_out_and_breaks_it_leaves_nobody_behind() {
    explore_when(false, || {
        let barrier = Arc::new(Barrier::new(2));
        let brief = spawn({
            let barrier = Arc::clone(&barrier);
            move || match wait_briefly(barrier.wait(), &mut thread(1)) {
                Some(arrival) => arrival.map(|arrival| pass(&barrier, arrival)).is_ok(),
                None => {
                    barrier.abort();
                    false
                }
            }
        });
        let is_through = meet(&barrier, 2).is_ok();
        let is_brief_through = brief.join().unwrap();
        assert!(is_through || !is_brief_through, "nobody passes alone");
    });
}

#[test]
fn whoever_comes_while_the_last_party_acts_waits_for_the_next_round() {
    explore_when(false, || {
        let barrier = Arc::new(Barrier::new(1));
        let other = spawn({
            let barrier = Arc::clone(&barrier);
            move || meet(&barrier, 1).unwrap()
        });
        meet(&barrier, 2).unwrap();
        other.join().unwrap();
    });
}
