//! What a message costs: nanoseconds for short ones, and the speed of memory for long ones. `cargo run --release`.
#![allow(clippy::print_stdout, reason = "a program whose purpose is its output")]

use std::time::Instant;

use threefold_shared_memory::Plain;
use threefold_shared_memory::queue::{Message, Options, Outcome, Queue, QueueError};

const MEBIBYTE: usize = 1 << 20;

fn main() -> Result<(), QueueError> {
    let queue = Queue::create(&Options::default())?;
    for bytes in [8, 100, 1024, 16 * 1024] {
        let body = vec![7; bytes];
        let rounds = 200_000;
        report(&format!("put + get of {bytes} bytes"), rounds, || one_round(&queue, &body))?;
        report(&format!("put of {bytes} bytes, many waiting"), rounds / 10, || {
            queue.try_put(Message::new(&body)).map(|_put| ())
        })?;
        println!("    {} messages take {} KiB", queue.len(), queue.resident_bytes()? / 1024);
        report(&format!("get of {bytes} bytes, many waiting"), rounds / 10, || queue.try_get().map(drop))?;
    }
    for mebibytes in [1, 8, 64] {
        let body = vec![7; mebibytes * MEBIBYTE];
        let mut copy = vec![0; body.len()];
        report(&format!("memcpy of {mebibytes} MiB"), 20, || {
            copy.copy_from_slice(std::hint::black_box(&body));
            Ok(())
        })?;
        report(&format!("put + get of {mebibytes} MiB"), 20, || {
            queue.try_put(Message::new(&body))?;
            let received = queue.try_get()?.ok_or(QueueError::NotAQueue)?;
            received.read(0, 0, &mut copy)
        })?;
    }
    across_threads(&queue)?;
    println!("idle: {} KiB", queue.resident_bytes()? / 1024);
    queue.tidy()?;
    println!("tidied: {} KiB", queue.resident_bytes()? / 1024);
    Ok(())
}

fn one_round(queue: &Queue, body: &[u8]) -> Result<(), QueueError> {
    queue.try_put(Message::new(body))?;
    queue.try_get().map(drop)
}

/// One thread puts, another gets, without a pause.
fn across_threads(queue: &Queue) -> Result<(), QueueError> {
    let count = 500_000_u32;
    let start = Instant::now();
    let putter = queue.clone();
    let thread = std::thread::spawn(move || {
        for number in 0..count {
            if putter.try_put(Message::new(&number.to_ne_bytes())).is_err() {
                break;
            }
        }
    });
    for _ in 0..count {
        match queue.get(None, &mut Plain) {
            Ok(Outcome::Ready(_message)) => {}
            Ok(Outcome::TimedOut) | Err(_) => return Err(QueueError::NotAQueue),
        }
    }
    let _ended = thread.join();
    println!("{:<40} {:>12.1} ns", "from thread to thread", start.elapsed().as_secs_f64() * 1e9 / f64::from(count));
    Ok(())
}

fn report(name: &str, rounds: u32, mut action: impl FnMut() -> Result<(), QueueError>) -> Result<(), QueueError> {
    let mut best = f64::MAX;
    for _ in 0..if name.contains("many") { 1 } else { 5 } {
        let start = Instant::now();
        for _ in 0..rounds {
            action()?;
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(rounds));
    }
    println!("{name:<40} {best:>12.1} ns");
    Ok(())
}
