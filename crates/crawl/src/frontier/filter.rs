//! Which addresses are known for certain, for any thread to look at without waiting.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::url::Fingerprint;

/// A lossy table of known fingerprints: what it contains is known to the frontier, what it doesn't may be known all the same.
///
/// Fetches drop links by it before anything is allocated for them; the frontier decides about the rest. A slot is chosen by
/// one half of the fingerprint and holds the other half, so that two addresses are taken for one only where more than 80 bits
/// of their keyed hashes agree.
#[derive(Debug)]
pub struct KnownFilter {
    slots: Box<[AtomicU64]>,
}

impl KnownFilter {
    /// A filter of 2 MiB.
    pub(crate) fn new() -> Self {
        Self::with_slots(1 << 18)
    }

    fn with_slots(slot_count: usize) -> Self {
        Self { slots: std::iter::repeat_with(AtomicU64::default).take(slot_count.next_power_of_two()).collect() }
    }

    #[allow(clippy::cast_possible_truncation, reason = "the halves of the hash are what is wanted")]
    fn place(&self, fingerprint: Fingerprint) -> (usize, u64) {
        // A held value of zero means an empty slot.
        (fingerprint.0 as usize & (self.slots.len() - 1), ((fingerprint.0 >> 64) as u64).max(1))
    }

    /// True where the address is known for certain.
    pub fn contains(&self, fingerprint: Fingerprint) -> bool {
        let (slot, held) = self.place(fingerprint);
        // Relaxed: each slot is a fact of its own, and to miss one only costs a question to the frontier.
        self.slots[slot].load(Ordering::Relaxed) == held
    }

    /// Says that the address is known.
    pub(crate) fn insert(&self, fingerprint: Fingerprint) {
        let (slot, held) = self.place(fingerprint);
        self.slots[slot].store(held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_inserted_is_never_contained() {
        let filter = KnownFilter::with_slots(64);
        let spread = |number: u128| Fingerprint(number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835));
        for number in 0..1000 {
            filter.insert(spread(number));
            assert!(filter.contains(spread(number)));
        }
        assert!((1000..2000).all(|number| !filter.contains(spread(number))));
    }
}
