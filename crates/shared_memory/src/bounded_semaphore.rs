//! Permits that are lent to processes, as Python's `multiprocessing.BoundedSemaphore`.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use threefold_sys::clock::Instant;
use threefold_trace::Reason;

use crate::bell::Bell;
use crate::error::{HomeError, ReleasedTooOften};
use crate::holder::Holder;
use crate::home::{Home, Kind, Room};
use crate::lock::Asked;
use crate::ownership::Acquired;
use crate::wait::{Driver, Outcome, Wait, block};

/// A fixed number of permits, each of which remembers who has it; those of the dead come back.
///
/// Each permit is one word, the holder or zero, and is taken and given back by one exchange.
#[derive(Debug)]
pub struct BoundedSemaphore {
    room: Room,
    /// Where the last permit was found, where another is looked for first.
    last: AtomicUsize,
    asked: Asked,
}

/// How often a process asks whether those who have permits live: a little less than a slice, so that none is left out.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(190);

const PERMIT_COUNT: usize = 1;
const BELL: usize = 2;
const PERMITS: usize = 4;

impl BoundedSemaphore {
    /// How much room a semaphore with so many permits takes.
    pub const fn bytes(permit_count: usize) -> usize {
        permit_count.saturating_add(PERMITS).saturating_mul(size_of::<AtomicU64>())
    }

    /// Makes a semaphore with `permit_count` permits in a home of zeros.
    ///
    /// # Errors
    /// When there is no room.
    pub fn create(home: Home, permit_count: usize) -> Result<Self, HomeError> {
        let values = [(PERMIT_COUNT, permit_count as u64)];
        Ok(Self::at(home.found(Kind::BoundedSemaphore, permit_count.saturating_add(PERMITS), &values)?))
    }

    /// The semaphore that another process made there.
    ///
    /// # Errors
    /// When there is none.
    pub fn attach(home: Home) -> Result<Self, HomeError> {
        let head = home.clone().find(Kind::BoundedSemaphore, PERMITS)?;
        let count = head.words()[PERMIT_COUNT].load(Ordering::Relaxed);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Ok(Self::at(home.find(Kind::BoundedSemaphore, count.saturating_add(PERMITS))?))
    }

    fn at(room: Room) -> Self {
        Self { room, last: AtomicUsize::new(0), asked: Asked::default() }
    }

    /// Where it is.
    pub fn home(&self) -> &Home {
        self.room.home()
    }

    #[inline]
    fn permit_words(&self) -> &[AtomicU64] {
        &self.room.words()[PERMITS..]
    }

    /// What rings when permits come back.
    #[inline]
    pub fn bell(&self) -> Bell<'_> {
        let words = self.room.words();
        Bell::of(&words[BELL], &words[BELL + 1])
    }

    /// Takes a permit if one is free; does not ask whether those who have the others live.
    #[inline]
    pub fn take_if_free(&self) -> bool {
        self.try_take(Holder::current())
    }

    /// Takes a permit if one is free or a dead process has one. Asks for the latter at most five times a second.
    #[inline]
    pub fn try_acquire(&self) -> Option<Acquired> {
        let mine = Holder::current();
        if self.try_take(mine) {
            return Some(Acquired::Free);
        }
        if self.asked.is_due(ASK_AGAIN_AFTER) { self.take_from_the_dead(mine) } else { None }
    }

    fn try_take(&self, mine: Holder) -> bool {
        let words = self.permit_words();
        let first = self.last.load(Ordering::Relaxed).min(words.len());
        let (before, after) = words.split_at(first);
        let take = |word: &&AtomicU64| {
            word.load(Ordering::Relaxed) == 0
                && word.compare_exchange(0, mine.word(), Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        if let Some(place) = after.iter().position(|word| take(&word)) {
            self.last.store(first + place, Ordering::Relaxed);
            return true;
        }
        let place = before.iter().position(|word| take(&word));
        self.last.store(place.unwrap_or(0), Ordering::Relaxed);
        place.is_some()
    }

    /// Takes one of the permits of dead processes and frees the others.
    #[cold]
    fn take_from_the_dead(&self, mine: Holder) -> Option<Acquired> {
        let mut taken = None;
        let mut freed_count = 0;
        let mut living = Holder::NOBODY;
        for word in self.permit_words() {
            let holder = Holder::from_word(word.load(Ordering::Relaxed));
            if holder.is_nobody() || holder.is_of_process_of(living) {
                continue;
            }
            if holder.is_alive() {
                living = holder;
                continue;
            }
            let next = if taken.is_none() { mine.word() } else { 0 };
            if word.compare_exchange(holder.word(), next, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                freed_count += u32::from(taken.is_some());
                taken = taken.or(Some(Acquired::OwnerDied(holder)));
            }
        }
        self.bell().ring(freed_count);
        taken
    }

    /// As [`BoundedSemaphore::try_acquire`], by a task that has been waiting: asks for the dead each time.
    pub fn try_acquire_again(&self) -> Option<Acquired> {
        let mine = Holder::current();
        if self.try_take(mine) { Some(Acquired::Free) } else { self.take_from_the_dead(mine) }
    }

    /// Whether somebody died with a permit.
    pub(crate) fn has_dead_holder(&self) -> bool {
        let mut living = Holder::NOBODY;
        self.permit_words().iter().any(|word| {
            let holder = Holder::from_word(word.load(Ordering::Relaxed));
            let is_dead = !holder.is_nobody() && !holder.is_of_process_of(living) && !holder.is_alive();
            living = if holder.is_nobody() || is_dead { living } else { holder };
            is_dead
        })
    }

    /// Takes a permit.
    ///
    /// # Blocking
    /// While the living have all of them, at most until `deadline`.
    ///
    /// # Errors
    /// The driver's.
    #[inline]
    pub fn acquire<D: Driver>(&self, deadline: Option<Instant>, driver: &mut D) -> Result<Outcome<Acquired>, D::Error> {
        if self.try_take(Holder::current()) {
            return Ok(Outcome::Ready(Acquired::Free));
        }
        block(&mut Acquire(self), deadline, driver)
    }

    /// Gives a permit back: one of the calling thread, else one of its process, else anybody's.
    ///
    /// # Errors
    /// When nobody has one.
    pub fn release(&self) -> Result<(), ReleasedTooOften> {
        while let Some((word, holder)) = self.permit_to_release(Holder::current()) {
            if word.compare_exchange(holder.word(), 0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                self.bell().ring(1);
                return Ok(());
            }
        }
        Err(ReleasedTooOften)
    }

    fn permit_to_release(&self, mine: Holder) -> Option<(&AtomicU64, Holder)> {
        let held = self.permit_words().iter().filter_map(|word| {
            let holder = Holder::from_word(word.load(Ordering::Relaxed));
            (!holder.is_nobody()).then_some((word, holder))
        });
        held.min_by_key(|&(_, holder)| (holder != mine, !holder.is_of_process_of(mine)))
    }

    /// Permits that can be had without waiting; those of dead processes do not count yet.
    pub fn permits(&self) -> usize {
        self.permit_words().iter().filter(|word| word.load(Ordering::Acquire) == 0).count()
    }

    /// How many there are.
    pub fn bound(&self) -> usize {
        self.permit_words().len()
    }
}

/// Waiting for a permit of a [`BoundedSemaphore`].
struct Acquire<'a>(&'a BoundedSemaphore);

