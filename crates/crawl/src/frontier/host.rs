//! The queue of one host: its entries by depth, and where those begin that only the store has.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::book::Queued;

/// The order within a host: the least deep first, then in the order in which they were found.
pub(super) type Place = (u32, u64);

/// The queued entries of one host.
#[derive(Default)]
pub(super) struct HostQueue {
    pub(super) key: Arc<str>,
    by_depth: BTreeMap<u32, VecDeque<Queued>>,
    len: usize,
    /// From this place on, entries are in the store only.
    pub(super) beyond: Option<Place>,
    /// The ring that it stands in, with the number of its standing there: older ones are void.
    pub(super) standing: Option<(u32, u64)>,
}

impl HostQueue {
    pub(super) fn new(key: Arc<str>) -> Self {
        Self { key, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The depth of the next entry.
    pub(super) fn depth(&self) -> Option<u32> {
        self.by_depth.keys().next().copied()
    }

    pub(super) fn push(&mut self, entry: Queued) {
        self.len += 1;
        self.by_depth.entry(entry.depth).or_default().push_back(entry);
    }

    pub(super) fn push_front(&mut self, entry: Queued) {
        self.len += 1;
        self.by_depth.entry(entry.depth).or_default().push_front(entry);
    }

    pub(super) fn pop(&mut self) -> Option<Queued> {
        let mut level = self.by_depth.first_entry()?;
        let entry = level.get_mut().pop_front();
        if level.get().is_empty() {
            level.remove();
        }
        self.len -= usize::from(entry.is_some());
        entry
    }

    /// The depth of the deepest entry.
    pub(super) fn greatest_depth(&self) -> Option<u32> {
        self.by_depth.keys().next_back().copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Queued> {
        self.by_depth.values().flatten()
    }
}
