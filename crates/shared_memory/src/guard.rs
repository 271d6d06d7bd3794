//! A lock for short sections in shared memory, which outlives the death of whoever is in one. README section 3.

use std::sync::atomic::AtomicU64;

use threefold_sys::clock::Instant;
use threefold_trace::Reason;

use crate::holder::Holder;
use crate::ownership::{Acquired, Ownership};
use crate::wait::{Driver, Outcome, Plain};

/// Looks at a held guard before the first sleep: longer than a section lasts whose holder runs.
const LOOKS: u32 = 100;

/// A lock for sections that are short and in which nobody waits. One word; zero is free.
#[derive(Clone, Copy, Debug)]
pub struct Guard<'a>(Ownership<'a>);

/// Being in the section; dropping it leaves.
#[derive(Debug)]
#[must_use = "dropping this leaves the section"]
pub struct Held<'a> {
    ownership: Ownership<'a>,
    is_recovered: bool,
}

impl Held<'_> {
    /// Whether the one before died in the section: what the guard protects may be half changed, and must be repaired
    /// before anything else. Should this holder die as well, the next one is told the same.
    #[inline]
    pub fn is_recovered(&self) -> bool {
        self.is_recovered
    }
}

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        self.ownership.release();
    }
}

impl<'a> Guard<'a> {
    /// The guard in this word of shared memory.
    #[inline]
    pub const fn new(word: &'a AtomicU64) -> Self {
        Self(Ownership::new(word))
    }

    /// Enters if nobody is in the section; does not ask whether a holder lives.
    #[inline]
    pub fn try_enter(self) -> Option<Held<'a>> {
        self.0.try_take(Holder::current()).then(|| self.held(false))
    }

    /// As [`Guard::try_enter`], also if the one in the section is dead.
    pub(crate) fn try_take_over(self) -> Option<Held<'a>> {
        let dead = || self.0.try_seize(Holder::current()).map(|_| self.held(true));
        self.try_enter().or_else(dead)
    }

    /// Whether somebody died in the section, and nobody has been in it since.
    pub(crate) fn is_holder_dead(self) -> bool {
        let holder = self.holder();
        !holder.is_nobody() && !holder.is_alive()
    }

    /// Enters; signals are waited through.
    ///
    /// # Blocking
    /// While another is in the section. For long only if that process is stopped.
    #[inline]
    pub fn enter(self) -> Held<'a> {
        if let Some(held) = self.try_enter() {
            return held;
        }
        loop {
            match self.enter_slowly(None, &mut Plain) {
                Ok(Outcome::Ready(held)) => return held,
                Ok(Outcome::TimedOut) => {}
                Err(never) => match never {},
            }
        }
    }

    /// Enters, sleeping through `driver`.
    ///
    /// # Blocking
    /// While another is in the section, at most until `deadline`; for long only if that process is stopped.
    ///
    /// # Errors
    /// The driver's.
    #[inline]
    pub fn enter_with<D: Driver>(
        self,
        deadline: Option<Instant>,
        driver: &mut D,
    ) -> Result<Outcome<Held<'a>>, D::Error> {
        match self.try_enter() {
            Some(held) => Ok(Outcome::Ready(held)),
            None => self.enter_slowly(deadline, driver),
        }
    }

    /// Who is in the section.
    pub fn holder(self) -> Holder {
        self.0.holder()
    }

    #[inline]
    fn held(self, is_recovered: bool) -> Held<'a> {
        Held { ownership: self.0, is_recovered }
    }

    #[cold]
    fn enter_slowly<D: Driver>(self, deadline: Option<Instant>, driver: &mut D) -> Result<Outcome<Held<'a>>, D::Error> {
        for _ in 0..LOOKS {
            if self.0.is_free() {
                if let Some(held) = self.try_enter() {
                    return Ok(Outcome::Ready(held));
                }
            }
            std::hint::spin_loop();
        }
        Ok(match self.0.take(Holder::current(), Reason::Other, deadline, driver)? {
            Outcome::Ready(acquired) => Outcome::Ready(self.held(acquired != Acquired::Free)),
            Outcome::TimedOut => Outcome::TimedOut,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::limit::Limit;

    #[test]
    fn many_threads_count_right() {
        let _limit = Limit::seconds(30);
        let words: Arc<[AtomicU64; 2]> = Arc::default();
        let threads = (0..8).map(|_| {
            let words = Arc::clone(&words);
            std::thread::spawn(move || {
                for _ in 0..20_000 {
                    let held = Guard::new(&words[0]).enter();
                    assert!(!held.is_recovered());
                    words[1].store(words[1].load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                }
            })
        });
        threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(words[1].load(Ordering::Relaxed), 160_000);
        assert!(Guard::new(&words[0]).holder().is_nobody());
    }

    #[test]
    fn the_next_one_is_told_that_the_one_before_died_inside() {
        let _limit = Limit::seconds(30);
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let word = AtomicU64::new(Holder::test(child.id(), child.id(), 1).word());
        child.wait().unwrap();
        let guard = Guard::new(&word);
        assert!(guard.try_enter().is_none());
        assert!(guard.enter().is_recovered());
        assert!(!guard.enter().is_recovered());
    }
}
