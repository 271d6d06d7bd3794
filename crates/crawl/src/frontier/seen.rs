//! Which addresses are known: exactly, as long as they fit into the budget; beyond it a quick "certainly new", a memory of
//! recent ones, and the store's word for the rest.

use std::sync::Arc;

use hashbrown::HashTable;

use super::bloom::Bloom;
use super::filter::KnownFilter;
use crate::url::Fingerprint;

/// What is remembered of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Yes,
    No,
    /// The store must be asked.
    Perhaps,
}

/// A set of fingerprints, which are their own hashes.
#[derive(Default)]
struct Fingerprints(HashTable<Fingerprint>);

#[allow(clippy::cast_possible_truncation, reason = "a fingerprint is a keyed hash: any half of it will do")]
fn hash(fingerprint: &Fingerprint) -> u64 {
    fingerprint.0 as u64
}

impl Fingerprints {
    fn contains(&self, fingerprint: Fingerprint) -> bool {
        self.0.find(hash(&fingerprint), |held| *held == fingerprint).is_some()
    }

    fn insert(&mut self, fingerprint: Fingerprint) {
        if !self.contains(fingerprint) {
            self.0.insert_unique(hash(&fingerprint), fingerprint, hash);
        }
    }

    /// What the table takes after one more address: a slot and a control byte for each bucket, a power of two of them.
    fn next_bytes(&self) -> usize {
        let buckets = if self.0.len() < self.0.capacity() { self.0.capacity() } else { self.0.capacity() * 2 };
        (buckets * 8 / 7).next_power_of_two() * 17
    }
}

enum Memory {
    /// All that are known.
    Exact(Fingerprints),
    /// Those met since the last turn and since the turn before; what is not in the Bloom filter is new.
    Recent { now: Fingerprints, before: Fingerprints, all: Bloom },
}

/// The addresses that a frontier knows.
pub(super) struct Seen {
    memory: Memory,
    budget_bytes: usize,
    filter: Arc<KnownFilter>,
}

impl Seen {
    pub(super) fn new(budget_bytes: usize) -> Self {
        Self {
            memory: Memory::Exact(Fingerprints::default()),
            budget_bytes: budget_bytes.max(1024),
            filter: Arc::new(KnownFilter::new()),
        }
    }

    pub(super) fn filter(&self) -> Arc<KnownFilter> {
        Arc::clone(&self.filter)
    }

    pub(super) fn look(&self, fingerprint: Fingerprint) -> Known {
        let is_known = match &self.memory {
            Memory::Exact(all) => all.contains(fingerprint),
            Memory::Recent { now, before, all } => {
                if !now.contains(fingerprint) && !before.contains(fingerprint) && all.may_contain(fingerprint) {
                    return Known::Perhaps;
                }
                now.contains(fingerprint) || before.contains(fingerprint)
            }
        };
        if is_known { Known::Yes } else { Known::No }
    }

    pub(super) fn insert(&mut self, fingerprint: Fingerprint) {
        self.filter.insert(fingerprint);
        match &mut self.memory {
            Memory::Exact(all) => all.insert(fingerprint),
            Memory::Recent { now, before, all } => {
                all.insert(fingerprint);
                if now.next_bytes() > self.budget_bytes / 8 {
                    *before = std::mem::take(now);
                }
                now.insert(fingerprint);
            }
        }
    }

    /// True where one more address would not fit: then [`Seen::forget`] must be called, once the store has them all.
    pub(super) fn is_full(&self) -> bool {
        matches!(&self.memory, Memory::Exact(all) if all.next_bytes() > self.budget_bytes)
    }

    /// False where [`Known::Perhaps`] is an answer.
    pub(super) fn is_exact(&self) -> bool {
        matches!(self.memory, Memory::Exact(_))
    }

    /// Every address; of use only as long as the memory is exact.
    pub(super) fn all(&self) -> Vec<Fingerprint> {
        match &self.memory {
            Memory::Exact(all) => all.0.iter().copied().collect(),
            Memory::Recent { .. } => Vec::new(),
        }
    }

    /// Forgets every address, where somebody else knows them all.
    pub(super) fn clear(&mut self) {
        self.memory = Memory::Exact(Fingerprints::default());
    }

    /// Goes over from the exact set to half of the budget for a Bloom filter and a quarter for recent addresses.
    pub(super) fn forget(&mut self) {
        let mut bloom = Bloom::new(self.budget_bytes / 2);
        self.all().into_iter().for_each(|fingerprint| bloom.insert(fingerprint));
        self.memory = Memory::Recent { now: Fingerprints::default(), before: Fingerprints::default(), all: bloom };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u128) -> Fingerprint {
        Fingerprint(number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
    }

    #[test]
    fn an_exact_memory_never_asks_the_store() {
        let mut seen = Seen::new(1 << 20);
        (0..1000).for_each(|number| seen.insert(address(number)));
        assert!((0..1000).all(|number| seen.look(address(number)) == Known::Yes));
        assert!((1000..9000).all(|number| seen.look(address(number)) == Known::No));
    }

    #[test]
    fn beyond_the_budget_no_known_address_is_taken_for_new() {
        let mut seen = Seen::new(64 << 10);
        let mut number = 0;
        while !seen.is_full() {
            seen.insert(address(number));
            number += 1;
        }
        assert!((1 << 10..64 << 10).contains(&(number * 17)), "{number} addresses in 64 KiB");
        seen.forget();
        (number..4 * number).for_each(|later| seen.insert(address(later)));
        assert!((0..4 * number).all(|known| seen.look(address(known)) != Known::No));
        let asked = (4 * number..8 * number).filter(|new| seen.look(address(*new)) != Known::No).count();
        assert!(asked < usize::try_from(number).unwrap(), "{asked} questions about {} new addresses", 4 * number);
    }

    #[test]
    fn the_default_budget_holds_three_million_addresses() {
        let buckets = (super::super::any::SEEN_BYTES / 17).ilog2();
        assert!((1_usize << buckets) * 7 / 8 > 3_000_000);
    }
}