impl Wait for Acquire<'_> {
    type Output = Acquired;

    const REASON: Reason = Reason::Semaphore;

    fn bell(&self) -> Bell<'_> {
        self.0.bell()
    }

    fn is_promising(&self) -> bool {
        self.0.permits() > 0
    }

    fn holder(&self) -> Holder {
        // There is one holder to name if there is one permit.
        match self.0.permit_words() {
            [only] => Holder::from_word(only.load(Ordering::Relaxed)),
            _ => Holder::NOBODY,
        }
    }

    fn poll<D: Driver>(&mut self, _driver: &mut D) -> Result<Option<Acquired>, D::Error> {
        Ok(self.0.try_acquire())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Limit;
    use crate::wait::Plain;

    #[test]
    fn permits_are_lent_and_cannot_come_back_twice() {
        let _limit = Limit::seconds(30);
        let home = Home::test(4096);
        let semaphore = BoundedSemaphore::create(home.clone(), 2).unwrap();
        let same = BoundedSemaphore::attach(home).unwrap();
        assert_eq!(semaphore.release(), Err(ReleasedTooOften));
        assert_eq!(semaphore.try_acquire(), Some(Acquired::Free));
        assert_eq!(semaphore.acquire(None, &mut Plain), Ok(Outcome::Ready(Acquired::Free)));
        assert_eq!((semaphore.permits(), semaphore.bound(), same.try_acquire()), (0, 2, None));
        let waiter = std::thread::spawn(move || same.acquire(None, &mut Plain));
        semaphore.release().unwrap();
        assert_eq!(waiter.join().unwrap(), Ok(Outcome::Ready(Acquired::Free)));
        (0..2).for_each(|_| semaphore.release().unwrap());
        assert_eq!(semaphore.release(), Err(ReleasedTooOften));
    }

    #[test]
    fn a_thread_gives_its_own_permit_back_first() {
        let _limit = Limit::seconds(30);
        let semaphore = BoundedSemaphore::create(Home::test(4096), 2).unwrap();
        let holders = || semaphore.permit_words().iter().map(|word| word.load(Ordering::Relaxed)).collect::<Vec<_>>();
        let mine = Holder::current();
        let other = std::thread::scope(|scope| scope.spawn(|| semaphore.try_acquire()).join().unwrap());
        assert_eq!((other, semaphore.try_acquire()), (Some(Acquired::Free), Some(Acquired::Free)));
        assert!(holders().contains(&mine.word()));
        semaphore.release().unwrap();
        assert!(!holders().contains(&mine.word()));
        semaphore.release().unwrap();
    }

    #[test]
    fn permits_of_the_dead_come_back() {
        let _limit = Limit::seconds(30);
        let semaphore = BoundedSemaphore::create(Home::test(4096), 3).unwrap();
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let dead = Holder::test(child.id(), child.id(), 1);
        child.wait().unwrap();
        semaphore.permit_words().iter().for_each(|word| word.store(dead.word(), Ordering::Relaxed));
        assert!(!semaphore.take_if_free());
        assert_eq!(semaphore.acquire(None, &mut Plain), Ok(Outcome::Ready(Acquired::OwnerDied(dead))));
        assert_eq!((semaphore.permits(), semaphore.take_if_free()), (2, true));
    }
}
