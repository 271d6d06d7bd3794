//! What the models share: exploring within a time limit, waits that end in each possible way, and a waker that counts.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use threefold_wait::{Driver, Instant, Outcome, Owner, Parked, Plain, Ticket, Wait, Waiter, block, set_impatient};

use crate::limit::Limit;

/// Runs `body` in every interleaving, once with waiters that are patient and once with waiters that are not.
pub fn explore(body: impl Fn() + Send + Sync + Clone + 'static) {
    for is_impatient in [false, true] {
        explore_when(is_impatient, body.clone());
    }
}

/// Runs `body` in every interleaving, with waiters that have or have not waited longer than the patience.
pub fn explore_when(is_impatient: bool, body: impl Fn() + Send + Sync + 'static) {
    let _limit = Limit::seconds(60);
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    set_impatient(is_impatient);
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    loom::model(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        body();
    });
    let patience = if is_impatient { "impatient" } else { "patient" };
    let count = count.load(Ordering::Relaxed);
    let _unseen = writeln!(std::io::stderr(), "{count:7} executions  {name} ({patience})");
}

/// What an interrupt leaves behind.
#[derive(Debug, PartialEq, Eq)]
pub struct GaveUp;

/// Is interrupted as soon as its word says that it sleeps.
struct Interrupted;

impl Driver for Interrupted {
    type Error = GaveUp;

    fn park(&mut self, waiter: &Waiter, _deadline: Option<Instant>) -> Result<Parked, GaveUp> {
        match waiter.park(Some(Instant::from_nanos(0))) {
            Parked::TimedOut | Parked::Interrupted => Err(GaveUp),
            told => Ok(told),
        }
    }
}

/// Is interrupted before its word says anything: the signal came between the last look and the sleep.
struct InterruptedAwake;

impl Driver for InterruptedAwake {
    type Error = GaveUp;

    fn park(&mut self, _waiter: &Waiter, _deadline: Option<Instant>) -> Result<Parked, GaveUp> {
        Err(GaveUp)
    }
}

/// A ticket for a thread that goes by this number.
pub fn thread(number: u64) -> Ticket {
    Ticket::thread(Owner(number))
}

/// Waits until it is ready.
pub fn wait<W: Wait>(wait: W, number: u64) -> W::Output {
    wait_with(wait, &mut thread(number))
}

/// As [`wait`], with a ticket that may be queued already.
pub fn wait_with<W: Wait>(mut wait: W, ticket: &mut Ticket) -> W::Output {
    match block(&mut wait, ticket, None, &mut Plain) {
        Ok(Outcome::Ready(output)) => output,
        Ok(Outcome::TimedOut) => unreachable!("there is no deadline"),
    }
}

/// Waits for a time that may be over at any moment.
pub fn wait_briefly<W: Wait>(mut wait: W, ticket: &mut Ticket) -> Option<W::Output> {
    match block(&mut wait, ticket, Some(Instant::from_nanos(0)), &mut Plain) {
        Ok(Outcome::Ready(output)) => Some(output),
        Ok(Outcome::TimedOut) => None,
    }
}

/// Waits until an interrupt that comes while it sleeps.
pub fn wait_interrupted<W: Wait>(mut wait: W, ticket: &mut Ticket) -> Result<W::Output, GaveUp> {
    ready(block(&mut wait, ticket, None, &mut Interrupted))
}

/// Waits until an interrupt that comes before it sleeps.
pub fn wait_interrupted_awake<W: Wait>(mut wait: W, ticket: &mut Ticket) -> Result<W::Output, GaveUp> {
    ready(block(&mut wait, ticket, None, &mut InterruptedAwake))
}

fn ready<T>(outcome: Result<Outcome<T>, GaveUp>) -> Result<T, GaveUp> {
    match outcome? {
        Outcome::Ready(output) => Ok(output),
        Outcome::TimedOut => unreachable!("there is no deadline"),
    }
}

/// Counts the wakes of a task. The count is no part of the model: read it when the wakers have been joined.
#[derive(Debug, Default)]
pub struct CountedWaker(AtomicUsize);

impl CountedWaker {
    pub fn new() -> (Arc<Self>, Waker) {
        let counted = Arc::new(Self::default());
        (Arc::clone(&counted), Waker::from(counted))
    }

    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for CountedWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A ticket for a task, and what counts its wakes.
pub fn task(number: u64) -> (Ticket, Arc<CountedWaker>) {
    let (counted, waker) = CountedWaker::new();
    (Ticket::task(Owner(number), waker), counted)
}
