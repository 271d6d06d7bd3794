//! Measures what a decision costs: the life of a job, with 2 and with 64 workers, alone and behind many that wait.
//!
//! `cargo run --release -p threefold-pool --example schedule_cost`

use std::io::Write;
use std::num::NonZeroUsize;
use std::time::Instant as Stopwatch;

use threefold_pool::{Action, JobOptions, PoolOptions, Scheduler, WorkerEvent};
use threefold_sys::clock::Instant;

const JOB_COUNT: u32 = 200_000;
const REPEATS: usize = 5;

/// A pool whose workers are all ready.
fn pool(worker_count: NonZeroUsize, now: Instant) -> Scheduler {
    let mut pool = Scheduler::new(PoolOptions::new(worker_count), now);
    while let Some(action) = pool.next_action() {
        if let Action::StartWorker { worker } = action {
            pool.worker_event(now, worker, WorkerEvent::Started { pid: 1 });
            pool.worker_event(now, worker, WorkerEvent::Ready);
        }
    }
    pool
}

/// Lets the workers do all that they are sent; returns how many jobs were resolved.
fn work(pool: &mut Scheduler, now: Instant) -> u32 {
    let mut resolved_count = 0;
    while let Some(action) = pool.next_action() {
        match action {
            Action::Send { worker, job } => {
                pool.worker_event(now, worker, WorkerEvent::JobStarted(job));
                pool.worker_event(now, worker, WorkerEvent::JobReturned(job));
            }
            Action::Resolve { .. } => resolved_count += 1,
            _ => {}
        }
    }
    resolved_count
}

/// Median nanoseconds for the life of one job, of which `batch` are added at a time.
fn median(worker_count: NonZeroUsize, batch: u32) -> f64 {
    let now = Instant::from_nanos(1);
    let mut each: Vec<f64> = (0..REPEATS)
        .map(|_| {
            let mut pool = pool(worker_count, now);
            let start = Stopwatch::now();
            let mut resolved_count = 0;
            while resolved_count < JOB_COUNT {
                for _ in 0..batch {
                    let _taken = pool.add_job(now, JobOptions::default()).is_ok();
                }
                resolved_count += work(&mut pool, now);
            }
            start.elapsed().as_secs_f64() * 1e9 / f64::from(JOB_COUNT)
        })
        .collect();
    each.sort_by(f64::total_cmp);
    each[REPEATS / 2]
}

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout();
    for worker_count in [2, 64].into_iter().filter_map(NonZeroUsize::new) {
        for batch in [1, JOB_COUNT] {
            let cost = median(worker_count, batch);
            writeln!(out, "{worker_count:3} workers, {batch:6} jobs at a time: {cost:5.0} ns from add to resolve")?;
        }
    }
    Ok(())
}
