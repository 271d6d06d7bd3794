//! What a queue's latch guards: items, counts, and who waits for what.

use std::collections::VecDeque;

use threefold_wait::{WaitQueue, Wakes};

use super::store::{Order, Store};
use crate::error::{GetError, PutError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Open,
    ShutDown,
    Moved,
}

#[derive(Debug)]
pub(super) struct State<T> {
    pub(super) mode: Mode,
    store: Store<T>,
    pub(super) maxsize: usize,
    pub(super) unfinished_count: usize,
    pub(super) getters: WaitQueue,
    pub(super) putters: WaitQueue,
    pub(super) joiners: WaitQueue,
}

impl<T> State<T> {
    pub(super) fn new(order: Order, maxsize: usize) -> Self {
        Self {
            mode: Mode::Open,
            store: Store::new(order),
            maxsize,
            unfinished_count: 0,
            getters: WaitQueue::default(),
            putters: WaitQueue::default(),
            joiners: WaitQueue::default(),
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.store.len()
    }

    /// Items that anybody may take.
    #[inline]
    pub(super) fn takeable(&self) -> usize {
        self.store.len().saturating_sub(self.getters.promised_count())
    }

    /// Items that anybody may still put.
    #[inline]
    pub(super) fn room(&self) -> usize {
        match self.maxsize {
            0 => usize::MAX,
            maxsize => maxsize.saturating_sub(self.store.len()).saturating_sub(self.putters.promised_count()),
        }
    }

    #[inline]
    pub(super) fn store(&mut self, item: T) {
        self.store.push(item);
        self.unfinished_count += 1;
    }

    #[inline]
    pub(super) fn take(&mut self) -> Option<T> {
        self.store.pop()
    }

    pub(super) fn give_back(&mut self) {
        self.store.give_back();
    }

    pub(super) fn take_arrivals(&mut self) -> VecDeque<T> {
        self.store.take_arrivals()
    }

    /// Takes everything out; promises are void.
    pub(super) fn empty(&mut self) -> VecDeque<T> {
        self.getters.void_promises();
        self.store.empty()
    }

    pub(super) fn items(&self) -> impl Iterator<Item = &T> {
        self.store.iter()
    }

    /// Tells getters of items. After every change that makes items takeable.
    #[inline]
    pub(super) fn rebalance_getters(&mut self) -> Wakes {
        let mut wakes = Wakes::NONE;
        let takeable = self.takeable();
        self.getters.rebalance_promising(takeable, &mut wakes);
        wakes
    }

    /// Tells putters of room. After every change that makes room.
    #[inline]
    pub(super) fn rebalance_putters(&mut self) -> Wakes {
        let mut wakes = Wakes::NONE;
        let room = self.room();
        self.putters.rebalance_promising(room, &mut wakes);
        wakes
    }

    /// Releases those who wait for all work to be done, if it is.
    pub(super) fn release_joiners(&mut self) -> Wakes {
        let mut wakes = Wakes::NONE;
        if self.unfinished_count == 0 {
            self.joiners.grant(usize::MAX, &mut wakes);
        }
        wakes
    }

    #[cold]
    pub(super) fn refusal<U>(&self, item: U) -> PutError<U> {
        if self.mode == Mode::Moved { PutError::Moved(item) } else { PutError::ShutDown(item) }
    }

    pub(super) fn emptiness(&self) -> GetError {
        match self.mode {
            Mode::Open => GetError::Empty,
            // Items that are promised will be taken; whoever comes now finds nothing.
            Mode::ShutDown => GetError::ShutDown,
            Mode::Moved => GetError::Moved,
        }
    }
}
