//! The link between a pool and a worker, both ends played by one process.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod link_support;

use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use link_support::processes::limit::Limit;
use link_support::processes::until;
use link_support::{CAPACITY, JOB, REPORT, is_rung_within, link};
use threefold_pool::local::{
    Attention, Doorbell, LinkError, MOST_UNFINISHED, ParentEnd, Plain, RingError, Stop, WorkerEnd,
};

const AT_ONCE: Duration = Duration::ZERO;

/// The worker takes a job and answers it; says whether it began.
fn work(worker: &mut WorkerEnd) -> bool {
    let job = worker.try_next().unwrap().unwrap().job().unwrap();
    let has_begun = worker.begin(job).unwrap();
    if has_begun {
        worker.report(REPORT, 0, Some(job), &[b"done"[..].into()]).unwrap();
    }
    worker.finish(job).unwrap();
    has_begun
}

#[test]
fn a_job_goes_there_and_its_report_comes_back() {
    let _limit = Limit::seconds(30);
    let (mut parent, mut worker) = link(&Doorbell::create().unwrap());
    parent.send(JOB, 5, Some(77), &[b"function"[..].into(), [][..].into(), [3; 10_000][..].into()]).unwrap();
    parent.send(9, 0, None, &[]).unwrap();
    assert_eq!((parent.unread_count().unwrap(), parent.unfinished_count().unwrap()), (2, 1));
    let frame = worker.next(&mut Plain).unwrap();
    assert_eq!((frame.kind(), frame.flags(), frame.job(), frame.part_count()), (JOB, 5, Some(77), 3));
    let mut body = Vec::new();
    frame.append(0, &mut body).unwrap();
    assert_eq!((body.as_slice(), frame.part_bytes(1), frame.part_bytes(2)), (&b"function"[..], Some(0), Some(10_000)));
    frame.done();
    assert!(!parent.has_begun(77) && worker.begin(77).unwrap() && parent.has_begun(77));
    assert!(matches!(worker.try_next(), Err(LinkError::NotCurrent { job: 77 })));
    assert!(matches!(worker.finish(78), Err(LinkError::NotCurrent { job: 78 })));
    worker.report(REPORT, 0, Some(77), &[b"result"[..].into()]).unwrap();
    worker.finish(77).unwrap();
    let report = parent.next_report().unwrap().unwrap();
    assert_eq!((report.kind(), report.job(), parent.unfinished_count().unwrap()), (REPORT, Some(77), 0));
    assert!(matches!(parent.next_report(), Err(LinkError::Ring(RingError::FrameInUse))));
    drop(report);
    assert!(parent.next_report().unwrap().is_none());
    assert_eq!(worker.try_next().unwrap().unwrap().kind(), 9);
}

#[test]
fn a_job_that_was_taken_back_does_not_begin() {
    let _limit = Limit::seconds(30);
    let (mut parent, mut worker) = link(&Doorbell::create().unwrap());
    for job in 0..3 {
        parent.send(JOB, 0, Some(job), &[]).unwrap();
    }
    assert!(parent.take_back(1) && !parent.take_back(1) && !parent.take_back(9));
    assert!(work(&mut worker));
    assert!(!parent.take_back(0));
    assert!(!work(&mut worker));
    assert!(work(&mut worker));
    assert_eq!(parent.unfinished_count().unwrap(), 0);
    assert_eq!([0, 1, 2].map(|job| parent.has_begun(job)), [true, false, true]);
}

#[test]
fn a_worker_has_room_for_many_short_jobs_and_two_long_ones() {
    let _limit = Limit::seconds(30);
    let (mut parent, mut worker) = link(&Doorbell::create().unwrap());
    let mut job = 0;
    while parent.has_room().unwrap() {
        parent.send(JOB, 0, Some(job), &[b"short"[..].into()]).unwrap();
        job += 1;
    }
    assert_eq!(job, MOST_UNFINISHED);
    while let Ok(()) = parent.send(JOB, 0, Some(job), &[]) {
        job += 1;
    }
    assert!(matches!(parent.send(JOB, 0, Some(job), &[]), Err(LinkError::TooManyJobs { unfinished_count: 256 })));
    assert!(matches!(parent.send(JOB, 0, Some(u64::MAX), &[]), Err(LinkError::TooManyJobs { .. })));
    (0..256).for_each(|_| assert!(work(&mut worker)));
    assert!(matches!(parent.send(JOB, 0, Some(u64::MAX), &[]), Err(LinkError::JobNumber { .. })));
    let long = vec![1; 3 << 20];
    for count in 0..2 {
        assert!(parent.has_room().unwrap());
        parent.send(JOB, 0, Some(count), &[long[..].into()]).unwrap();
    }
    assert!(!parent.has_room().unwrap());
    assert!(work(&mut worker) && parent.has_room().unwrap());
    let error = parent.send(JOB, 0, Some(5), &[vec![0; CAPACITY + 1][..].into()]).unwrap_err();
    assert!(matches!(error, LinkError::Ring(RingError::Full { .. })), "{error}");
}

