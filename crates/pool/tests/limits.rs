//! Cancellation and time limits: what is taken back, what is killed, and that nobody else suffers.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing unwrap is a failing test")]

mod support;

use std::time::Duration;

use support::*;
use threefold_pool::{Action, Cancel, Cancellation, Death, JobOptions, KillReason, Outcome, WorkerEvent, WorkerId};

fn kill(worker: WorkerId, reason: KillReason) -> Action {
    Action::KillWorker { worker, pid: pid(worker), reason }
}

#[test]
fn a_job_that_runs_too_long_is_killed_and_resolved_when_it_is_dead() {
    let mut desk = Desk::ready(1);
    let job = desk.begin(W1, with_timeout(5));
    assert_eq!(desk.scheduler.next_wake(), Some(desk.now.after(Duration::from_secs(5))));
    assert_eq!(desk.pass(Duration::from_millis(4999)), []);
    assert_eq!(desk.pass(Duration::from_millis(1)), [kill(W1, KillReason::TimedOut(job))]);
    let death = Death { worker: W1, pid: pid(W1), exit: KILLED };
    let expected = [resolve(job, Outcome::TimedOut(death)), start(W2)];
    assert_eq!(desk.hear(W1, WorkerEvent::Exited(KILLED)), expected);
    assert_eq!(desk.scheduler.next_wake(), None);
}

#[test]
fn a_time_limit_counts_from_the_start_of_the_job() {
    let mut desk = Desk::ready(1);
    let first = desk.begin(W1, JobOptions::default());
    let second = desk.add_with(with_timeout(5));
    assert_eq!(desk.pass(Duration::from_secs(60)), [send(W1, second)]);
    desk.hear(W1, WorkerEvent::JobReturned(first));
    desk.hear(W1, WorkerEvent::JobStarted(second));
    assert_eq!(desk.pass(Duration::from_secs(4)), []);
    assert_eq!(desk.pass(Duration::from_secs(1)), [kill(W1, KillReason::TimedOut(second))]);
}

#[test]
fn the_next_job_is_taken_back_before_its_worker_is_killed() {
    let mut desk = Desk::ready(1);
    let late = desk.begin(W1, with_timeout(5));
    let innocent = desk.add();
    desk.actions();
    assert_eq!(desk.pass(Duration::from_secs(5)), [take_back(W1, innocent)]);
    assert_eq!(desk.hear(W1, WorkerEvent::JobTakenBack(innocent)), [kill(W1, KillReason::TimedOut(late))]);
    desk.hear(W1, WorkerEvent::Exited(KILLED));
    assert_eq!(desk.make_ready(W2), [send(W2, innocent)]);
}

#[test]
fn a_worker_that_has_gone_on_to_the_next_job_is_not_killed() {
    let mut desk = Desk::ready(1);
    let late = desk.begin(W1, with_timeout(5));
    let innocent = desk.add();
    desk.actions();
    assert_eq!(desk.pass(Duration::from_secs(5)), [take_back(W1, innocent)]);
    assert_eq!(desk.hear(W1, WorkerEvent::JobNotTakenBack(innocent)), []);
    assert_eq!(desk.hear(W1, WorkerEvent::JobReturned(late)), [resolve(late, Outcome::Returned)]);
    assert_eq!(desk.hear(W1, WorkerEvent::JobReturned(innocent)), [resolve(innocent, Outcome::Returned)]);
}

#[test]
fn a_worker_that_has_gone_on_is_not_killed_for_a_cancellation_either() {
    let mut desk = Desk::ready(1);
    let late = desk.begin(W1, with_timeout(5));
    let innocent = desk.add();
    desk.actions();
    assert_eq!(desk.pass(Duration::from_secs(5)), [take_back(W1, innocent)]);
    desk.hear(W1, WorkerEvent::JobNotTakenBack(innocent));
    assert_eq!(desk.scheduler.cancel(desk.now, late, Cancel::EvenIfStarted), Cancellation::Asked);
    assert_eq!(desk.actions(), []);
    assert_eq!(desk.hear(W1, WorkerEvent::JobReturned(late)), [resolve(late, Outcome::Returned)]);
}

#[test]
fn the_late_news_of_an_earlier_job_does_not_spare_a_later_one() {
    let mut desk = Desk::new(options(2));
    desk.make_ready(W1);
    let (earlier, endless) = (desk.add(), desk.add_with(with_timeout(5)));
    desk.actions();
    assert_eq!(desk.make_ready(W2), [take_back(W1, endless)]);
    desk.hear(W1, WorkerEvent::JobNotTakenBack(endless));
    let filler = desk.begin(W2, JobOptions::default());
    assert_eq!(desk.scheduler.worker_of(filler), Some(W2));
    assert_eq!(desk.pass(Duration::from_secs(5)), [take_back(W1, earlier)]);
    assert_eq!(desk.hear(W1, WorkerEvent::JobStarted(earlier)), [kill(W1, KillReason::TimedOut(endless))]);
}

#[test]
fn a_worker_whose_late_job_is_done_before_the_kill_is_spared() {
    let mut desk = Desk::ready(1);
    let late = desk.begin(W1, with_timeout(5));
    let next = desk.add();
    desk.actions();
    assert_eq!(desk.pass(Duration::from_secs(5)), [take_back(W1, next)]);
    assert_eq!(desk.hear(W1, WorkerEvent::JobReturned(late)), [resolve(late, Outcome::Returned)]);
    assert_eq!(desk.hear(W1, WorkerEvent::JobTakenBack(next)), [send(W1, next)]);
}

