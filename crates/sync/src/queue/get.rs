//! Waiting for an item, and for all items to be done.

use threefold_wait::{Standing, Ticket, Wait, Withdrawal};

use super::Queue;
use super::state::{Mode, State};
use crate::error::GetError;

/// Waiting to take one item out of a [`Queue`].
#[derive(Debug)]
pub struct Get<'a, T>(&'a Queue<T>);

impl<'a, T> Get<'a, T> {
    pub(super) fn new(queue: &'a Queue<T>) -> Self {
        Self(queue)
    }

    fn try_take(state: &mut State<T>) -> Option<Result<Option<T>, GetError>> {
        if state.takeable() > 0 {
            return Some(Ok(state.take()));
        }
        match state.emptiness() {
            GetError::Empty => None,
            error => Some(Err(error)),
        }
    }
}

impl<T> Wait for Get<'_, T> {
    /// As [`Queue::try_get`], and never `Empty`.
    type Output = Result<Option<T>, GetError>;

    fn poll(&mut self, ticket: &mut Ticket) -> Option<Self::Output> {
        let mut state = self.0.0.close();
        match ticket.settle(&mut state.getters) {
            Standing::Waiting => return None,
            Standing::Granted => state.getters.keep_promise(),
            Standing::Fresh | Standing::Nudged => {}
        }
        let Some(result) = Self::try_take(&mut state) else {
            ticket.enqueue(&mut state.getters);
            return None;
        };
        ticket.finish();
        let wakes = state.rebalance_putters();
        drop(state);
        wakes.fire();
        Some(result)
    }

    fn withdraw(&mut self, ticket: &mut Ticket, withdrawal: Withdrawal) -> Option<Self::Output> {
        let mut state = self.0.0.close();
        if ticket.leave(&mut state.getters) == Standing::Granted {
            state.getters.keep_promise();
        }
        let result = if withdrawal == Withdrawal::Keep { Self::try_take(&mut state) } else { None };
        let wakes = state.rebalance_putters().and(state.rebalance_getters());
        drop(state);
        wakes.fire();
        result
    }
}

/// Waiting until every item put into a [`Queue`] has been marked as done.
#[derive(Debug)]
pub struct Join<'a, T>(&'a Queue<T>);

impl<'a, T> Join<'a, T> {
    pub(super) fn new(queue: &'a Queue<T>) -> Self {
        Self(queue)
    }
}

impl<T> Wait for Join<'_, T> {
    /// An error only when the queue has moved.
    type Output = Result<(), GetError>;

    fn poll(&mut self, ticket: &mut Ticket) -> Option<Self::Output> {
        let mut state = self.0.0.close();
        match ticket.settle(&mut state.joiners) {
            Standing::Waiting => return None,
            Standing::Granted => return Some(Ok(())),
            Standing::Fresh | Standing::Nudged => {}
        }
        if state.mode == Mode::Moved {
            ticket.finish();
            return Some(Err(GetError::Moved));
        }
        if state.unfinished_count == 0 {
            ticket.finish();
            return Some(Ok(()));
        }
        ticket.enqueue(&mut state.joiners);
        None
    }

    fn withdraw(&mut self, ticket: &mut Ticket, withdrawal: Withdrawal) -> Option<Self::Output> {
        let mut state = self.0.0.close();
        let standing = ticket.leave(&mut state.joiners);
        let is_done = standing == Standing::Granted || (state.mode != Mode::Moved && state.unfinished_count == 0);
        (is_done && withdrawal == Withdrawal::Keep).then_some(Ok(()))
    }
}
