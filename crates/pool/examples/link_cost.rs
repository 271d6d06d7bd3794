//! Measures what a job's way to a worker and back costs in one thread, and how fast long bodies are written and read.
//!
//! `cargo run --release -p threefold-pool --example link_cost`

use std::io::Write;
use std::os::fd::AsRawFd;
use std::time::Instant as Stopwatch;

use threefold_pool::local::{Attention, Doorbell, DoorbellRinger, LinkError, ParentEnd, WorkerEnd};

const JOB_COUNT: u32 = 1_000_000;
const REPEATS: usize = 5;
const CAPACITY: usize = 8 << 30;
/// How much is sent in each of the measurements of long bodies.
const TOTAL_BYTES: usize = 256 << 20;
const TOTAL_GIGABYTES: f64 = 0.268_435_456;
const KIBIBYTE: usize = 1024;

struct Link {
    parent: ParentEnd,
    worker: WorkerEnd,
    target: Vec<u8>,
    _doorbell: Doorbell,
}

impl Link {
    fn new() -> Result<Self, LinkError> {
        let (parent, doorbell) = (ParentEnd::create(CAPACITY)?, Doorbell::create()?);
        let ringer = DoorbellRinger::attach(doorbell.write_descriptor().as_raw_fd())?;
        let worker = WorkerEnd::attach(parent.descriptor().as_raw_fd(), parent.capacity_bytes(), Some(ringer))?;
        Ok(Self { parent, worker, target: Vec::new(), _doorbell: doorbell })
    }

    fn send(&mut self, job: u64, body: &[u8]) -> Result<(), LinkError> {
        self.parent.send(1, 0, Some(job), &[body.into()])
    }

    /// The worker's part: takes a job, reads it, answers it.
    fn work(&mut self, answer: &[u8]) -> Result<(), LinkError> {
        let Some(frame) = self.worker.try_next()? else { return Ok(()) };
        let job = frame.job().unwrap_or(0);
        self.worker.begin(job)?;
        self.target.clear();
        frame.append(0, &mut self.target)?;
        frame.done();
        self.worker.report(2, 0, Some(job), &[answer.into()])?;
        self.worker.finish(job)
    }

    fn collect(&mut self) -> Result<u32, LinkError> {
        let mut count = 0;
        while let Some(frame) = self.parent.next_report()? {
            self.target.clear();
            frame.append(0, &mut self.target)?;
            count += 1;
        }
        Ok(count)
    }
}

fn median(mut run: impl FnMut() -> Result<f64, LinkError>) -> Result<f64, LinkError> {
    let mut each = (0..REPEATS).map(|_| run()).collect::<Result<Vec<_>, _>>()?;
    each.sort_by(f64::total_cmp);
    Ok(each[REPEATS / 2])
}

/// Nanoseconds for one small job, of which `batch` are on the way at a time.
fn small_jobs(batch: u32) -> Result<f64, LinkError> {
    median(|| {
        let mut link = Link::new()?;
        let start = Stopwatch::now();
        let mut done_count = 0;
        while done_count < JOB_COUNT {
            for number in 0..batch {
                link.send(u64::from(done_count + number), &[7; 32])?;
            }
            link.parent.wake();
            link.parent.set_attention(Attention::Awake);
            for _ in 0..batch {
                link.work(&[8; 32])?;
            }
            done_count += link.collect()?;
        }
        Ok(start.elapsed().as_secs_f64() * 1e9 / f64::from(done_count))
    })
}

/// Gigabytes per second of sending and of reading a job with a long body: in fresh memory, or where others were before.
fn long_bodies(len_bytes: usize, is_warm: bool) -> Result<(f64, f64), LinkError> {
    let body = vec![5; len_bytes];
    let rounds = TOTAL_BYTES / len_bytes;
    let mut reading = Vec::new();
    let writing = median(|| {
        let mut link = Link::new()?;
        let (mut written, mut read) = (0.0, 0.0);
        for round in 0..rounds + 2 {
            let start = Stopwatch::now();
            link.send(round as u64, &body)?;
            let middle = Stopwatch::now();
            link.work(b"")?;
            let end = Stopwatch::now();
            link.collect()?;
            if round >= 2 {
                written += (middle - start).as_secs_f64();
                read += (end - middle).as_secs_f64();
            }
            if !is_warm {
                link.parent.tidy()?;
            }
        }
        reading.push(TOTAL_GIGABYTES / read);
        Ok(TOTAL_GIGABYTES / written)
    })?;
    reading.sort_by(f64::total_cmp);
    Ok((writing, reading[REPEATS / 2]))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout();
    for batch in [1, 8, 128] {
        let cost = small_jobs(batch)?;
        writeln!(out, "{batch:4} jobs of 32 bytes at a time: {cost:5.0} ns from send to the end of the report")?;
    }
    for len_bytes in [16 * KIBIBYTE, 64 * KIBIBYTE, 256 * KIBIBYTE, 1024 * KIBIBYTE, 8192 * KIBIBYTE] {
        for is_warm in [false, true] {
            let (written, read) = long_bodies(len_bytes, is_warm)?;
            let memory = if is_warm { "used" } else { "fresh" };
            writeln!(
                out,
                "{:5} KiB in {memory:5} memory: {written:5.2} GB/s sent, {read:5.2} GB/s read",
                len_bytes >> 10
            )?;
        }
    }
    Ok(())
}
