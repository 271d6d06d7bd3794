//! What the stress tests share: their length, threads that start together, and waits that are given up at random.

use std::sync::Barrier;
use std::time::Duration;

use threefold_wait::{Driver, Instant, Outcome, Owner, Parked, Ticket, Wait, Waiter, block};

/// How many rounds to make of a test that makes `count` in a short run.
pub fn rounds(count: u64) -> u64 {
    count * std::env::var("THREEFOLD_STRESS").map_or(1, |factor| factor.parse().expect("THREEFOLD_STRESS is a number"))
}

/// A time limit that grows with the length of the test, in seconds.
pub fn limit_s() -> u64 {
    60 + rounds(5)
}

/// Runs `body` on `count` threads that start together, and returns what they return.
pub fn together<T: Send>(count: usize, body: impl Fn(usize, &mut Random) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(count);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|number| {
                let (body, start) = (&body, &start);
                scope.spawn(move || {
                    let mut random = Random::new(number as u64 + 1);
                    start.wait();
                    body(number, &mut random)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// A small generator of numbers, the same in every run: what differs between runs is how the threads meet.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// How a wait ended without what it was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GaveUp {
    TimedOut,
    Interrupted,
}

/// Parks, and is interrupted now and then: before it sleeps, while it sleeps, or just when it wakes.
struct Unsteady<'a>(&'a mut Random);

impl Driver for Unsteady<'_> {
    type Error = GaveUp;

    fn park(&mut self, waiter: &Waiter, deadline: Option<Instant>) -> Result<Parked, GaveUp> {
        let nap_end = Instant::now().after(Duration::from_micros(self.0.below(100)));
        match self.0.below(16) {
            0 => Err(GaveUp::Interrupted),
            1 => {
                waiter.park(Some(deadline.map_or(nap_end, |deadline| deadline.min(nap_end))));
                Err(GaveUp::Interrupted)
            }
            _ => Ok(waiter.park(deadline)),
        }
    }
}

/// Waits until ready, a deadline of some microseconds, or an interrupt.
pub fn wait_unsteadily<W: Wait>(wait: W, random: &mut Random) -> Result<W::Output, GaveUp> {
    wait_unsteadily_with(wait, &mut Ticket::thread(Owner::thread()), random)
}

/// As [`wait_unsteadily`], with a ticket that may be queued already.
pub fn wait_unsteadily_with<W: Wait>(
    mut wait: W,
    ticket: &mut Ticket,
    random: &mut Random,
) -> Result<W::Output, GaveUp> {
    let deadline = match random.below(4) {
        0 => None,
        _ => Some(Instant::now().after(Duration::from_micros(random.below(300)))),
    };
    match block(&mut wait, ticket, deadline, &mut Unsteady(random))? {
        Outcome::Ready(output) => Ok(output),
        Outcome::TimedOut => Err(GaveUp::TimedOut),
    }
}

/// Waits until ready.
pub fn wait_steadily<W: Wait>(mut wait: W) -> W::Output {
    let plain = &mut threefold_wait::Plain;
    match block(&mut wait, &mut Ticket::thread(Owner::thread()), None, plain) {
        Ok(Outcome::Ready(output)) => output,
        Ok(Outcome::TimedOut) => unreachable!("there is no deadline"),
    }
}
