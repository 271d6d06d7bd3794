//! When workers are started, retired, asked to finish and killed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing unwrap is a failing test")]

mod support;

use std::time::Duration;

use support::*;
use threefold_pool::{Action, Death, JobOptions, KillReason, Outcome, PoolOptions, Staffing, WorkerEvent};

#[test]
fn a_pool_starts_all_its_workers_at_once() {
    let mut desk = Desk::new(options(3));
    assert_eq!(desk.actions(), [start(W1), start(W2), start(W3)]);
}

#[test]
fn a_pool_on_demand_starts_a_worker_when_there_are_more_jobs_than_workers() {
    let mut desk = Desk::new(PoolOptions { staffing: Staffing::OnDemand, ..options(2) });
    assert_eq!(desk.actions(), []);
    let first = desk.add();
    assert_eq!(desk.actions(), [start(W1)]);
    assert_eq!(desk.make_ready(W1), [send(W1, first)]);
    desk.hear(W1, WorkerEvent::JobReturned(first));
    let second = desk.add();
    assert_eq!(desk.actions(), [send(W1, second)]);
    desk.add();
    assert!(desk.actions().contains(&start(W2)));
    desk.add();
    assert_eq!(desk.actions(), []);
}

#[test]
fn jobs_that_cannot_be_sent_ask_for_workers_like_others() {
    let mut desk = Desk::new(PoolOptions { staffing: Staffing::OnDemand, ..options(2) });
    let first = desk.add();
    assert_eq!(desk.make_ready(W1), [start(W1), send(W1, first)]);
    assert_eq!(desk.hear(W1, WorkerEvent::JobUnsendable(first)), [resolve(first, Outcome::Unsendable)]);
    let second = desk.add();
    assert_eq!(desk.actions(), [start(W2), send(W1, second)]);
    desk.hear(W1, WorkerEvent::JobUnsendable(second));
    desk.add();
    assert!(!desk.actions().iter().any(|action| matches!(action, Action::StartWorker { .. })), "there are two");
}

#[test]
fn a_worker_is_replaced_after_as_many_jobs_as_it_may_do() {
    let mut desk = Desk::ready_with(wearing_out(1, 2));
    let jobs = [desk.add(), desk.add(), desk.add()];
    assert_eq!(desk.actions(), [send(W1, jobs[0]), send(W1, jobs[1])]);
    assert_eq!(desk.hear(W1, WorkerEvent::JobReturned(jobs[0])), [resolve(jobs[0], Outcome::Returned)]);
    let expected = [resolve(jobs[1], Outcome::Returned), finish(W1)];
    assert_eq!(desk.hear(W1, WorkerEvent::JobReturned(jobs[1])), expected);
    assert_eq!(desk.hear(W1, WorkerEvent::Exited(EXITED)), [start(W2)]);
    assert_eq!(desk.make_ready(W2), [send(W2, jobs[2])]);
}

#[test]
fn a_job_that_was_taken_back_does_not_wear_a_worker_out() {
    let mut desk = Desk::new(wearing_out(2, 2));
    desk.make_ready(W1);
    let (running, next) = (desk.add(), desk.add());
    desk.hear(W1, WorkerEvent::JobStarted(running));
    assert_eq!(desk.make_ready(W2), [take_back(W1, next)]);
    desk.hear(W1, WorkerEvent::JobTakenBack(next));
    assert_eq!(desk.hear(W1, WorkerEvent::JobReturned(running)), [resolve(running, Outcome::Returned)]);
}

#[test]
fn a_worker_that_retires_ends_its_job_and_gives_the_next_one_back() {
    let mut desk = Desk::ready(1);
    let running = desk.begin(W1, JobOptions::default());
    let next = desk.add();
    desk.actions();
    assert_eq!(desk.hear(W1, WorkerEvent::Retire), [take_back(W1, next)]);
    assert_eq!(desk.hear(W1, WorkerEvent::JobTakenBack(next)), []);
    let expected = [resolve(running, Outcome::Returned), finish(W1)];
    assert_eq!(desk.hear(W1, WorkerEvent::JobReturned(running)), expected);
    assert_eq!(desk.hear(W1, WorkerEvent::Exited(EXITED)), [start(W2)]);
    assert_eq!(desk.make_ready(W2), [send(W2, next)]);
}

