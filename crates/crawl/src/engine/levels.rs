//! Going by levels where the depth is limited: a page counts as deep as it is, not as the way is long by which a quick answer led
//! to it first; so the same pages are visited at any concurrency.

use std::collections::HashMap;
use std::mem;

use crate::engine::CrawlOptions;
use crate::entry::{Entry, EntryId};

/// The level that is being visited, and what was handed out of deeper ones.
#[derive(Default)]
pub(crate) struct Levels {
    depth: u32,
    deeper: Vec<Entry>,
}

impl Levels {
    /// True for a crawl that may meet its limit: the default limit is far beyond where sites end, and only traps meet it.
    pub(crate) fn needed(options: &CrawlOptions) -> bool {
        options.depth < CrawlOptions::default().depth
    }

    /// Those of the entries that may be visited now.
    pub(crate) fn hold_back(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let (now, later) = entries.into_iter().partition(|entry| entry.depth <= self.depth);
        self.deeper.extend::<Vec<Entry>>(later);
        now
    }

    /// Goes on to the next level, unless entries of this one are to be tried again; what is to be given back, so that it is
    /// handed out again.
    pub(crate) fn deepen(&mut self, retrying: &HashMap<EntryId, u32>) -> Vec<EntryId> {
        let Some(next) = self.deeper.iter().map(|entry| entry.depth).min() else { return Vec::new() };
        if retrying.values().any(|depth| *depth <= self.depth) {
            return Vec::new();
        }
        self.depth = next;
        self.clear()
    }

    /// All that was held back.
    pub(crate) fn clear(&mut self) -> Vec<EntryId> {
        mem::take(&mut self.deeper).into_iter().map(|entry| entry.id).collect()
    }

    /// True where nothing is held back.
    pub(crate) fn is_empty(&self) -> bool {
        self.deeper.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{EntryKind, Validators};
    use crate::url::Fingerprint;

    fn entry(id: u64, depth: u32) -> Entry {
        Entry {
            id: EntryId(id),
            url: String::new(),
            fingerprint: Fingerprint(u128::from(id)),
            depth,
            parent: None,
            kind: EntryKind::Page,
            tries: 0,
            validators: Validators::default(),
            request: None,
        }
    }

    #[test]
    fn deeper_entries_wait_until_their_level_comes() {
        let mut levels = Levels::default();
        let now = levels.hold_back(vec![entry(1, 0), entry(2, 2), entry(3, 1)]);
        assert_eq!(now.iter().map(|entry| entry.id.0).collect::<Vec<_>>(), [1]);
        assert_eq!(levels.deepen(&HashMap::new()), [EntryId(2), EntryId(3)]);
        assert_eq!(levels.hold_back(vec![entry(3, 1), entry(2, 2)]).len(), 1);
        assert!(!levels.is_empty());
    }

    #[test]
    fn a_level_waits_for_what_is_to_be_tried_again() {
        let mut levels = Levels::default();
        levels.hold_back(vec![entry(2, 1)]);
        assert!(levels.deepen(&HashMap::from([(EntryId(1), 0)])).is_empty());
        assert_eq!(levels.deepen(&HashMap::from([(EntryId(2), 1)])), [EntryId(2)]);
    }
}
