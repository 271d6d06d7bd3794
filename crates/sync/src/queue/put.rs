//! Waiting for room.

use threefold_wait::{Standing, Ticket, Wait, Withdrawal};

use super::Queue;
use super::state::Mode;
use crate::error::PutError;

/// Waiting to put one item into a [`Queue`]. While the wait lasts the item stays with the caller.
#[derive(Debug)]
pub struct Put<'a, T> {
    queue: &'a Queue<T>,
    item: &'a mut Option<T>,
}

impl<'a, T> Put<'a, T> {
    pub(super) fn new(queue: &'a Queue<T>, item: &'a mut Option<T>) -> Self {
        Self { queue, item }
    }
}

impl<T> Wait for Put<'_, T> {
    /// An error leaves the item where it was, and is never `Full`.
    type Output = Result<(), PutError<()>>;

    fn poll(&mut self, ticket: &mut Ticket) -> Option<Self::Output> {
        let mut state = self.queue.0.close();
        let standing = ticket.settle(&mut state.putters);
        match standing {
            Standing::Waiting => return None,
            Standing::Granted => state.putters.keep_promise(),
            Standing::Fresh | Standing::Nudged => {}
        }
        if state.mode != Mode::Open {
            ticket.finish();
            return Some(Err(state.refusal(())));
        }
        if state.room() == 0 {
            ticket.enqueue(&mut state.putters);
            return None;
        }
        ticket.finish();
        if let Some(item) = self.item.take() {
            state.store(item);
        }
        let wakes = state.rebalance_getters();
        drop(state);
        wakes.fire();
        Some(Ok(()))
    }

    fn withdraw(&mut self, ticket: &mut Ticket, withdrawal: Withdrawal) -> Option<Self::Output> {
        let mut state = self.queue.0.close();
        if ticket.leave(&mut state.putters) == Standing::Granted {
            state.putters.keep_promise();
        }
        let mut result = None;
        let mut wakes = threefold_wait::Wakes::NONE;
        if withdrawal == Withdrawal::Keep {
            if state.mode != Mode::Open {
                result = Some(Err(state.refusal(())));
            } else if state.room() > 0 {
                if let Some(item) = self.item.take() {
                    state.store(item);
                }
                wakes = state.rebalance_getters();
                result = Some(Ok(()));
            }
        }
        let wakes = wakes.and(state.rebalance_putters());
        drop(state);
        wakes.fire();
        result
    }
}
