//! Who gets a job, in which order, and what is given to somebody else.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing unwrap is a failing test")]

mod support;

use support::*;
use threefold_pool::{JobOptions, Outcome, PoolOptions, Refused, WorkerEvent};

#[test]
fn a_job_goes_to_an_idle_worker_and_is_resolved_when_it_is_done() {
    let mut desk = Desk::ready(1);
    let job = desk.add();
    assert_eq!(desk.actions(), [send(W1, job)]);
    assert_eq!(desk.hear(W1, WorkerEvent::JobStarted(job)), []);
    assert!(desk.scheduler.is_running(job));
    assert_eq!(desk.hear(W1, WorkerEvent::JobReturned(job)), [resolve(job, Outcome::Returned)]);
    assert_eq!(desk.scheduler.open_job_count(), 0);
}

#[test]
fn a_call_that_raises_is_resolved_as_raised() {
    let mut desk = Desk::ready(1);
    let job = desk.begin(W1, JobOptions::default());
    assert_eq!(desk.hear(W1, WorkerEvent::JobRaised(job)), [resolve(job, Outcome::Raised)]);
}

#[test]
fn jobs_wait_until_a_worker_is_ready() {
    let mut desk = Desk::new(options(1));
    let job = desk.add();
    assert_eq!(desk.actions(), [start(W1)]);
    assert_eq!(desk.hear(W1, WorkerEvent::Started { pid: 7 }), []);
    assert_eq!(desk.hear(W1, WorkerEvent::Ready), [send(W1, job)]);
}

#[test]
fn every_worker_has_one_job_before_any_has_two_and_none_has_three() {
    let mut desk = Desk::ready(2);
    let jobs: Vec<_> = (0..5).map(|_| desk.add()).collect();
    let expected = [send(W1, jobs[0]), send(W2, jobs[1]), send(W1, jobs[2]), send(W2, jobs[3])];
    assert_eq!(desk.actions(), expected);
    assert_eq!(desk.scheduler.waiting_job_count(), 1);
    assert_eq!(desk.scheduler.jobs_of(W1), [jobs[0], jobs[2]]);
}

#[test]
fn with_depth_one_a_worker_gets_the_next_job_when_it_has_done_the_last() {
    let mut desk = Desk::ready_with(PoolOptions { depth: count(1), ..options(1) });
    let (first, second) = (desk.add(), desk.add());
    assert_eq!(desk.actions(), [send(W1, first)]);
    let expected = [resolve(first, Outcome::Returned), send(W1, second)];
    assert_eq!(desk.hear(W1, WorkerEvent::JobReturned(first)), expected);
}

#[test]
fn higher_priority_goes_first_and_equal_priority_by_age() {
    let mut desk = Desk::new(PoolOptions { depth: count(4), ..options(1) });
    let with_priority = |priority| JobOptions { priority, ..JobOptions::default() };
    let (low, middle) = (desk.add_with(with_priority(-1)), desk.add());
    let (high, also_middle) = (desk.add_with(with_priority(7)), desk.add());
    desk.actions();
    let expected = [send(W1, high), send(W1, middle), send(W1, also_middle), send(W1, low)];
    assert_eq!(desk.make_ready(W1), expected);
}

#[test]
fn an_idle_worker_gets_the_job_that_a_busy_one_has_not_begun() {
    let mut desk = Desk::new(options(2));
    desk.make_ready(W1);
    let (running, next) = (desk.add(), desk.add());
    desk.hear(W1, WorkerEvent::JobStarted(running));
    assert_eq!(desk.make_ready(W2), [take_back(W1, next)]);
    assert_eq!(desk.hear(W1, WorkerEvent::JobTakenBack(next)), [send(W2, next)]);
    assert_eq!(desk.scheduler.worker_of(next), Some(W2));
}

#[test]
fn a_worker_keeps_the_first_of_its_jobs_even_unbegun() {
    let mut desk = Desk::new(options(3));
    desk.make_ready(W1);
    let (_first, second) = (desk.add(), desk.add());
    desk.actions();
    assert_eq!(desk.make_ready(W2), [take_back(W1, second)]);
    assert_eq!(desk.make_ready(W3), []);
}

#[test]
fn no_more_is_asked_back_than_the_idle_can_do() {
    let mut desk = Desk::new(options(3));
    desk.make_ready(W1);
    desk.make_ready(W2);
    let jobs: Vec<_> = (0..4).map(|_| desk.add()).collect();
    desk.actions();
    assert_eq!(desk.make_ready(W3), [take_back(W2, jobs[3])]);
    assert_eq!(desk.hear(W1, WorkerEvent::JobStarted(jobs[0])), []);
}

#[test]
fn a_job_that_has_begun_after_all_stays_where_it_is() {
    let mut desk = Desk::new(options(2));
    desk.make_ready(W1);
    let (running, next) = (desk.add(), desk.add());
    desk.hear(W1, WorkerEvent::JobStarted(running));
    assert_eq!(desk.make_ready(W2), [take_back(W1, next)]);
    assert_eq!(desk.hear(W1, WorkerEvent::JobNotTakenBack(next)), []);
    desk.hear(W1, WorkerEvent::JobReturned(running));
    assert_eq!(desk.hear(W1, WorkerEvent::JobReturned(next)), [resolve(next, Outcome::Returned)]);
}

#[test]
fn a_job_that_cannot_be_sent_is_resolved_as_such_and_its_worker_goes_on() {
    let mut desk = Desk::ready(1);
    let (bad, good) = (desk.add(), desk.add());
    desk.actions();
    assert_eq!(desk.hear(W1, WorkerEvent::JobUnsendable(bad)), [resolve(bad, Outcome::Unsendable)]);
    assert_eq!(desk.scheduler.jobs_of(W1), [good]);
}

#[test]
fn what_is_told_twice_or_by_the_wrong_worker_changes_nothing() {
    let mut desk = Desk::ready(2);
    let job = desk.begin(W1, JobOptions::default());
    assert_eq!(desk.hear(W2, WorkerEvent::JobReturned(job)), []);
    assert_eq!(desk.hear(W1, WorkerEvent::JobStarted(job)), []);
    assert_eq!(desk.hear(W1, WorkerEvent::Ready), []);
    assert_eq!(desk.hear(W1, WorkerEvent::JobReturned(job)), [resolve(job, Outcome::Returned)]);
    assert_eq!(desk.hear(W1, WorkerEvent::JobReturned(job)), []);
    assert_eq!(desk.hear(W1, WorkerEvent::JobRaised(job)), []);
}

#[test]
fn a_closed_pool_refuses_jobs_and_maps() {
    let mut desk = Desk::ready(1);
    desk.scheduler.close(desk.now);
    assert_eq!(desk.scheduler.add_job(desk.now, JobOptions::default()), Err(Refused::Closed));
    let map = threefold_pool::MapOptions::new(threefold_pool::Delivery::Ordered);
    assert_eq!(desk.scheduler.add_map(desk.now, map), Err(Refused::Closed));
    assert!(!desk.scheduler.is_taking_jobs());
}
