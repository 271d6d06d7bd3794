//! A counter of permits, as Python's `threading.Semaphore` and `BoundedSemaphore`.

use threefold_wait::{Latch, Standing, Ticket, Wait, WaitQueue, Wakes, Withdrawal};

use crate::error::ReleasedTooOften;

/// Permits to be taken and given back.
#[derive(Debug)]
pub struct Semaphore {
    state: Latch<State>,
    /// Most permits there may be; `u64::MAX` when it does not matter.
    bound: u64,
}

#[derive(Debug)]
struct State {
    permits: u64,
    waiters: WaitQueue,
}

impl State {
    /// Permits that anybody may take: those not set aside for a waiter that was granted one.
    #[inline]
    fn available(&self) -> u64 {
        self.permits.saturating_sub(self.waiters.promised_count() as u64)
    }

    fn rebalance(&mut self) -> Wakes {
        let mut wakes = Wakes::NONE;
        let available = usize::try_from(self.available()).unwrap_or(usize::MAX);
        self.waiters.rebalance_promising(available, &mut wakes);
        wakes
    }
}

impl Semaphore {
    /// A semaphore with `permits`, and never more than `bound`.
    pub fn new(permits: u64, bound: u64) -> Self {
        Self { state: Latch::new(State { permits, waiters: WaitQueue::default() }), bound }
    }

    /// Takes a permit if there is one.
    #[inline]
    pub fn try_acquire(&self) -> bool {
        let mut state = self.state.close();
        let is_there = state.available() > 0;
        state.permits -= u64::from(is_there);
        is_there
    }

    /// Waits for a permit.
    pub fn acquire(&self) -> Acquire<'_> {
        Acquire(self)
    }

    /// Gives `count` permits.
    ///
    /// # Errors
    /// When there would be more than the bound; nothing is given then.
    #[inline]
    pub fn release(&self, count: u64) -> Result<(), ReleasedTooOften> {
        let mut state = self.state.close();
        let permits = state.permits.saturating_add(count);
        if permits > self.bound {
            return Err(ReleasedTooOften);
        }
        state.permits = permits;
        let wakes = state.rebalance();
        drop(state);
        wakes.fire();
        Ok(())
    }

    /// Permits that can be had without waiting.
    pub fn permits(&self) -> u64 {
        self.state.close().available()
    }

    /// The most permits there may be.
    pub fn bound(&self) -> u64 {
        self.bound
    }
}

/// Waiting for a permit of a [`Semaphore`].
#[derive(Debug)]
pub struct Acquire<'a>(&'a Semaphore);

impl Wait for Acquire<'_> {
    type Output = ();

    fn poll(&mut self, ticket: &mut Ticket) -> Option<()> {
        let mut state = self.0.state.close();
        match ticket.settle(&mut state.waiters) {
            Standing::Granted => state.waiters.keep_promise(),
            Standing::Waiting => return None,
            Standing::Fresh | Standing::Nudged => {}
        }
        if state.available() == 0 {
            ticket.enqueue(&mut state.waiters);
            return None;
        }
        state.permits -= 1;
        ticket.finish();
        Some(())
    }

    fn withdraw(&mut self, ticket: &mut Ticket, withdrawal: Withdrawal) -> Option<()> {
        let mut state = self.0.state.close();
        if ticket.leave(&mut state.waiters) == Standing::Granted {
            state.waiters.keep_promise();
        }
        let is_kept = withdrawal == Withdrawal::Keep && state.available() > 0;
        state.permits -= u64::from(is_kept);
        let wakes = state.rebalance();
        drop(state);
        wakes.fire();
        is_kept.then_some(())
    }
}
