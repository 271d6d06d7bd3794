//! A Bloom filter over fingerprints: which addresses are certainly new, in a fixed amount of memory.

use crate::url::Fingerprint;

const PROBE_COUNT: u64 = 7;

/// Bits that are set for every address that was inserted.
pub(super) struct Bloom {
    bits: Box<[u64]>,
}

impl Bloom {
    pub(super) fn new(size_bytes: usize) -> Self {
        Self { bits: vec![0; (size_bytes / 8).max(1)].into_boxed_slice() }
    }

    /// The words and masks of an address. Its fingerprint is a keyed hash already, so that two halves of it stand for any
    /// number of hash functions.
    #[allow(clippy::cast_possible_truncation, reason = "the halves of the hash are what is wanted")]
    fn probes(&self, fingerprint: Fingerprint) -> impl Iterator<Item = (usize, u64)> + use<> {
        let (first, second) = (fingerprint.0 as u64, (fingerprint.0 >> 64) as u64 | 1);
        let bit_count = self.bits.len() as u64 * 64;
        (0..PROBE_COUNT).map(move |probe| {
            let bit = first.wrapping_add(probe.wrapping_mul(second)) % bit_count;
            ((bit / 64) as usize, 1 << (bit % 64))
        })
    }

    /// False where the address was certainly never inserted.
    pub(super) fn may_contain(&self, fingerprint: Fingerprint) -> bool {
        self.probes(fingerprint).all(|(word, mask)| self.bits[word] & mask != 0)
    }

    pub(super) fn insert(&mut self, fingerprint: Fingerprint) {
        for (word, mask) in self.probes(fingerprint) {
            self.bits[word] |= mask;
        }
    }
}
