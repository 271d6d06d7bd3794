//! Closing, joining and terminating: everything is resolved, everybody leaves, and the end is said once.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing unwrap is a failing test")]

mod support;

use std::time::Duration;

use support::*;
use threefold_pool::{
    Action, Delivery, JobOptions, KillReason, MapCause, MapEnd, MapOptions, Outcome, SourceEnd, Unread, WorkerEvent,
};

fn kill(worker: threefold_pool::WorkerId) -> Action {
    Action::KillWorker { worker, pid: pid(worker), reason: KillReason::Terminated }
}

#[test]
fn a_closed_pool_does_what_is_there_and_then_lets_its_workers_go() {
    let mut desk = Desk::ready(2);
    let job = desk.begin(W1, JobOptions::default());
    desk.scheduler.close(desk.now);
    assert_eq!(desk.actions(), []);
    let expected = [resolve(job, Outcome::Returned), finish(W1), finish(W2)];
    assert_eq!(desk.hear(W1, WorkerEvent::JobReturned(job)), expected);
    assert_eq!(desk.hear(W2, WorkerEvent::Exited(EXITED)), []);
    assert_eq!(desk.hear(W1, WorkerEvent::Exited(EXITED)), [Action::Finished]);
    assert!(desk.scheduler.is_finished());
    desk.scheduler.close(desk.now);
    desk.scheduler.terminate(desk.now);
    assert_eq!(desk.pass(Duration::from_secs(100)), []);
}

#[test]
fn a_closed_pool_replaces_a_dead_worker_while_there_is_work_for_it() {
    let mut desk = Desk::ready(1);
    desk.begin(W1, JobOptions::default());
    let next = desk.add();
    desk.scheduler.close(desk.now);
    desk.actions();
    assert!(desk.hear(W1, WorkerEvent::Exited(KILLED)).contains(&start(W2)));
    assert_eq!(desk.make_ready(W2), [send(W2, next)]);
    desk.hear(W2, WorkerEvent::JobReturned(next));
    assert_eq!(desk.hear(W2, WorkerEvent::Exited(EXITED)), [Action::Finished]);
}

#[test]
fn a_closed_pool_does_not_replace_who_has_nothing_to_do() {
    let mut desk = Desk::ready(2);
    let job = desk.begin(W1, JobOptions::default());
    desk.scheduler.close(desk.now);
    assert_eq!(desk.hear(W2, WorkerEvent::Exited(KILLED)), []);
    desk.hear(W1, WorkerEvent::JobReturned(job));
    assert_eq!(desk.hear(W1, WorkerEvent::Exited(EXITED)), [Action::Finished]);
}

#[test]
fn a_worker_that_is_still_starting_is_let_go_as_soon_as_it_has_a_process() {
    let mut desk = Desk::new(options(1));
    desk.scheduler.close(desk.now);
    assert_eq!(desk.actions(), [start(W1)]);
    assert_eq!(desk.hear(W1, WorkerEvent::Started { pid: 7 }), [finish(W1)]);
    assert_eq!(desk.hear(W1, WorkerEvent::Exited(EXITED)), [Action::Finished]);
}

#[test]
fn termination_resolves_every_job_and_kills_every_worker() {
    let mut desk = Desk::ready(1);
    let running = desk.begin(W1, JobOptions::default());
    let (sent, waiting) = (desk.add(), desk.add());
    desk.actions();
    desk.scheduler.terminate(desk.now);
    let jobs = [running, sent, waiting].map(|job| resolve(job, Outcome::Terminated));
    assert_eq!(desk.actions(), [&jobs[..], &[kill(W1)]].concat());
    assert_eq!(desk.hear(W1, WorkerEvent::JobReturned(running)), []);
    assert_eq!(desk.hear(W1, WorkerEvent::Exited(KILLED)), [Action::Finished]);
}

#[test]
fn termination_kills_a_worker_that_gets_its_process_later() {
    let mut desk = Desk::new(options(2));
    desk.actions();
    desk.scheduler.terminate(desk.now);
    assert_eq!(desk.actions(), []);
    assert_eq!(desk.hear(W1, WorkerEvent::Started { pid: pid(W1) }), [kill(W1)]);
    assert_eq!(desk.hear(W2, WorkerEvent::NotStarted { os_error: None }), []);
    assert_eq!(desk.hear(W1, WorkerEvent::Exited(KILLED)), [Action::Finished]);
}

#[test]
fn termination_does_not_wait_for_those_that_were_asked_to_finish() {
    let mut desk = Desk::ready(1);
    desk.scheduler.close(desk.now);
    assert_eq!(desk.actions(), [finish(W1)]);
    desk.scheduler.terminate(desk.now);
    assert_eq!(desk.actions(), [kill(W1)]);
    assert_eq!(desk.scheduler.next_wake(), None);
}

#[test]
fn termination_ends_a_map_and_delivers_what_it_still_owes() {
    let mut desk = Desk::ready(1);
    let map = desk.add_map(MapOptions::new(Delivery::Ordered));
    let job = desk.add_chunk(map);
    desk.actions();
    desk.scheduler.terminate(desk.now);
    let end = MapEnd { cause: MapCause::Terminated, first_failure: Some(job), job_count: 1 };
    let expected = [resolve(job, Outcome::Terminated), deliver(map, job), Action::EndMap { map, end }, kill(W1)];
    assert_eq!(desk.actions(), expected);
    assert!(desk.scheduler.add_chunk(desk.now, map).is_err());
}

/// A closed pool with an `imap` whose consumer has stopped in the middle.
fn half_read() -> (Desk, threefold_pool::MapId) {
    let mut desk = Desk::ready(1);
    let map = desk.add_map(MapOptions::new(Delivery::Ordered));
    assert_eq!(desk.actions(), [pull(map, 2)]);
    for _ in 0..2 {
        let job = desk.add_chunk(map);
        desk.actions();
        desk.hear(W1, WorkerEvent::JobReturned(job));
    }
    desk.scheduler.close(desk.now);
    assert_eq!(desk.actions(), []);
    (desk, map)
}

#[test]
fn who_joins_after_a_half_read_imap_has_the_rest_read() {
    let (mut desk, map) = half_read();
    desk.scheduler.join(desk.now, |_| Unread::ReadOn);
    assert_eq!(desk.actions(), [pull(map, 2)]);
    let job = desk.add_chunk(map);
    desk.scheduler.end_source(desk.now, map, SourceEnd::Exhausted).unwrap();
    assert_eq!(desk.actions(), [send(W1, job)]);
    let end = MapEnd { cause: MapCause::Exhausted, first_failure: None, job_count: 3 };
    let actions = desk.hear(W1, WorkerEvent::JobReturned(job));
    assert_eq!(actions[1..], [deliver(map, job), Action::EndMap { map, end }, finish(W1)]);
}

#[test]
fn who_joins_after_a_half_read_imap_may_leave_the_rest_unread() {
    let (mut desk, map) = half_read();
    desk.scheduler.join(desk.now, |_| Unread::Cut);
    let end = MapEnd { cause: MapCause::Cut, first_failure: None, job_count: 2 };
    assert_eq!(desk.actions(), [Action::EndMap { map, end }, finish(W1)]);
    assert_eq!(desk.hear(W1, WorkerEvent::Exited(EXITED)), [Action::Finished]);
}
