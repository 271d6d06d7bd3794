//! One word that says who owns something, and whether anybody sleeps until it is free. README section 3.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use threefold_sys::clock::Instant;
use threefold_sys::futex;
use threefold_trace::Reason;
use threefold_wait::look;

use crate::holder::Holder;
use crate::wait::{Driver, Nap, Outcome, end_of_slice};

/// How long a thread sleeps before it asks for the first time whether the owner lives.
const FIRST_SLEEP: Duration = Duration::from_millis(1);

/// How something came to its new owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "what a dead owner left behind may be half changed"]
pub enum Acquired {
    /// It was free.
    Free,
    /// Its owner's process had ended without giving it back.
    OwnerDied(Holder),
}

/// The word: a holder, and [`Holder::FLAG`] when somebody may sleep. Zero is free; the flag never stands alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ownership<'a>(&'a AtomicU64);

impl<'a> Ownership<'a> {
    #[inline]
    pub(crate) const fn new(word: &'a AtomicU64) -> Self {
        Self(word)
    }

    #[inline]
    pub(crate) fn holder(self) -> Holder {
        Holder::from_word(self.0.load(Ordering::Relaxed))
    }

    pub(crate) fn word(self) -> &'a AtomicU64 {
        self.0
    }

    /// Takes it as somebody who has been about to sleep; also if its owner is dead.
    pub(crate) fn try_take_back(self, mine: Holder) -> Option<Acquired> {
        let taken = mine.word() | Holder::FLAG;
        if self.is_free() && self.exchange(0, taken) { Some(Acquired::Free) } else { self.try_seize(mine) }
    }

    /// Says that somebody is about to sleep on the word, and what it holds then; `None` when it is free.
    pub(crate) fn prepare_to_sleep(self) -> Option<u64> {
        loop {
            let seen = self.0.load(Ordering::Relaxed);
            if seen == 0 {
                return None;
            }
            if seen & Holder::FLAG != 0 || self.exchange(seen, seen | Holder::FLAG) {
                return Some(seen | Holder::FLAG);
            }
        }
    }

    #[inline]
    pub(crate) fn is_free(self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    /// Takes it if it is free.
    #[inline]
    pub(crate) fn try_take(self, mine: Holder) -> bool {
        // Acquire: what the last owner did is visible.
        self.0.compare_exchange(0, mine.word(), Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Takes it if its owner is dead.
    pub(crate) fn try_seize(self, mine: Holder) -> Option<Acquired> {
        let seen = self.0.load(Ordering::Relaxed);
        let holder = Holder::from_word(seen);
        if holder.is_nobody() || holder.is_alive() {
            return None;
        }
        self.exchange(seen, mine.word() | Holder::FLAG).then_some(Acquired::OwnerDied(holder))
    }

    /// Frees it, wakes one that sleeps, and returns who had it.
    #[inline]
    pub(crate) fn release(self) -> Holder {
        // Release: the next owner sees what was done.
        let before = self.0.swap(0, Ordering::Release);
        if before & Holder::FLAG != 0 {
            futex::wake_shared(self.0, 1);
        }
        Holder::from_word(before)
    }

    /// As [`Ownership::take`], after a look whether it is about to be free.
    ///
    /// # Errors
    /// The driver's.
    #[cold]
    pub(crate) fn look_and_take<D: Driver>(
        self,
        mine: Holder,
        reason: Reason,
        deadline: Option<Instant>,
        driver: &mut D,
    ) -> Result<Outcome<Acquired>, D::Error> {
        if driver.look(|| look(|| self.is_free() && self.try_take(mine))) {
            return Ok(Outcome::Ready(Acquired::Free));
        }
        self.take(mine, reason, deadline, driver)
    }

    /// Takes it, sleeping through `driver` while a living owner has it.
    ///
    /// # Errors
    /// The driver's.
    #[cold]
    pub(crate) fn take<D: Driver>(
        self,
        mine: Holder,
        reason: Reason,
        deadline: Option<Instant>,
        driver: &mut D,
    ) -> Result<Outcome<Acquired>, D::Error> {
        // With the flag: others may sleep, and this thread does not know.
        let taken = mine.word() | Holder::FLAG;
        let mut until = Instant::now().after(FIRST_SLEEP);
        let mut has_slept = false;
        loop {
            let seen = self.0.load(Ordering::Relaxed);
            let holder = Holder::from_word(seen);
            if holder.is_nobody() {
                if self.exchange(seen, taken) {
                    return Ok(Outcome::Ready(Acquired::Free));
                }
                continue;
            }
            let is_late = deadline.is_some_and(|deadline| deadline <= Instant::now());
            if has_slept || is_late {
                if let Some(acquired) = self.try_seize(mine) {
                    return Ok(Outcome::Ready(acquired));
                }
            }
            if is_late {
                return Ok(Outcome::TimedOut);
            }
            if seen & Holder::FLAG == 0 && !self.exchange(seen, seen | Holder::FLAG) {
                continue;
            }
            let nap = Nap {
                word: self.0,
                expected: seen | Holder::FLAG,
                until: deadline.map_or(until, |deadline| deadline.min(until)),
                reason,
                holder,
                has_timeout: deadline.is_some(),
            };
            if let Err(error) = driver.park(&nap) {
                // A wake may have been meant for somebody who goes on.
                futex::wake_shared(self.0, 1);
                return Err(error);
            }
            has_slept = true;
            until = end_of_slice(None);
        }
    }

    #[inline]
    fn exchange(self, seen: u64, new: u64) -> bool {
        self.0.compare_exchange(seen, new, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Limit;
    use crate::wait::Plain;

    #[test]
    fn what_a_dead_process_owned_is_seized_by_one_that_waits_and_by_one_that_only_asks() {
        let _limit = Limit::seconds(30);
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let dead = Holder::test(child.id(), child.id(), 1);
        child.wait().unwrap();
        let word = AtomicU64::new(dead.word());
        let ownership = Ownership::new(&word);
        let mine = Holder::current();
        assert!(!ownership.try_take(mine));
        assert_eq!(ownership.try_seize(mine), Some(Acquired::OwnerDied(dead)));
        assert_eq!(ownership.try_seize(mine), None);
        assert_eq!(ownership.release(), mine);
        word.store(dead.word() | Holder::FLAG, Ordering::Relaxed);
        let outcome = ownership.take(mine, Reason::Lock, None, &mut Plain).unwrap();
        assert_eq!(outcome, Outcome::Ready(Acquired::OwnerDied(dead)));
        assert_eq!(ownership.holder(), mine);
    }

    #[test]
    fn what_is_held_by_the_living_is_not_had_before_the_deadline() {
        let _limit = Limit::seconds(30);
        let word = AtomicU64::new(Holder::current().word());
        let ownership = Ownership::new(&word);
        let deadline = Instant::now().after(Duration::from_millis(5));
        let outcome = ownership.take(Holder::current(), Reason::Lock, Some(deadline), &mut Plain).unwrap();
        assert_eq!(outcome, Outcome::TimedOut);
        assert!(Instant::now() >= deadline);
    }
}
