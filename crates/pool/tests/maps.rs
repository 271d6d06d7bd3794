//! Maps: automatic chunks, order of delivery, bounded reading, errors, and consumers that leave.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing unwrap is a failing test")]

mod support;

use support::*;
use threefold_pool::{
    Action, Delivery, JobId, Leave, MapCause, MapEnd, MapId, MapOptions, Outcome, ReadAhead, Refused, SourceEnd,
    WorkerEvent, chunk_size,
};

fn end(map: MapId, cause: MapCause, first_failure: Option<JobId>, job_count: u64) -> Action {
    Action::EndMap { map, end: MapEnd { cause, first_failure, job_count } }
}

/// A map on three workers, with as many chunks as asked for, each with a worker of its own.
fn map_of_three(delivery: Delivery) -> (Desk, MapId, [JobId; 3]) {
    let mut desk = Desk::ready(3);
    let map = desk.add_map(MapOptions::new(delivery));
    let jobs = [0; 3].map(|_| desk.add_chunk(map));
    desk.scheduler.end_source(desk.now, map, SourceEnd::Exhausted).unwrap();
    desk.actions();
    (desk, map, jobs)
}

#[test]
fn chunks_are_as_large_as_the_standard_library_makes_them() {
    let _limit = Limit::seconds(60);
    let expected = [(0, 4, 0), (1, 4, 1), (16, 4, 1), (17, 4, 2), (100, 2, 13), (1000, 8, 32), (7, 1, 2)];
    for (item_count, worker_count, size) in expected {
        assert_eq!(chunk_size(item_count, worker_count), size, "{item_count} items, {worker_count} workers");
    }
}

#[test]
fn a_collected_map_is_pulled_at_once_and_ends_when_all_chunks_are_done() {
    let mut desk = Desk::ready(2);
    let map = desk.add_map(MapOptions::new(Delivery::Collected));
    assert_eq!(desk.actions(), [pull(map, u64::MAX)]);
    let (first, second) = (desk.add_chunk(map), desk.add_chunk(map));
    desk.scheduler.end_source(desk.now, map, SourceEnd::Exhausted).unwrap();
    desk.actions();
    assert_eq!(desk.hear(W2, WorkerEvent::JobReturned(second)), [resolve(second, Outcome::Returned)]);
    let expected = [resolve(first, Outcome::Returned), end(map, MapCause::Exhausted, None, 2)];
    assert_eq!(desk.hear(W1, WorkerEvent::JobReturned(first)), expected);
}

#[test]
fn a_collected_map_ends_after_all_chunks_with_the_failure_that_came_first() {
    let (mut desk, map, [a, b, c]) = map_of_three(Delivery::Collected);
    assert_eq!(desk.hear(W3, WorkerEvent::JobRaised(c)), [resolve(c, Outcome::Raised)]);
    assert_eq!(desk.hear(W1, WorkerEvent::JobRaised(a)), [resolve(a, Outcome::Raised)]);
    let actions = desk.hear(W2, WorkerEvent::JobReturned(b));
    assert_eq!(actions, [resolve(b, Outcome::Returned), end(map, MapCause::Exhausted, Some(c), 3)]);
}

#[test]
fn an_empty_map_ends_at_once() {
    let mut desk = Desk::ready(1);
    let map = desk.add_map(MapOptions::new(Delivery::Collected));
    desk.scheduler.end_source(desk.now, map, SourceEnd::Exhausted).unwrap();
    assert_eq!(desk.actions(), [pull(map, u64::MAX), end(map, MapCause::Exhausted, None, 0)]);
}

#[test]
fn an_ordered_map_delivers_in_the_order_of_its_source() {
    let (mut desk, map, [a, b, c]) = map_of_three(Delivery::Ordered);
    assert_eq!(desk.hear(W3, WorkerEvent::JobReturned(c)), [resolve(c, Outcome::Returned)]);
    assert_eq!(desk.hear(W1, WorkerEvent::JobRaised(a)), [resolve(a, Outcome::Raised), deliver(map, a)]);
    let rest = [deliver(map, b), deliver(map, c), end(map, MapCause::Exhausted, Some(a), 3)];
    assert_eq!(desk.hear(W2, WorkerEvent::JobReturned(b))[1..], rest);
}

#[test]
fn an_unordered_map_delivers_as_results_come() {
    let (mut desk, map, [a, b, c]) = map_of_three(Delivery::Unordered);
    assert_eq!(desk.hear(W3, WorkerEvent::JobReturned(c))[1..], [deliver(map, c)]);
    assert_eq!(desk.hear(W1, WorkerEvent::JobReturned(a))[1..], [deliver(map, a)]);
    let rest = [deliver(map, b), end(map, MapCause::Exhausted, None, 3)];
    assert_eq!(desk.hear(W2, WorkerEvent::JobReturned(b))[1..], rest);
}

