//! A queue for any number of producers and consumers, threads or tasks, as Python's `queue.Queue` and its kin.
//!
//! | mode | put | get |
//! |---|---|---|
//! | open | stores, or waits while full | takes, or waits while empty |
//! | shut down | refused | takes what is left, then refused |
//! | moved | refused: ask the new home | refused: ask the new home |

mod get;
mod put;
mod state;
mod store;

use std::collections::VecDeque;

use threefold_wait::{Latch, Wakes};

pub use get::{Get, Join};
pub use put::Put;
use state::{Mode, State};
pub use store::Order;

use crate::error::{DoneError, GetError, PutError};

/// A queue of `T`, first in first out, last in first out, or ranked by its keeper.
#[derive(Debug)]
pub struct Queue<T>(Latch<State<T>>);

/// What a queue held when it was moved elsewhere.
#[derive(Debug)]
pub struct Contents<T> {
    /// The items, oldest first.
    pub items: VecDeque<T>,
    /// Most items it could hold; 0 = no limit.
    pub maxsize: usize,
    /// Items put and not yet marked done.
    pub unfinished_count: usize,
    /// Whether it had been shut down.
    pub is_shut_down: bool,
}

impl<T> Queue<T> {
    /// An empty queue that holds up to `maxsize` items; 0 = no limit.
    pub fn new(order: Order, maxsize: usize) -> Self {
        Self(Latch::new(State::new(order, maxsize)))
    }

    /// Puts an item if there is room.
    ///
    /// # Errors
    /// When there is none, or the queue takes no more; the item comes back.
    #[inline]
    pub fn try_put(&self, item: T) -> Result<(), PutError<T>> {
        let mut state = self.0.close();
        if state.mode != Mode::Open {
            return Err(state.refusal(item));
        }
        if state.room() == 0 {
            return Err(PutError::Full(item));
        }
        state.store(item);
        let wakes = state.rebalance_getters();
        drop(state);
        wakes.fire();
        Ok(())
    }

    /// Puts items from the front of `items` while there is room; returns how many.
    ///
    /// # Errors
    /// When the queue takes no more; the items not put stay in `items`.
    pub fn try_put_many(&self, items: &mut VecDeque<T>) -> Result<usize, PutError<()>> {
        let mut state = self.0.close();
        if state.mode != Mode::Open {
            return Err(state.refusal(()));
        }
        let count = state.room().min(items.len());
        items.drain(..count).for_each(|item| state.store(item));
        let wakes = state.rebalance_getters();
        drop(state);
        wakes.fire();
        Ok(count)
    }

    /// Waits for room, then puts what `item` holds.
    pub fn put<'a>(&'a self, item: &'a mut Option<T>) -> Put<'a, T> {
        Put::new(self, item)
    }

    /// Takes an item if there is one. A ranked queue yields `None`: the right to one item, which its keeper picks.
    ///
    /// # Errors
    /// When there is none.
    #[inline]
    pub fn try_get(&self) -> Result<Option<T>, GetError> {
        let mut state = self.0.close();
        if state.takeable() == 0 {
            return Err(state.emptiness());
        }
        let item = state.take();
        let wakes = state.rebalance_putters();
        drop(state);
        wakes.fire();
        Ok(item)
    }

    /// Takes up to `limit` items that are there, without a ranked queue's picking.
    pub fn try_get_many(&self, limit: usize) -> Vec<Option<T>> {
        let mut state = self.0.close();
        let count = state.takeable().min(limit);
        let items = (0..count).map(|_| state.take()).collect();
        let wakes = state.rebalance_putters();
        drop(state);
        wakes.fire();
        items
    }