#[test]
fn an_idle_worker_that_retires_is_asked_to_finish_at_once() {
    let mut desk = Desk::ready(1);
    assert_eq!(desk.hear(W1, WorkerEvent::Retire), [finish(W1)]);
    assert_eq!(desk.hear(W1, WorkerEvent::Retire), []);
}

#[test]
fn a_worker_that_does_not_finish_in_time_is_killed() {
    let mut desk = Desk::ready_with(PoolOptions { grace: Some(Duration::from_secs(2)), ..options(1) });
    desk.hear(W1, WorkerEvent::Retire);
    let kill = Action::KillWorker { worker: W1, pid: pid(W1), reason: KillReason::GraceOver };
    assert_eq!(desk.pass(Duration::from_secs(2)), [kill]);
    assert_eq!(desk.hear(W1, WorkerEvent::Exited(KILLED)), [start(W2)]);
}

#[test]
fn without_grace_a_worker_may_take_as_long_as_it_likes_to_finish() {
    let mut desk = Desk::ready_with(PoolOptions { grace: None, ..options(1) });
    desk.hear(W1, WorkerEvent::Retire);
    assert_eq!(desk.scheduler.next_wake(), None);
}

#[test]
fn there_are_never_more_processes_than_asked_for_while_one_is_replaced() {
    let mut desk = Desk::ready(1);
    desk.hear(W1, WorkerEvent::Retire);
    desk.add();
    assert_eq!(desk.actions(), []);
    assert_eq!(desk.hear(W1, WorkerEvent::Exited(EXITED)), [start(W2)]);
}

#[test]
fn a_larger_pool_starts_more_and_a_smaller_one_lets_the_idle_go() {
    let mut desk = Desk::ready(1);
    desk.begin(W1, JobOptions::default());
    desk.scheduler.resize(desk.now, count(3));
    assert_eq!(desk.actions(), [start(W2), start(W3)]);
    desk.make_ready(W2);
    desk.scheduler.resize(desk.now, count(1));
    assert_eq!(desk.actions(), [finish(W2)]);
    assert_eq!(desk.hear(W3, WorkerEvent::Started { pid: pid(W3) }), [finish(W3)]);
    assert_eq!(desk.hear(W2, WorkerEvent::Exited(EXITED)), []);
    assert_eq!(desk.hear(W3, WorkerEvent::Exited(EXITED)), []);
}

#[test]
fn a_worker_that_is_too_large_is_killed_when_it_has_given_back_what_it_has_not_begun() {
    let mut desk = Desk::ready(1);
    let running = desk.begin(W1, JobOptions::default());
    let next = desk.add();
    desk.actions();
    let kill = Action::KillWorker { worker: W1, pid: pid(W1), reason: KillReason::TooLarge };
    assert_eq!(desk.hear(W1, WorkerEvent::TooLarge), [take_back(W1, next)]);
    assert_eq!(desk.hear(W1, WorkerEvent::JobTakenBack(next)), [kill]);
    assert_eq!(desk.hear(W1, WorkerEvent::TooLarge), []);
    let death = Death { worker: W1, pid: pid(W1), exit: KILLED };
    assert_eq!(desk.hear(W1, WorkerEvent::Exited(KILLED)), [resolve(running, Outcome::WorkerDied(death)), start(W2)]);
    assert_eq!(desk.make_ready(W2), [send(W2, next)]);
}

#[test]
fn what_a_worker_that_is_too_large_reports_before_it_is_killed_counts() {
    let mut desk = Desk::ready(1);
    let running = desk.begin(W1, JobOptions::default());
    let next = desk.add();
    desk.actions();
    desk.hear(W1, WorkerEvent::TooLarge);
    assert_eq!(desk.hear(W1, WorkerEvent::JobReturned(running)), [resolve(running, Outcome::Returned)]);
    let kill = Action::KillWorker { worker: W1, pid: pid(W1), reason: KillReason::TooLarge };
    assert_eq!(desk.hear(W1, WorkerEvent::JobTakenBack(next)), [kill]);
}
