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
    /// Items set aside for getters that were granted one and have not come for it yet.
    promised_item_count: usize,
    /// Room set aside for putters that were granted it and have not used it yet.
    promised_room_count: usize,
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
            promised_item_count: 0,
            promised_room_count: 0,
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
        self.store.len().saturating_sub(self.promised_item_count)
    }

    /// Items that anybody may still put.
    #[inline]
    pub(super) fn room(&self) -> usize {
        match self.maxsize {
            0 => usize::MAX,
            maxsize => maxsize.saturating_sub(self.store.len()).saturating_sub(self.promised_room_count),
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
        self.promised_item_count = 0;
        self.store.empty()
    }

    pub(super) fn items(&self) -> impl Iterator<Item = &T> {
        self.store.iter()
    }

    pub(super) fn keep_item_promise(&mut self) {
        self.promised_item_count = self.promised_item_count.saturating_sub(1);
    }

    pub(super) fn keep_room_promise(&mut self) {
        self.promised_room_count = self.promised_room_count.saturating_sub(1);
    }

    /// Tells getters of items. After every change that makes items takeable.
    #[inline]
    pub(super) fn rebalance_getters(&mut self) -> Wakes {
        let mut wakes = Wakes::NONE;
        let takeable = self.takeable();
        self.getters.rebalance(takeable, &mut wakes, |_| self.promised_item_count += 1);
        wakes
    }

    /// Tells putters of room. After every change that makes room.
    #[inline]
    pub(super) fn rebalance_putters(&mut self) -> Wakes {
        let mut wakes = Wakes::NONE;
        let room = self.room();
        self.putters.rebalance(room, &mut wakes, |_| self.promised_room_count += 1);
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
