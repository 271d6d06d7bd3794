//! What becomes of the jobs of a worker that dies, and of the worker's place.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing unwrap is a failing test")]

mod support;

use std::time::Duration;

use support::*;
use threefold_pool::{
    Action, Death, Ended, Exit, JobOptions, Outcome, Refused, StartFailure, StartTrouble, WorkerEvent, WorkerId,
};

fn died(worker: WorkerId, exit: Exit) -> Outcome {
    Outcome::WorkerDied(Death { worker, pid: pid(worker), exit })
}

#[test]
fn only_the_job_that_had_begun_fails_and_the_other_goes_to_the_replacement() {
    let mut desk = Desk::ready(1);
    let guilty = desk.begin(W1, JobOptions::default());
    let innocent = desk.add();
    assert_eq!(desk.actions(), [send(W1, innocent)]);
    assert_eq!(desk.hear(W1, WorkerEvent::Exited(KILLED)), [resolve(guilty, died(W1, KILLED)), start(W2)]);
    assert_eq!(desk.make_ready(W2), [send(W2, innocent)]);
}

#[test]
fn the_outcome_says_who_died_how_and_whether_memory_ran_out() {
    let mut desk = Desk::ready(1);
    let job = desk.begin(W1, JobOptions::default());
    let exit = Exit { ended: Ended::Signal(9), is_out_of_memory: true };
    let death = Death { worker: W1, pid: pid(W1), exit };
    assert_eq!(desk.hear(W1, WorkerEvent::Exited(exit))[0], resolve(job, Outcome::WorkerDied(death)));
    assert_eq!(death.to_string(), "process 1001 died (signal 9, probably killed because it needed too much memory)");
}

#[test]
fn a_clean_exit_in_the_middle_of_a_job_is_a_death_too() {
    let mut desk = Desk::ready(1);
    let job = desk.begin(W1, JobOptions::default());
    assert_eq!(desk.hear(W1, WorkerEvent::Exited(EXITED))[0], resolve(job, died(W1, EXITED)));
}

#[test]
fn a_job_with_retries_is_run_again_before_younger_ones() {
    let mut desk = Desk::ready(1);
    let job = desk.begin(W1, with_retries(1));
    let younger = desk.add();
    desk.actions();
    assert_eq!(desk.hear(W1, WorkerEvent::Exited(KILLED)), [start(W2)]);
    assert_eq!(desk.make_ready(W2), [send(W2, job), send(W2, younger)]);
    desk.hear(W2, WorkerEvent::JobStarted(job));
    assert_eq!(desk.hear(W2, WorkerEvent::Exited(KILLED)), [resolve(job, died(W2, KILLED)), start(W3)]);
}

#[test]
fn a_late_message_of_a_dead_worker_changes_nothing() {
    let mut desk = Desk::ready(1);
    let job = desk.begin(W1, with_retries(1));
    desk.hear(W1, WorkerEvent::Exited(KILLED));
    desk.make_ready(W2);
    desk.hear(W2, WorkerEvent::JobStarted(job));
    assert_eq!(desk.hear(W1, WorkerEvent::JobReturned(job)), []);
    assert_eq!(desk.hear(W1, WorkerEvent::Exited(KILLED)), []);
    assert_eq!(desk.hear(W2, WorkerEvent::JobReturned(job)), [resolve(job, Outcome::Returned)]);
}

#[test]
fn a_worker_that_dies_while_idle_is_replaced() {
    let mut desk = Desk::ready(2);
    assert_eq!(desk.hear(W2, WorkerEvent::Exited(KILLED)), [start(W3)]);
}

#[test]
fn a_job_whose_worker_dies_before_the_answer_to_a_recall_is_not_lost() {
    let mut desk = Desk::new(options(2));
    desk.make_ready(W1);
    let (running, next) = (desk.add(), desk.add());
    desk.hear(W1, WorkerEvent::JobStarted(running));
    assert_eq!(desk.make_ready(W2), [take_back(W1, next)]);
    let actions = desk.hear(W1, WorkerEvent::Exited(KILLED));
    assert_eq!(actions, [resolve(running, died(W1, KILLED)), start(W3), send(W2, next)]);
    assert_eq!(desk.hear(W1, WorkerEvent::JobTakenBack(next)), []);
}

