//! Workers and parents are killed in the middle of whatever they do: the link stays whole and tells the truth.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod link_support;

use std::collections::VecDeque;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::process::parent_id;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use link_support::processes::limit::Limit;
use link_support::processes::{Death, Moment, Other, Stage, until, what, within_a_second};
use link_support::{CAPACITY, Chance, JOB, REPORT, is_rung_within, of_process};
use threefold_pool::local::{Attention, Doorbell, DoorbellRinger, Frame, LinkError, ParentEnd, Plain, Stop, WorkerEnd};
use threefold_shared_memory::Instant;

const JOBS: u64 = 30_000;
const ROUNDS: u64 = 100;
/// The ledger: how often each job was begun, and how often its report was written.
const BEGUN: usize = 1024;
const REPORTED: usize = BEGUN + 30_000;
/// In a child that is a parent: where it says what the number of its link is.
const LINK_NUMBER: usize = 8;

fn entry(stage: &Stage, table: usize, job: u64) -> &AtomicU64 {
    &stage.0.words()[table + usize::try_from(job).unwrap()]
}

fn body(job: u64) -> Vec<u8> {
    let len = match job % 50 {
        49 => 200_000,
        20 => 20_000,
        other => usize::try_from(other).unwrap() * 3,
    };
    vec![u8::try_from(job % 251).unwrap(); len]
}

fn check_body(frame: &Frame) -> u64 {
    let (job, mut bytes) = (frame.job().unwrap(), Vec::new());
    frame.append(0, &mut bytes).unwrap();
    assert!(bytes == body(job), "the body of job {job} is torn");
    job
}

/// In a child: does jobs until it is killed, and enters in the ledger what it has done.
fn work_for_ever(stage: &Stage, link: i32, doorbell: i32) {
    let (link, doorbell) = (of_process(parent_id(), link), of_process(parent_id(), doorbell));
    let ringer = DoorbellRinger::new(doorbell).unwrap();
    let mut worker = WorkerEnd::attach(link.as_raw_fd(), CAPACITY, Some(ringer)).unwrap();
    loop {
        let frame = match worker.next(&mut Plain) {
            Ok(frame) => frame,
            Err(Stop::Link(LinkError::ParentGone)) => return,
            Err(error) => panic!("{error}"),
        };
        let job = check_body(&frame);
        drop(frame);
        if worker.begin(job).unwrap() {
            entry(stage, BEGUN, job).fetch_add(1, Ordering::SeqCst);
            worker.report(REPORT, 0, Some(job), &[body(job)[..].into()]).unwrap();
            entry(stage, REPORTED, job).fetch_add(1, Ordering::SeqCst);
        }
        worker.finish(job).unwrap();
    }
}

/// In a child: makes a link, and lives until it is killed.
fn be_a_parent(stage: &Stage) {
    let parent = ParentEnd::create(CAPACITY).unwrap();
    let number = u64::try_from(parent.descriptor().as_raw_fd()).unwrap();
    entry(stage, LINK_NUMBER, 0).store(number, Ordering::SeqCst);
    let _parent_gone = std::io::stdin().read(&mut [0]);
}

#[test]
#[ignore = "the other process of the tests below"]
fn child() {
    let _limit = Limit::seconds(240);
    let (what, stage) = (what(), Stage::of_parent());
    let mut words = what.split(' ');
    if words.next() == Some("parent") {
        return be_a_parent(&stage);
    }
    let mut number = || words.next().unwrap().parse().unwrap();
    work_for_ever(&stage, number(), number());
}

struct Scene {
    stage: Stage,
    doorbell: Doorbell,
    chance: Chance,
    waiting: VecDeque<u64>,
    report_count: u64,
    lost_count: u64,
    withdrawn_count: u64,
}

/// A worker, and what it has been sent and not answered, in order.
struct Worker {
    link: ParentEnd,
    other: Other,
    sent: VecDeque<u64>,
}

impl Scene {
    fn start(&self) -> Worker {
        let link = ParentEnd::create(CAPACITY).unwrap();
        let (number, bell) = (link.descriptor().as_raw_fd(), self.doorbell.write_descriptor().as_raw_fd());
        let other = self.stage.start(&format!("worker {number} {bell}"), Moment::Waiting);
        Worker { link, other, sent: VecDeque::new() }
    }

