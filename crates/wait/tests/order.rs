//! The queue's order: arbitrary sequences of arrivals, gifts and departures against a plain list.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing unwrap is a failing test")]
#![allow(dead_code, unreachable_pub, reason = "the support is shared; each test program uses its part")]

use std::collections::VecDeque;

use proptest::prelude::*;
use threefold_wait::{Owner, Ticket, Wait, Withdrawal};

#[path = "support/limit.rs"]
mod limit;
#[path = "support/permits.rs"]
mod permits;

use limit::Limit;
use permits::Permits;

#[derive(Clone, Debug)]
enum Step {
    Arrive,
    /// The waiter at this place of the list gives up.
    Leave(prop::sample::Index, bool),
    /// One permit, which the told waiter comes for at once.
    Give,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Arrive),
        1 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(place, is_kept)| Step::Leave(place, is_kept)),
        2 => Just(Step::Give),
    ]
}

fn arrive(permits: &Permits, number: u64) -> Ticket {
    let mut ticket = Ticket::thread(Owner(number));
    assert_eq!(permits.take().poll(&mut ticket), None);
    ticket
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_longest_waiting_is_told_first(steps in prop::collection::vec(step(), 1..200)) {
        let _limit = Limit::seconds(60);
        let permits = Permits::new(0);
        let mut waiting = VecDeque::new();
        for (number, step) in (1..).zip(steps) {
            match step {
                Step::Arrive => waiting.push_back(arrive(&permits, number)),
                Step::Leave(place, is_kept) if !waiting.is_empty() => {
                    let mut ticket = waiting.remove(place.index(waiting.len())).unwrap();
                    let withdrawal = if is_kept { Withdrawal::Keep } else { Withdrawal::HandOn };
                    prop_assert_eq!(permits.take().withdraw(&mut ticket, withdrawal), None);
                }
                Step::Give if !waiting.is_empty() => {
                    permits.give(1);
                    let mut ready = vec![];
                    for (place, ticket) in waiting.iter_mut().enumerate() {
                        if permits.take().poll(ticket).is_some() {
                            ready.push(place);
                        }
                    }
                    prop_assert_eq!(ready, [0]);
                    waiting.pop_front();
                }
                Step::Leave(..) | Step::Give => {}
            }
            prop_assert_eq!(permits.waiter_count(), waiting.len());
            prop_assert_eq!(permits.free(), 0);
        }
    }
}

#[test]
fn whoever_returns_from_a_nudge_that_led_to_nothing_stands_at_the_front() {
    let _limit = Limit::seconds(60);
    let permits = Permits::new(0);
    let (mut first, mut second) = (arrive(&permits, 1), arrive(&permits, 2));
    permits.give(1);
    if !permits.try_take() {
        // On a slow machine the first has lost patience: it was granted the permit, which nobody can take from it.
        assert_eq!(permits.take().poll(&mut first), Some(()));
        return;
    }
    assert_eq!(permits.take().poll(&mut first), None);
    permits.give(1);
    assert_eq!(permits.take().poll(&mut second), None);
    assert_eq!(permits.take().poll(&mut first), Some(()));
}

#[test]
fn a_nudge_passes_to_the_next_when_the_first_is_withdrawn() {
    let _limit = Limit::seconds(60);
    let permits = Permits::new(0);
    let (mut first, mut second) = (arrive(&permits, 1), arrive(&permits, 2));
    permits.give(1);
    assert_eq!(permits.take().withdraw(&mut first, Withdrawal::HandOn), None);
    assert_eq!(permits.take().poll(&mut second), Some(()));
}

#[test]
fn many_that_leave_do_not_stay_in_the_queue() {
    let _limit = Limit::seconds(60);
    let permits = Permits::new(0);
    let mut tickets: Vec<_> = (1..=1000).map(|number| arrive(&permits, number)).collect();
    let mut last = tickets.pop().unwrap();
    for mut ticket in tickets {
        assert_eq!(permits.take().withdraw(&mut ticket, Withdrawal::HandOn), None);
    }
    assert_eq!(permits.waiter_count(), 1);
    permits.give(1);
    assert_eq!(permits.take().poll(&mut last), Some(()));
}
