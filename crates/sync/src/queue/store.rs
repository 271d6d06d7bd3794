//! Where the items are, and which one comes next.

use std::collections::VecDeque;

/// Which item comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The oldest.
    FirstInFirstOut,
    /// The newest.
    LastInFirstOut,
    /// The one that the queue's keeper ranks lowest. The keeper compares items outside the latch, since a comparison may
    /// run anything; so the queue counts items and stores arrivals only.
    Ranked,
}

#[derive(Debug)]
pub(super) struct Store<T> {
    order: Order,
    items: VecDeque<T>,
    /// Ranked only: items counted as held, here or with the keeper.
    held_count: usize,
}

impl<T> Store<T> {
    pub(super) fn new(order: Order) -> Self {
        Self { order, items: VecDeque::new(), held_count: 0 }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        if self.order == Order::Ranked { self.held_count } else { self.items.len() }
    }

    #[inline]
    pub(super) fn push(&mut self, item: T) {
        self.held_count += usize::from(self.order == Order::Ranked);
        self.items.push_back(item);
    }

    /// The next item; of a ranked queue, the right to one.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<T> {
        match self.order {
            Order::FirstInFirstOut => self.items.pop_front(),
            Order::LastInFirstOut => self.items.pop_back(),
            Order::Ranked => {
                self.held_count = self.held_count.saturating_sub(1);
                None
            }
        }
    }

    pub(super) fn give_back(&mut self) {
        self.held_count += usize::from(self.order == Order::Ranked);
    }

    pub(super) fn take_arrivals(&mut self) -> VecDeque<T> {
        std::mem::take(&mut self.items)
    }

    pub(super) fn empty(&mut self) -> VecDeque<T> {
        self.held_count = 0;
        std::mem::take(&mut self.items)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter()
    }
}