    /// One round of a parent: sends, perhaps takes one back, collects, sleeps if there is nothing.
    fn turn(&mut self, worker: &mut Worker) {
        for _ in 0..self.chance.below(30) {
            if !worker.link.has_room().unwrap() {
                break;
            }
            let Some(job) = self.waiting.pop_front() else { break };
            worker.link.send(JOB, 0, Some(job), &[body(job)[..].into()]).unwrap();
            worker.sent.push_back(job);
        }
        worker.link.wake();
        let last = worker.sent.back().copied().filter(|_| self.chance.below(4) == 0);
        if last.is_some_and(|job| worker.link.take_back(job)) {
            self.withdrawn_count += 1;
            self.waiting.extend(worker.sent.pop_back());
        }
        worker.link.set_attention(Attention::Asleep);
        if !self.collect(worker) && !worker.sent.is_empty() {
            let _died_or_rung = is_rung_within(&self.doorbell, Duration::from_millis(50));
        }
        worker.link.set_attention(Attention::Awake);
    }

    fn collect(&mut self, worker: &mut Worker) -> bool {
        let before = self.report_count;
        while let Some(frame) = worker.link.next_report().unwrap() {
            let job = check_body(&frame);
            assert_eq!(worker.sent.pop_front(), Some(job), "reports come in the order of the jobs, each once");
            self.report_count += 1;
        }
        self.report_count > before
    }

    /// What the dead worker has left: at most one job that it had begun and not answered.
    fn bury(&mut self, worker: &mut Worker) {
        self.collect(worker);
        for (index, job) in std::mem::take(&mut worker.sent).into_iter().enumerate() {
            let ledger = [BEGUN, REPORTED].map(|table| entry(&self.stage, table, job).load(Ordering::SeqCst));
            assert_eq!(ledger[1], 0, "the report of job {job} was written and did not arrive");
            if worker.link.has_begun(job) {
                assert_eq!(index, 0, "jobs are begun in their order");
                self.lost_count += 1;
            } else {
                assert_eq!(ledger[0], 0, "job {job} was begun without a mark");
                self.waiting.push_back(job);
            }
        }
    }
}

#[test]
fn a_killed_worker_leaves_true_marks_and_whole_reports() {
    let _limit = Limit::seconds(200);
    let mut scene = Scene {
        stage: Stage::new(),
        doorbell: Doorbell::create().unwrap(),
        chance: Chance(3),
        waiting: (0..JOBS).collect(),
        report_count: 0,
        lost_count: 0,
        withdrawn_count: 0,
    };
    for round in 0..ROUNDS {
        let mut worker = scene.start();
        let goal = scene.report_count + scene.chance.below(JOBS / ROUNDS / 2);
        while scene.report_count < goal && scene.report_count + scene.lost_count < JOBS {
            scene.turn(&mut worker);
        }
        let moment = Instant::now().after(Duration::from_micros(scene.chance.below(3000)));
        until(|| Instant::now() >= moment);
        worker.other.die(Death::ALL[usize::try_from(round % 3).unwrap()]);
        scene.bury(&mut worker);
    }
    let mut last = scene.start();
    while scene.report_count + scene.lost_count < JOBS {
        scene.turn(&mut last);
    }
    assert!(scene.lost_count <= ROUNDS);
    let begun: Vec<_> = (0..JOBS).map(|job| entry(&scene.stage, BEGUN, job).load(Ordering::SeqCst)).collect();
    let missing = begun.iter().filter(|&&count| count == 0).count() as u64;
    assert!(begun.iter().all(|&count| count <= 1) && missing <= scene.lost_count, "each job began once");
    assert!(scene.withdrawn_count > 0);
}

#[test]
fn a_worker_ends_within_a_second_of_its_parent() {
    let _limit = Limit::seconds(60);
    for is_stopped_first in [false, true] {
        let stage = Stage::new();
        let other = stage.start("parent", Moment::Waiting);
        until(|| entry(&stage, LINK_NUMBER, 0).load(Ordering::SeqCst) != 0);
        let number = i32::try_from(entry(&stage, LINK_NUMBER, 0).load(Ordering::SeqCst)).unwrap();
        let link = of_process(other.0.id(), number);
        let mut worker = WorkerEnd::attach(link.as_raw_fd(), CAPACITY, None).unwrap();
        if is_stopped_first {
            other.stop();
            assert!(worker.is_parent_alive());
        }
        let waiting = std::thread::spawn(move || worker.next(&mut Plain).map(|_frame| ()));
        let begin = other.die(Death::Killed);
        assert!(matches!(waiting.join().unwrap(), Err(Stop::Link(LinkError::ParentGone))));
        within_a_second(begin, "the worker");
    }
}
