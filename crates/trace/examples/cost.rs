//! Measures what showing a wait costs the waiter, alone and while two readers read the table all the time.
//!
//! `cargo run --release -p threefold-trace --example cost`

use std::hint::black_box;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use threefold_trace::read::snapshot;
use threefold_trace::{Owner, Reason, Wait, begin, intern, object};

const ROUNDS: u32 = 200_000;
const REPEATS: usize = 11;

/// Processor time of the calling thread: what the readers take away is then what they slow down, not the time for which
/// they push the writer off its processor.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Median nanoseconds of one call of `work`.
fn median(work: impl Fn()) -> f64 {
    let mut each: Vec<f64> = (0..REPEATS)
        .map(|_| {
            let start = processor_time();
            (0..ROUNDS).for_each(|_| work());
            processor_time().saturating_sub(start).as_secs_f64() * 1e9 / f64::from(ROUNDS)
        })
        .collect();
    each.sort_by(f64::total_cmp);
    each[REPEATS / 2]
}

fn main() -> std::io::Result<()> {
    let wait = Wait {
        owner: Owner::thread(),
        name: intern("MainThread"),
        reason: Reason::Lock,
        object: 0xabc0,
        object_row: None,
        holder: Owner::NOBODY,
        site: intern("app.py:31"),
        since: threefold_sys::clock::Instant::now(),
        has_timeout: false,
    };
    let show = || drop(black_box(begin(black_box(&wait))));
    let name = || {
        black_box(intern(black_box("Thread-12345 (work)")));
    };
    let lock = || drop(black_box(object(black_box(0xabc0))));
    show();
    let mut out = std::io::stdout();
    writeln!(out, "begin and drop            {:6.1} ns", median(show))?;
    writeln!(out, "intern of a known text    {:6.1} ns", median(name))?;
    writeln!(out, "object row and drop       {:6.1} ns", median(lock))?;
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let _snapshot = black_box(snapshot(std::process::id()));
                }
            });
        }
        let alone = median(show);
        is_over.store(true, Ordering::Relaxed);
        writeln!(out, "begin and drop, 2 readers {alone:6.1} ns")
    })?;
    let rows: Vec<_> = (0..10_000).map(|_| begin(&wait)).collect();
    let start = Instant::now();
    let count = snapshot(std::process::id()).map_or(0, |snapshot| snapshot.waits.len());
    writeln!(out, "a snapshot of {count} waits {:6.1} ms", start.elapsed().as_secs_f64() * 1e3)?;
    drop(rows);
    threefold_trace::remove();
    Ok(())
}
