//! The smallest primitive that uses all of the protocol: permits to be taken and given.

use threefold_wait::{Latch, Standing, Ticket, Wait, WaitQueue, Wakes, Withdrawal};

pub struct Permits(Latch<State>);

struct State {
    free: usize,
    waiters: WaitQueue,
}

impl State {
    fn rebalance(&mut self) -> Wakes {
        let mut wakes = Wakes::NONE;
        let mut granted_count = 0;
        self.waiters.rebalance(self.free, &mut wakes, |_| granted_count += 1);
        self.free -= granted_count;
        wakes
    }
}

impl Permits {
    pub fn new(free: usize) -> Self {
        Self(Latch::new(State { free, waiters: WaitQueue::default() }))
    }

    pub fn give(&self, count: usize) {
        let mut state = self.0.close();
        state.free += count;
        let wakes = state.rebalance();
        drop(state);
        wakes.fire();
    }

    pub fn try_take(&self) -> bool {
        let mut state = self.0.close();
        let is_there = state.free > 0;
        state.free -= usize::from(is_there);
        is_there
    }

    pub fn free(&self) -> usize {
        self.0.close().free
    }

    pub fn waiter_count(&self) -> usize {
        self.0.close().waiters.len()
    }

    pub fn take(&self) -> Take<'_> {
        Take(self)
    }
}

pub struct Take<'a>(&'a Permits);

impl Wait for Take<'_> {
    type Output = ();

    fn poll(&mut self, ticket: &mut Ticket) -> Option<()> {
        let mut state = self.0.0.close();
        match ticket.settle(&mut state.waiters) {
            Standing::Granted => return Some(()),
            Standing::Waiting => return None,
            Standing::Fresh | Standing::Nudged => {}
        }
        if state.free == 0 {
            ticket.enqueue(&mut state.waiters);
            return None;
        }
        state.free -= 1;
        ticket.finish();
        Some(())
    }

    fn withdraw(&mut self, ticket: &mut Ticket, withdrawal: Withdrawal) -> Option<()> {
        let mut state = self.0.0.close();
        if ticket.leave(&mut state.waiters) == Standing::Granted {
            state.free += 1;
        }
        let is_kept = withdrawal == Withdrawal::Keep && state.free > 0;
        state.free -= usize::from(is_kept);
        let wakes = state.rebalance();
        drop(state);
        wakes.fire();
        is_kept.then_some(())
    }
}
