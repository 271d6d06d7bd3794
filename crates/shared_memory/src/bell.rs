//! What waiters sleep on and others ring, in two words of shared memory. README section 2.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use threefold_sys::futex;

const COUNT_MASK: u64 = (1 << 24) - 1;
const EPOCH_SHIFT: u32 = 24;
const EPOCH_MASK: u64 = (1 << 16) - 1;
const TICKET_SHIFT: u32 = 40;

/// An eventcount: whoever changes something rings; whoever finds nothing sleeps until the next ring.
///
/// | word | |
/// |---|---|
/// | 0 | the sequence: its low half, on which sleepers sleep, changes with every ring that finds any |
/// | 1 | the sleepers: bits 0 to 23 their count, 24 to 39 an epoch, 40 to 63 how many ever announced themselves |
///
/// Zeros are a bell at which nobody sleeps. A copy of this value is the same bell.
#[derive(Clone, Copy, Debug)]
pub struct Bell<'a> {
    sequence: &'a AtomicU64,
    sleepers: &'a AtomicU64,
}

/// An announced sleeper's place at a bell; to be withdrawn.
#[derive(Debug)]
#[must_use = "a place that is not withdrawn counts as a sleeper until a ring finds nobody"]
pub struct Place {
    expected: u64,
    epoch: u64,
}

impl Place {
    /// What the sequence word holds while nobody has rung since the announcement.
    pub fn expected(&self) -> u64 {
        self.expected
    }
}

impl<'a> Bell<'a> {
    /// How many words a bell takes.
    pub const WORDS: usize = 2;

    /// The bell in these words of shared memory.
    #[inline]
    pub const fn new(words: &'a [AtomicU64; 2]) -> Self {
        Self::of(&words[0], &words[1])
    }

    /// The bell in these two words.
    #[inline]
    pub const fn of(sequence: &'a AtomicU64, sleepers: &'a AtomicU64) -> Self {
        Self { sequence, sleepers }
    }

    /// Wakes up to `count` sleepers. After what they wait for was stored, by any ordering; a load when nobody sleeps.
    #[inline]
    pub fn ring(&self, count: u32) {
        // Pairs with the one in `announce`: either the sleeper is seen here, or what was stored is seen there.
        fence(Ordering::SeqCst);
        let seen = self.sleepers.load(Ordering::Relaxed);
        if seen & COUNT_MASK != 0 && count != 0 {
            self.ring_sleepers(seen, count);
        }
    }

    /// Wakes all sleepers.
    #[inline]
    pub fn ring_all(&self) {
        self.ring(u32::MAX);
    }

    #[cold]
    fn ring_sleepers(&self, seen: u64, count: u32) {
        self.sequence.fetch_add(1, Ordering::SeqCst);
        if futex::wake_shared(self.sequence, count) == 0 {
            // Nobody sleeps. Who is counted was killed, or announced itself before the sequence changed and will not
            // fall asleep. If nobody has announced itself since, all can be forgotten; the new epoch tells the living
            // among them that their withdrawal is done.
            let forgotten = (seen & !COUNT_MASK).wrapping_add(1 << EPOCH_SHIFT);
            let _somebody_came = self.sleepers.compare_exchange(seen, forgotten, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Says that the caller is about to sleep. It must look once more for what it waits for before it does.
    #[inline]
    pub fn announce(&self) -> Place {
        // Before the announcement: whoever is counted has read a sequence from before any ring that sees it counted.
        let expected = self.sequence.load(Ordering::SeqCst);
        let before = self.sleepers.fetch_add(1 << TICKET_SHIFT | 1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        Place { expected, epoch: epoch_of(before) }
    }

    /// Takes an announcement back, after the sleep.
    #[inline]
    #[allow(clippy::needless_pass_by_value, reason = "a place is withdrawn once")]
    pub fn withdraw(&self, place: Place) {
        let mut seen = self.sleepers.load(Ordering::Relaxed);
        while epoch_of(seen) == place.epoch && seen & COUNT_MASK != 0 {
            match self.sleepers.compare_exchange_weak(seen, seen - 1, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// How many are counted as sleepers, dead ones included.
    pub fn sleeper_count(&self) -> u64 {
        self.sleepers.load(Ordering::Relaxed) & COUNT_MASK
    }

    /// The word on whose low half sleepers sleep, while it is what their [`Place::expected`] says.
    pub fn sequence(&self) -> &'a AtomicU64 {
        self.sequence
    }
}

const fn epoch_of(sleepers: u64) -> u64 {
    sleepers >> EPOCH_SHIFT & EPOCH_MASK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dead_are_forgotten_by_the_first_ring_that_finds_nobody_asleep() {
        let words = [const { AtomicU64::new(0) }; 2];
        let bell = Bell::new(&words);
        let dead = bell.announce();
        let living = bell.announce();
        assert_eq!(bell.sleeper_count(), 2);
        bell.ring(1);
        assert_eq!(bell.sleeper_count(), 0);
        assert_eq!(words[0].load(Ordering::Relaxed), 1);
        let newcomer = bell.announce();
        bell.withdraw(living);
        assert_eq!(bell.sleeper_count(), 1, "a forgotten sleeper takes nobody else's announcement back");
        bell.withdraw(newcomer);
        assert_eq!(bell.sleeper_count(), 0);
        drop(dead);
    }

    #[test]
    fn who_announced_itself_while_it_rang_is_not_forgotten() {
        let words = [const { AtomicU64::new(0) }; 2];
        let bell = Bell::new(&words);
        let early = bell.announce();
        let seen = words[1].load(Ordering::Relaxed);
        let late = bell.announce();
        bell.ring_sleepers(seen, 1);
        assert_eq!(bell.sleeper_count(), 2);
        bell.withdraw(early);
        // As many as the ringer saw, and yet somebody else.
        bell.ring_sleepers(seen, 1);
        assert_eq!(bell.sleeper_count(), 1);
        bell.withdraw(late);
    }

    #[test]
    fn numbers_that_wrap_do_not_spill_into_the_count() {
        let words = [AtomicU64::new(u64::MAX), AtomicU64::new(!COUNT_MASK)];
        let bell = Bell::new(&words);
        let place = bell.announce();
        assert_eq!((place.expected(), bell.sleeper_count()), (u64::MAX, 1));
        bell.ring(1);
        assert_eq!(bell.sleeper_count(), 0);
        bell.withdraw(place);
        assert_eq!(bell.sleeper_count(), 0);
    }
}