    /// Waits for an item.
    pub fn get(&self) -> Get<'_, T> {
        Get::new(self)
    }

    /// Marks one item as done.
    ///
    /// # Errors
    /// When none is left to be marked.
    pub fn task_done(&self) -> Result<(), DoneError> {
        let mut state = self.0.close();
        if state.mode == Mode::Moved {
            return Err(DoneError::Moved);
        }
        let Some(left) = state.unfinished_count.checked_sub(1) else { return Err(DoneError::TooOften) };
        state.unfinished_count = left;
        let wakes = state.release_joiners();
        drop(state);
        wakes.fire();
        Ok(())
    }

    /// Waits until every item has been marked as done.
    pub fn join(&self) -> Join<'_, T> {
        Join::new(self)
    }

    /// Refuses further puts, and gets once it is empty. If `is_immediate`, empties it now and returns the items, which
    /// then count as done.
    pub fn shut_down(&self, is_immediate: bool) -> VecDeque<T> {
        let mut wakes = Wakes::NONE;
        let mut state = self.0.close();
        if state.mode == Mode::Moved {
            return VecDeque::new();
        }
        state.mode = Mode::ShutDown;
        let mut dropped = VecDeque::new();
        if is_immediate {
            state.unfinished_count = state.unfinished_count.saturating_sub(state.len());
            dropped = state.empty();
            wakes = state.release_joiners();
        }
        state.getters.nudge_all(&mut wakes);
        state.putters.nudge_all(&mut wakes);
        drop(state);
        wakes.fire();
        dropped
    }

    /// Moves the contents out; all who wait, and all who come, are told that it has moved. `None` if it has already.
    pub fn move_out(&self) -> Option<Contents<T>> {
        let mut wakes = Wakes::NONE;
        let mut state = self.0.close();
        if state.mode == Mode::Moved {
            return None;
        }
        let is_shut_down = state.mode == Mode::ShutDown;
        state.mode = Mode::Moved;
        let contents = Contents {
            maxsize: state.maxsize,
            unfinished_count: state.unfinished_count,
            is_shut_down,
            items: state.empty(),
        };
        state.getters.nudge_all(&mut wakes);
        state.putters.nudge_all(&mut wakes);
        state.joiners.nudge_all(&mut wakes);
        drop(state);
        wakes.fire();
        Some(contents)
    }

    /// For the keeper of a ranked queue: takes what has arrived and is not ranked yet, without counting it as taken.
    pub fn take_arrivals(&self) -> VecDeque<T> {
        self.0.close().take_arrivals()
    }

    /// For the keeper of a ranked queue: gives back a right to an item that was not used.
    pub fn give_back(&self) {
        let mut state = self.0.close();
        state.give_back();
        let wakes = state.rebalance_getters();
        drop(state);
        wakes.fire();
    }

    /// How many items it holds.
    pub fn len(&self) -> usize {
        self.0.close().len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it holds as many as it may.
    pub fn is_full(&self) -> bool {
        let state = self.0.close();
        state.maxsize != 0 && state.len() >= state.maxsize
    }

    /// Most items it may hold; 0 = no limit.
    pub fn maxsize(&self) -> usize {
        self.0.close().maxsize
    }

    /// Changes how many items it may hold; those who wait for room that there is now get it.
    pub fn set_maxsize(&self, maxsize: usize) {
        let mut state = self.0.close();
        state.maxsize = maxsize;
        let wakes = state.rebalance_putters();
        drop(state);
        wakes.fire();
    }

    /// Items put and not yet marked done.
    pub fn unfinished_count(&self) -> usize {
        self.0.close().unfinished_count
    }

    /// Changes the number of items that are not yet marked done.
    pub fn set_unfinished_count(&self, count: usize) {
        let mut state = self.0.close();
        state.unfinished_count = count;
        let wakes = state.release_joiners();
        drop(state);
        wakes.fire();
    }

    /// Whether it was shut down.
    pub fn is_shut_down(&self) -> bool {
        self.0.close().mode == Mode::ShutDown
    }

    /// Shows each item that it holds to `visit`, which must not call back.
    pub fn visit(&self, visit: impl FnMut(&T)) {
        self.0.close().items().for_each(visit);
    }

    /// Takes out all items without telling anybody: for an object that is going away.
    pub fn clear(&self) -> VecDeque<T> {
        self.0.close().empty()
    }
}
