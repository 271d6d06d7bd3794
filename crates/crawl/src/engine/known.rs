//! What became of addresses that were seen lately, in a table of fixed size: a link that is known already costs one look.
//!
//! The table forgets; the frontier does not. A link that is not in it takes the long way (scope, traps, the frontier's own
//! look), with the same result. Only links that a visit on its way to the frontier carries, or that were refused whatever page
//! they are found on, are entered, so that what the table says is true as long as the crawl goes on.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::refusal::Refusal;
use crate::url::Fingerprint;

/// One line of the processor's cache.
#[derive(Default)]
#[repr(align(64))]
struct Line([AtomicU64; WAYS]);

const WAYS: usize = 8;
const CODE_BITS: u32 = 8;
const RECORDED: u64 = 1;

/// What the table knows of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Knowledge {
    /// Nothing (any more).
    Nothing,
    /// The frontier has it, or gets it with a visit that is on its way.
    Recorded,
    /// It was refused, and counted.
    Refused(Refusal),
}

/// The table. Each slot holds 56 bits of a fingerprint and what became of its address; which line it is in takes other bits, so
/// that two addresses are taken for one with a probability of about 2^-68.
pub(crate) struct Known {
    lines: Box<[Line]>,
}

impl Known {
    /// A table of `2^lines_log2` lines of eight addresses each.
    pub(crate) fn new(lines_log2: u32) -> Self {
        Self { lines: (0..1_usize << lines_log2).map(|_| Line::default()).collect() }
    }

    /// What is known of the address.
    pub(crate) fn look(&self, fingerprint: Fingerprint) -> Knowledge {
        let (line, tag) = self.place(fingerprint);
        for slot in &line.0 {
            // Relaxed: a slot stands for itself, nothing else is read because of it.
            let held = slot.load(Ordering::Relaxed);
            if held >> CODE_BITS == tag && held & 0xff != 0 {
                return decode(held & 0xff);
            }
        }
        Knowledge::Nothing
    }

    /// Enters that the frontier has the address, or gets it for certain if this crawl goes on.
    pub(crate) fn enter_recorded(&self, fingerprint: Fingerprint) {
        self.enter(fingerprint, RECORDED);
    }

    /// Enters that the address was refused.
    pub(crate) fn enter_refused(&self, fingerprint: Fingerprint, refusal: Refusal) {
        let position = Refusal::ALL.iter().position(|each| *each == refusal).unwrap_or(0);
        self.enter(fingerprint, RECORDED + 1 + position as u64);
    }

    fn enter(&self, fingerprint: Fingerprint, code: u64) {
        let (line, tag) = self.place(fingerprint);
        let value = tag << CODE_BITS | code;
        let mut free = None;
        for slot in &line.0 {
            let held = slot.load(Ordering::Relaxed);
            if held >> CODE_BITS == tag {
                free = Some(slot);
                break;
            }
            if held == 0 && free.is_none() {
                free = Some(slot);
            }
        }
        // A full line: which one gives way follows from the fingerprint, and is as good as chance.
        let slot = free.unwrap_or(&line.0[(tag >> 3) as usize % WAYS]);
        slot.store(value, Ordering::Relaxed);
    }

    #[allow(clippy::cast_possible_truncation, reason = "bits are cut out of the hash")]
    fn place(&self, fingerprint: Fingerprint) -> (&Line, u64) {
        let tag = (fingerprint.0 >> 64) as u64 >> CODE_BITS;
        let line = fingerprint.0 as usize & (self.lines.len() - 1);
        (&self.lines[line], tag)
    }
}

fn decode(code: u64) -> Knowledge {
    match code {
        RECORDED => Knowledge::Recorded,
        refused => usize::try_from(refused - RECORDED - 1)
            .ok()
            .and_then(|position| Refusal::ALL.get(position))
            .map_or(Knowledge::Nothing, |refusal| Knowledge::Refused(*refusal)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(number: u128) -> Fingerprint {
        Fingerprint(number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
    }

    #[test]
    fn an_address_that_was_never_entered_is_unknown() {
        assert_eq!(Known::new(4).look(fingerprint(7)), Knowledge::Nothing);
    }

    #[test]
    fn what_was_entered_is_told_again() {
        let known = Known::new(4);
        known.enter_recorded(fingerprint(1));
        for (number, refusal) in Refusal::ALL.into_iter().enumerate() {
            known.enter_refused(fingerprint(2 + number as u128), refusal);
        }
        assert_eq!(known.look(fingerprint(1)), Knowledge::Recorded);
        for (number, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(known.look(fingerprint(2 + number as u128)), Knowledge::Refused(refusal));
        }
    }

    #[test]
    fn a_full_table_forgets_and_never_tells_of_an_address_that_was_not_entered() {
        let known = Known::new(2);
        for number in 0..1000 {
            known.enter_recorded(fingerprint(number));
        }
        let kept = (0..1000).filter(|number| known.look(fingerprint(*number)) == Knowledge::Recorded).count();
        assert!(kept > 0 && kept <= 4 * WAYS, "{kept} kept");
        assert!((1000..5000).all(|number| known.look(fingerprint(number)) == Knowledge::Nothing));
    }
}