#[test]
fn the_first_reason_to_kill_stands() {
    let mut desk = Desk::ready(1);
    let late = desk.begin(W1, with_timeout(5));
    let next = desk.add();
    desk.actions();
    assert_eq!(desk.pass(Duration::from_secs(5)), [take_back(W1, next)]);
    assert_eq!(desk.scheduler.cancel(desk.now, late, Cancel::EvenIfStarted), Cancellation::Asked);
    assert_eq!(desk.hear(W1, WorkerEvent::JobTakenBack(next)), [kill(W1, KillReason::TimedOut(late))]);
}

#[test]
fn a_result_that_comes_between_the_kill_and_the_death_counts() {
    let mut desk = Desk::ready(1);
    let job = desk.begin(W1, with_timeout(5));
    desk.pass(Duration::from_secs(5));
    assert_eq!(desk.hear(W1, WorkerEvent::JobReturned(job)), [resolve(job, Outcome::Returned)]);
    assert_eq!(desk.hear(W1, WorkerEvent::Exited(KILLED)), [start(W2)]);
}

#[test]
fn a_job_that_was_killed_for_time_is_not_run_again() {
    let mut desk = Desk::ready(1);
    let job = desk.begin(W1, JobOptions { retry_count: 3, ..with_timeout(5) });
    desk.pass(Duration::from_secs(5));
    let actions = desk.hear(W1, WorkerEvent::Exited(KILLED));
    assert!(matches!(actions[0], Action::Resolve { job: late, outcome: Outcome::TimedOut(_) } if late == job));
}

#[test]
fn a_waiting_job_is_cancelled_at_once() {
    let mut desk = Desk::new(options(1));
    let job = desk.add();
    assert_eq!(desk.scheduler.cancel(desk.now, job, Cancel::IfNotStarted), Cancellation::Cancelled);
    assert_eq!(desk.actions(), [start(W1), resolve(job, Outcome::Cancelled)]);
    assert_eq!(desk.scheduler.cancel(desk.now, job, Cancel::IfNotStarted), Cancellation::Over);
    assert_eq!(desk.make_ready(W1), []);
}

#[test]
fn a_job_that_was_sent_is_cancelled_when_it_is_back() {
    let mut desk = Desk::ready(1);
    let job = desk.add();
    assert_eq!(desk.actions(), [send(W1, job)]);
    assert_eq!(desk.scheduler.cancel(desk.now, job, Cancel::IfNotStarted), Cancellation::Asked);
    assert_eq!(desk.actions(), [take_back(W1, job)]);
    assert_eq!(desk.hear(W1, WorkerEvent::JobTakenBack(job)), [resolve(job, Outcome::Cancelled)]);
}

#[test]
fn a_job_that_has_begun_goes_on_when_it_is_cancelled() {
    let mut desk = Desk::ready(1);
    let job = desk.begin(W1, JobOptions::default());
    assert_eq!(desk.scheduler.cancel(desk.now, job, Cancel::IfNotStarted), Cancellation::TooLate);
    assert_eq!(desk.actions(), []);
    assert_eq!(desk.hear(W1, WorkerEvent::JobReturned(job)), [resolve(job, Outcome::Returned)]);
}

#[test]
fn a_job_that_must_be_cancelled_is_killed() {
    let mut desk = Desk::ready(1);
    let job = desk.begin(W1, with_retries(5));
    assert_eq!(desk.scheduler.cancel(desk.now, job, Cancel::EvenIfStarted), Cancellation::Asked);
    assert_eq!(desk.actions(), [kill(W1, KillReason::Cancelled(job))]);
    assert_eq!(desk.hear(W1, WorkerEvent::Exited(KILLED)), [resolve(job, Outcome::Cancelled), start(W2)]);
}

#[test]
fn a_job_that_must_be_cancelled_and_begins_meanwhile_is_killed() {
    let mut desk = Desk::ready(1);
    let job = desk.add();
    desk.actions();
    assert_eq!(desk.scheduler.cancel(desk.now, job, Cancel::EvenIfStarted), Cancellation::Asked);
    assert_eq!(desk.actions(), [take_back(W1, job)]);
    assert_eq!(desk.hear(W1, WorkerEvent::JobNotTakenBack(job)), [kill(W1, KillReason::Cancelled(job))]);
}

#[test]
fn a_cancelled_job_is_not_run_again_when_its_worker_dies_before_it_began() {
    let mut desk = Desk::ready(1);
    let job = desk.add();
    desk.scheduler.cancel(desk.now, job, Cancel::IfNotStarted);
    desk.actions();
    assert_eq!(desk.hear(W1, WorkerEvent::Exited(KILLED)), [resolve(job, Outcome::Cancelled), start(W2)]);
}

#[test]
fn everything_that_has_not_begun_can_be_cancelled_together() {
    let mut desk = Desk::ready(1);
    let running = desk.begin(W1, JobOptions::default());
    let (sent, waiting) = (desk.add(), desk.add());
    assert_eq!(desk.actions(), [send(W1, sent)]);
    desk.scheduler.cancel_unstarted(desk.now);
    assert_eq!(desk.actions(), [take_back(W1, sent), resolve(waiting, Outcome::Cancelled)]);
    assert_eq!(desk.hear(W1, WorkerEvent::JobTakenBack(sent)), [resolve(sent, Outcome::Cancelled)]);
    assert_eq!(desk.hear(W1, WorkerEvent::JobReturned(running)), [resolve(running, Outcome::Returned)]);
}
