//! A counter of permits between processes, as Python's `multiprocessing.Semaphore`.

use std::sync::atomic::{AtomicU64, Ordering};

use threefold_sys::clock::Instant;
use threefold_trace::Reason;

use crate::bell::Bell;
use crate::error::{HomeError, ReleasedTooOften};
use crate::home::{Home, Kind, Room};
use crate::wait::{Driver, Outcome, Wait, block};

/// Permits to be taken and given back, by whomever. One word counts them, so that no death leaves anything half done;
/// what a dead process took stays taken, because a permit is as often a signal as a loan (README section 5).
#[derive(Debug)]
pub struct Semaphore(Room);

const WORDS: usize = 5;
const PERMITS: usize = 1;
const BELL: usize = 2;
const BOUND: usize = 4;

impl Semaphore {
    /// How much room it takes.
    pub const BYTES: usize = WORDS * size_of::<AtomicU64>();

    /// Makes a semaphore with `permits`, and never more than `bound`, in a home of zeros.
    ///
    /// # Errors
    /// When there is no room.
    pub fn create(home: Home, permits: u64, bound: u64) -> Result<Self, HomeError> {
        Ok(Self(home.found(Kind::Semaphore, WORDS, &[(PERMITS, permits), (BOUND, bound)])?))
    }

    /// The semaphore that another process made there.
    ///
    /// # Errors
    /// When there is none.
    pub fn attach(home: Home) -> Result<Self, HomeError> {
        Ok(Self(home.find(Kind::Semaphore, WORDS)?))
    }

    /// Where it is.
    pub fn home(&self) -> &Home {
        self.0.home()
    }

    #[inline]
    fn counter(&self) -> &AtomicU64 {
        &self.0.words()[PERMITS]
    }

    /// What rings when permits come.
    #[inline]
    pub fn bell(&self) -> Bell<'_> {
        let words = self.0.words();
        Bell::of(&words[BELL], &words[BELL + 1])
    }

    /// Takes a permit if there is one.
    #[inline]
    pub fn try_acquire(&self) -> bool {
        let take = |permits: u64| permits.checked_sub(1);
        self.counter().fetch_update(Ordering::AcqRel, Ordering::Relaxed, take).is_ok()
    }

    /// Takes a permit.
    ///
    /// # Blocking
    /// While there is none, at most until `deadline`.
    ///
    /// # Errors
    /// The driver's.
    #[inline]
    pub fn acquire<D: Driver>(&self, deadline: Option<Instant>, driver: &mut D) -> Result<Outcome<()>, D::Error> {
        if self.try_acquire() {
            return Ok(Outcome::Ready(()));
        }
        block(&mut Acquire(self), deadline, driver)
    }

    /// Gives `count` permits.
    ///
    /// # Errors
    /// When there would be more than the bound; nothing is given then.
    #[inline]
    pub fn release(&self, count: u64) -> Result<(), ReleasedTooOften> {
        let bound = self.bound();
        let give = |permits: u64| permits.checked_add(count).filter(|&permits| permits <= bound);
        self.counter().fetch_update(Ordering::AcqRel, Ordering::Relaxed, give).map_err(|_permits| ReleasedTooOften)?;
        self.bell().ring(u32::try_from(count).unwrap_or(u32::MAX));
        Ok(())
    }

    /// Permits that can be had without waiting.
    pub fn permits(&self) -> u64 {
        self.counter().load(Ordering::Acquire)
    }

    /// The most permits there may be.
    pub fn bound(&self) -> u64 {
        self.0.words()[BOUND].load(Ordering::Relaxed)
    }
}

/// Waiting for a permit of a [`Semaphore`].
struct Acquire<'a>(&'a Semaphore);

impl Wait for Acquire<'_> {
    type Output = ();

    const REASON: Reason = Reason::Semaphore;

    fn bell(&self) -> Bell<'_> {
        self.0.bell()
    }

    fn is_promising(&self) -> bool {
        self.0.permits() > 0
    }

    fn poll<D: Driver>(&mut self, _driver: &mut D) -> Result<Option<()>, D::Error> {
        Ok(self.0.try_acquire().then_some(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Limit;
    use crate::wait::{Interrupted, Plain};

    #[test]
    fn permits_are_counted_and_never_more_than_the_bound() {
        let _limit = Limit::seconds(30);
        let home = Home::test(4096);
        let semaphore = Semaphore::create(home.clone(), 1, 2).unwrap();
        let same = Semaphore::attach(home).unwrap();
        assert!(same.try_acquire() && !semaphore.try_acquire());
        assert_eq!(semaphore.release(3), Err(ReleasedTooOften));
        assert_eq!(semaphore.acquire(Some(Instant::now()), &mut Plain), Ok(Outcome::TimedOut));
        let waiter = std::thread::spawn(move || same.acquire(None, &mut Plain));
        semaphore.release(2).unwrap();
        assert_eq!(waiter.join().unwrap(), Ok(Outcome::Ready(())));
        assert_eq!((semaphore.permits(), semaphore.bound()), (1, 2));
    }

    #[test]
    fn who_is_interrupted_passes_the_wake_on() {
        let _limit = Limit::seconds(30);
        let semaphore = Semaphore::create(Home::test(4096), 0, 9).unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| semaphore.acquire(None, &mut Plain));
            while semaphore.bell().sleeper_count() == 0 {
                std::thread::yield_now();
            }
            assert_eq!(semaphore.acquire(None, &mut Interrupted), Err(()));
            semaphore.release(1).unwrap();
            assert_eq!(waiter.join().unwrap(), Ok(Outcome::Ready(())));
        });
        assert_eq!((semaphore.permits(), semaphore.bell().sleeper_count()), (0, 0));
    }
}