#[test]
fn an_idle_link_keeps_little_memory() {
    let _limit = Limit::seconds(60);
    let (mut parent, mut worker) = link(&Doorbell::create().unwrap());
    let long = vec![1; 10 << 20];
    for job in 0..5 {
        parent.send(JOB, 0, Some(job), &[long[..].into()]).unwrap();
        let job = worker.try_next().unwrap().unwrap().job().unwrap();
        worker.begin(job).unwrap();
        worker.report(REPORT, 0, Some(job), &[long[..].into()]).unwrap();
        worker.finish(job).unwrap();
        drop(parent.next_report().unwrap().unwrap());
    }
    assert!(parent.resident_bytes().unwrap() > 20 << 20);
    parent.tidy().unwrap();
    worker.tidy().unwrap();
    assert!(parent.resident_bytes().unwrap() <= 200 << 10, "{}", parent.resident_bytes().unwrap());
    parent.send(JOB, 0, Some(6), &[long[..].into()]).unwrap();
    assert!(work(&mut worker));
}

#[test]
fn the_worker_rings_when_the_parent_wants_it_and_once() {
    let _limit = Limit::seconds(30);
    let doorbell = Doorbell::create().unwrap();
    let (mut parent, mut worker) = link(&doorbell);
    let send = |parent: &mut ParentEnd, jobs: std::ops::Range<u64>| {
        jobs.for_each(|job| parent.send(JOB, 0, Some(job), &[]).unwrap());
    };
    send(&mut parent, 0..2);
    assert!(work(&mut worker) && work(&mut worker));
    assert!(!is_rung_within(&doorbell, AT_ONCE), "an awake parent is not rung for");

    parent.set_attention(Attention::Asleep);
    send(&mut parent, 2..4);
    assert!(work(&mut worker) && is_rung_within(&doorbell, AT_ONCE));
    assert!(work(&mut worker) && !is_rung_within(&doorbell, AT_ONCE), "one ring is enough");

    parent.set_attention(Attention::Napping);
    send(&mut parent, 4..7);
    assert!(work(&mut worker) && work(&mut worker) && !is_rung_within(&doorbell, AT_ONCE));
    let last = worker.try_next().unwrap().unwrap();
    assert!(is_rung_within(&doorbell, AT_ONCE), "about to run dry");
    drop(last);
    parent.set_attention(Attention::Napping);
    worker.begin(6).unwrap();
    worker.report(REPORT, 0, Some(6), &[]).unwrap();
    assert!(is_rung_within(&doorbell, AT_ONCE), "there is nothing left to be read");
}

#[test]
fn what_is_no_link_of_this_capacity_is_refused() {
    let _limit = Limit::seconds(30);
    let (parent, worker) = link(&Doorbell::create().unwrap());
    let number = parent.descriptor().as_raw_fd();
    assert!(matches!(WorkerEnd::attach(number, CAPACITY / 2, None), Err(LinkError::NotALink)));
    assert!(matches!(WorkerEnd::attach(number, CAPACITY * 2, None), Err(LinkError::NotALink)));
    assert!(matches!(WorkerEnd::attach(-1, CAPACITY, None), Err(LinkError::System(_))));
    let file = std::fs::File::open("/dev/null").unwrap();
    assert!(matches!(WorkerEnd::attach(file.as_raw_fd(), CAPACITY, None), Err(LinkError::NotALink)));
    let other = threefold_shared_memory::Region::create("other", CAPACITY, 4096).unwrap();
    assert!(matches!(WorkerEnd::attach(other.descriptor().as_raw_fd(), CAPACITY, None), Err(LinkError::NotALink)));
    drop(worker);
}

#[test]
fn either_the_worker_begins_a_job_or_the_parent_takes_it_back() {
    const ROUNDS: u64 = 20_000;
    let _limit = Limit::seconds(120);
    let (mut parent, mut worker) = link(&Doorbell::create().unwrap());
    let turn = AtomicU64::new(0);
    let (mut begun, mut taken) = (0, 0);
    std::thread::scope(|scope| {
        let turn = &turn;
        let working = scope.spawn(move || {
            (0..ROUNDS)
                .map(|job| {
                    let frame = worker.next(&mut Plain).unwrap();
                    assert_eq!(frame.job(), Some(job));
                    drop(frame);
                    turn.store(job + 1, Ordering::Release);
                    let has_begun = worker.begin(job).unwrap();
                    worker.finish(job).unwrap();
                    u64::from(has_begun)
                })
                .sum::<u64>()
        });
        for job in 0..ROUNDS {
            parent.send(JOB, 0, Some(job), &[]).unwrap();
            parent.wake();
            until(|| turn.load(Ordering::Acquire) > job);
            taken += u64::from(parent.take_back(job));
        }
        begun = working.join().unwrap();
    });
    assert_eq!(begun + taken, ROUNDS, "{begun} begun, {taken} taken back");
}

#[test]
fn a_wait_that_is_given_up_loses_no_job() {
    struct GivesUp;
    impl threefold_pool::local::Driver for GivesUp {
        type Error = ();
        fn park(&mut self, _nap: &threefold_pool::local::Nap<'_>) -> Result<(), ()> {
            Err(())
        }
    }
    let _limit = Limit::seconds(30);
    let (mut parent, mut worker) = link(&Doorbell::create().unwrap());
    assert!(matches!(worker.next(&mut GivesUp), Err(Stop::Driver(()))));
    parent.send(JOB, 0, Some(1), &[]).unwrap();
    assert_eq!(worker.next(&mut GivesUp).unwrap().job(), Some(1));
}