#[test]
fn a_dead_worker_costs_a_map_one_chunk() {
    let (mut desk, map, [a, b, c]) = map_of_three(Delivery::Ordered);
    desk.hear(W2, WorkerEvent::JobStarted(b));
    desk.hear(W2, WorkerEvent::Exited(KILLED));
    desk.hear(W3, WorkerEvent::JobReturned(c));
    let actions = desk.hear(W1, WorkerEvent::JobReturned(a));
    let rest = [deliver(map, a), deliver(map, b), deliver(map, c), end(map, MapCause::Exhausted, Some(b), 3)];
    assert_eq!(actions[1..], rest);
}

#[test]
fn an_endless_source_is_read_two_chunks_for_each_worker_ahead_of_the_consumer() {
    let mut desk = Desk::ready(2);
    let map = desk.add_map(MapOptions::new(Delivery::Unordered));
    assert_eq!(desk.actions(), [pull(map, 4)]);
    for _ in 0..4 {
        let job = desk.add_chunk(map);
        assert_eq!(desk.actions(), [send(W1, job)]);
        desk.hear(W1, WorkerEvent::JobReturned(job));
    }
    assert_eq!(desk.scheduler.add_chunk(desk.now, map), Err(Refused::NotPulled));
    assert_eq!(desk.actions(), []);
    desk.scheduler.took(desk.now, map);
    assert_eq!(desk.actions(), [pull(map, 1)]);
    desk.scheduler.took(desk.now, map);
    assert_eq!(desk.actions(), []);
    desk.add_chunk(map);
    assert!(desk.actions().contains(&pull(map, 1)));
}

#[test]
fn a_consumer_cannot_take_more_than_it_was_given() {
    let mut desk = Desk::ready(1);
    let map = desk.add_map(MapOptions::new(Delivery::Ordered));
    desk.add_chunk(map);
    desk.actions();
    desk.scheduler.took(desk.now, map);
    desk.add_chunk(map);
    assert_eq!(desk.actions().len(), 1);
}

#[test]
fn the_read_ahead_can_be_chosen_and_grows_with_the_pool() {
    let mut desk = Desk::ready(1);
    let chosen = MapOptions { read_ahead: ReadAhead::Chunks(count(7)), ..MapOptions::new(Delivery::Ordered) };
    let (seven, by_worker) = (desk.add_map(chosen), desk.add_map(MapOptions::new(Delivery::Ordered)));
    assert_eq!(desk.actions(), [pull(seven, 7), pull(by_worker, 2)]);
    desk.add_chunk(by_worker);
    desk.add_chunk(by_worker);
    desk.scheduler.resize(desk.now, count(2));
    assert!(desk.actions().contains(&pull(by_worker, 2)));
}

#[test]
fn a_source_that_fails_leaves_its_error_in_the_place_of_the_next_item() {
    let mut desk = Desk::ready(2);
    let map = desk.add_map(MapOptions::new(Delivery::Ordered));
    let job = desk.add_chunk(map);
    desk.actions();
    let error = desk.scheduler.end_source(desk.now, map, SourceEnd::Failed).unwrap().unwrap();
    assert_eq!(desk.actions(), [resolve(error, Outcome::SourceFailed)]);
    let rest = [deliver(map, job), deliver(map, error), end(map, MapCause::Exhausted, Some(error), 2)];
    assert_eq!(desk.hear(W1, WorkerEvent::JobReturned(job))[1..], rest);
}

#[test]
fn an_item_that_cannot_be_sent_takes_its_place_and_the_map_goes_on() {
    let mut desk = Desk::ready(1);
    let map = desk.add_map(MapOptions::new(Delivery::Ordered));
    let bad = desk.scheduler.add_unsendable_chunk(desk.now, map).unwrap();
    let good = desk.add_chunk(map);
    let expected = [pull(map, 2), resolve(bad, Outcome::Unsendable), deliver(map, bad), send(W1, good)];
    assert_eq!(desk.actions(), expected);
}

#[test]
fn a_map_whose_consumer_left_is_done_to_its_end_in_silence() {
    let mut desk = Desk::ready(1);
    let map = desk.add_map(MapOptions::new(Delivery::Ordered));
    let jobs = [desk.add_chunk(map), desk.add_chunk(map)];
    desk.scheduler.leave(desk.now, map, Leave::RunOn);
    desk.actions();
    let expected = [resolve(jobs[0], Outcome::Returned), pull(map, 1)];
    assert_eq!(desk.hear(W1, WorkerEvent::JobReturned(jobs[0])), expected);
}

#[test]
fn a_map_whose_consumer_left_may_be_cancelled() {
    let mut desk = Desk::ready(1);
    let map = desk.add_map(MapOptions::new(Delivery::Ordered));
    let (running, next) = (desk.add_chunk(map), desk.add_chunk(map));
    desk.actions();
    desk.hear(W1, WorkerEvent::JobStarted(running));
    desk.scheduler.leave(desk.now, map, Leave::Cancel);
    assert_eq!(desk.actions(), [take_back(W1, next)]);
    assert_eq!(desk.hear(W1, WorkerEvent::JobTakenBack(next)), [resolve(next, Outcome::Cancelled)]);
    let expected = [resolve(running, Outcome::Returned), end(map, MapCause::Cut, Some(next), 2)];
    assert_eq!(desk.hear(W1, WorkerEvent::JobReturned(running)), expected);
}