#[test]
fn an_initializer_that_always_fails_fails_every_job_after_three_workers() {
    let mut desk = Desk::new(options(1));
    let job = desk.add();
    for worker in [W1, W2] {
        desk.hear(worker, WorkerEvent::Started { pid: pid(worker) });
        assert_eq!(desk.hear(worker, WorkerEvent::InitializerFailed), [finish(worker)]);
        assert_eq!(desk.hear(worker, WorkerEvent::Exited(EXITED)), [start(WorkerId(worker.0 + 1))]);
    }
    desk.hear(W3, WorkerEvent::Started { pid: pid(W3) });
    let failure = StartFailure { worker: W3, pid: Some(pid(W3)), trouble: StartTrouble::InitializerFailed };
    let expected = [finish(W3), Action::Broken(failure), resolve(job, Outcome::NoWorker(failure))];
    assert_eq!(desk.hear(W3, WorkerEvent::InitializerFailed), expected);
    assert_eq!(desk.hear(W3, WorkerEvent::Exited(EXITED)), []);
    let refused = desk.scheduler.add_job(desk.now, JobOptions::default());
    assert_eq!(refused, Err(Refused::Broken(failure)));
    assert_eq!(refused.unwrap_err().to_string(), "the pool has no workers: the initializer failed in process 1003");
    desk.scheduler.close(desk.now);
    assert_eq!(desk.actions(), [Action::Finished]);
}

#[test]
fn a_job_that_no_worker_lives_to_begin_ends_too() {
    let mut desk = Desk::ready_with(giving_up_after(1, 2));
    let job = desk.add();
    assert_eq!(desk.actions(), [send(W1, job)]);
    assert_eq!(desk.hear(W1, WorkerEvent::Exited(KILLED)), [start(W2)]);
    assert_eq!(desk.make_ready(W2), [send(W2, job)]);
    let failure = StartFailure { worker: W2, pid: Some(pid(W2)), trouble: StartTrouble::Died(KILLED) };
    let expected = [Action::Broken(failure), resolve(job, Outcome::NoWorker(failure))];
    assert_eq!(desk.hear(W2, WorkerEvent::Exited(KILLED)), expected);
}

#[test]
fn a_worker_that_begins_a_job_clears_the_failures_before_it() {
    let mut desk = Desk::new(giving_up_after(1, 2));
    desk.actions();
    desk.hear(W1, WorkerEvent::NotStarted { os_error: Some(11) });
    desk.make_ready(W2);
    let job = desk.begin(W2, JobOptions::default());
    desk.hear(W2, WorkerEvent::JobReturned(job));
    assert_eq!(desk.hear(W2, WorkerEvent::Exited(KILLED)), [start(W3)]);
    assert_eq!(desk.hear(W3, WorkerEvent::NotStarted { os_error: Some(11) }), [start(W4)]);
}

#[test]
fn while_others_work_starting_rests_and_is_tried_again() {
    let mut desk = Desk::new(giving_up_after(2, 1));
    desk.make_ready(W1);
    desk.actions();
    assert_eq!(desk.hear(W2, WorkerEvent::NotStarted { os_error: Some(11) }), []);
    assert_eq!(desk.scheduler.next_wake(), Some(desk.now.after(Duration::from_millis(100))));
    assert_eq!(desk.pass(Duration::from_millis(100)), [start(W3)]);
    assert_eq!(desk.hear(W3, WorkerEvent::NotStarted { os_error: Some(11) }), []);
    assert_eq!(desk.pass(Duration::from_millis(199)), []);
    assert_eq!(desk.pass(Duration::from_millis(1)), [start(W4)]);
}

#[test]
fn idle_workers_that_die_now_and_then_are_no_reason_to_give_up() {
    let mut desk = Desk::ready_with(giving_up_after(1, 2));
    for number in 1..10 {
        desk.pass(Duration::from_secs(60));
        let next = WorkerId(number + 1);
        assert_eq!(desk.hear(WorkerId(number), WorkerEvent::Exited(KILLED)), [start(next)]);
        desk.make_ready(next);
    }
}
