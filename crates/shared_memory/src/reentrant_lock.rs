//! A lock between processes that its owner may take again, as Python's `multiprocessing.RLock`.

use std::sync::atomic::{AtomicU64, Ordering};

use threefold_sys::clock::Instant;
use threefold_trace::Reason;

use crate::error::{HomeError, NotOwner};
use crate::holder::Holder;
use crate::home::{Home, Kind, Room};
use crate::lock::Asked;
use crate::ownership::{Acquired, Ownership};
use crate::wait::{Driver, Outcome};

/// A re-entrant lock, owned by a thread of a process. A forked child is another owner.
///
/// The count, and which owner within the thread it is, are written by the owner only, so that the ownership word alone decides.
#[derive(Debug)]
pub struct RLock {
    room: Room,
    asked: Asked,
}

/// An owner of an [`RLock`] within a thread: one of the tasks that it runs, or the thread itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Within(pub u64);

impl Within {
    /// The thread itself.
    pub const THREAD: Self = Self(0);
}

const WORDS: usize = 4;
const OWNER: usize = 1;
const COUNT: usize = 2;
const WITHIN: usize = 3;

impl RLock {
    /// How much room it takes.
    pub const BYTES: usize = WORDS * size_of::<AtomicU64>();

    /// Makes a free lock in a home of zeros.
    ///
    /// # Errors
    /// When there is no room.
    pub fn create(home: Home) -> Result<Self, HomeError> {
        Ok(Self { room: home.found(Kind::RLock, WORDS, &[])?, asked: Asked::default() })
    }

    /// The lock that another process made there.
    ///
    /// # Errors
    /// When there is none.
    pub fn attach(home: Home) -> Result<Self, HomeError> {
        Ok(Self { room: home.find(Kind::RLock, WORDS)?, asked: Asked::default() })
    }

    /// Where it is.
    pub fn home(&self) -> &Home {
        self.room.home()
    }

    #[inline]
    pub(crate) fn ownership(&self) -> Ownership<'_> {
        Ownership::new(&self.room.words()[OWNER])
    }

    #[inline]
    fn times(&self) -> &AtomicU64 {
        &self.room.words()[COUNT]
    }

    #[inline]
    fn within(&self) -> &AtomicU64 {
        &self.room.words()[WITHIN]
    }

    /// By the new owner.
    #[inline]
    fn begin(&self, within: Within) {
        self.restore(1);
        self.within().store(within.0, Ordering::Relaxed);
    }

    /// Counts once more if that owner has it.
    #[inline]
    fn try_again(&self, within: Within) -> bool {
        let count = self.count_within(within);
        if count > 0 {
            self.restore(count.saturating_add(1));
        }
        count > 0
    }

    /// Takes the lock if it is free or the calling thread's already; does not ask whether an owner lives.
    #[inline]
    pub fn take_if_free(&self) -> bool {
        if self.try_again(Within::THREAD) {
            return true;
        }
        let is_taken = self.ownership().try_take(Holder::current());
        if is_taken {
            self.begin(Within::THREAD);
        }
        is_taken
    }

    /// Takes the lock if it is free, the calling thread's already, or a dead process's.
    #[inline]
    pub fn try_acquire(&self) -> Option<Acquired> {
        self.try_acquire_within(Within::THREAD)
    }

    /// As [`RLock::try_acquire`], for one of the calling thread's owners.
    #[inline]
    pub fn try_acquire_within(&self, within: Within) -> Option<Acquired> {
        let (ownership, mine) = (self.ownership(), Holder::current());
        if self.try_again(within) {
            return Some(Acquired::Free);
        }
        let acquired = if ownership.try_take(mine) { Acquired::Free } else { self.asked.try_seize(ownership, mine)? };
        self.begin(within);
        Some(acquired)
    }

    /// As [`RLock::try_acquire_within`], by a task that has been waiting: asks for the dead each time, and leaves other
    /// waiters known.
    pub fn try_acquire_again(&self, within: Within) -> Option<Acquired> {
        let acquired = self.ownership().try_take_back(Holder::current())?;
        self.begin(within);
        Some(acquired)
    }

    /// Takes the lock, again if the calling thread has it.
    ///
    /// # Blocking
    /// While another living thread has it, at most until `deadline`.
    ///
    /// # Errors
    /// The driver's.
    #[inline]
    pub fn acquire<D: Driver>(&self, deadline: Option<Instant>, driver: &mut D) -> Result<Outcome<Acquired>, D::Error> {
        let (ownership, mine) = (self.ownership(), Holder::current());
        if self.try_again(Within::THREAD) {
            return Ok(Outcome::Ready(Acquired::Free));
        }
        let outcome = if ownership.try_take(mine) {
            Outcome::Ready(Acquired::Free)
        } else {
            ownership.look_and_take(mine, Reason::RLock, deadline, driver)?
        };
        if outcome != Outcome::TimedOut {
            self.begin(Within::THREAD);
        }
        Ok(outcome)
    }

    /// Undoes one acquisition.
    ///
    /// # Errors
    /// When the calling thread does not hold the lock.
    #[inline]
    pub fn release(&self) -> Result<(), NotOwner> {
        self.release_within(Within::THREAD)
    }

    /// As [`RLock::release`], for one of the calling thread's owners.
    ///
    /// # Errors
    /// When that one does not hold the lock.
    #[inline]
    pub fn release_within(&self, within: Within) -> Result<(), NotOwner> {
        match self.count_within(within) {
            0 => return Err(NotOwner),
            1 => {
                self.ownership().release();
            }
            count => self.restore(count - 1),
        }
        Ok(())
    }

    /// Undoes all acquisitions at once and returns their number, for [`RLock::restore`].
    ///
    /// # Errors
    /// When the calling thread does not hold the lock.
    pub fn release_all(&self, within: Within) -> Result<u64, NotOwner> {
        let count = self.count_within(within);
        if count == 0 {
            return Err(NotOwner);
        }
        self.ownership().release();
        Ok(count)
    }

    /// By the owner, who has just acquired it: counts as acquired `count` times.
    #[inline]
    pub fn restore(&self, count: u64) {
        self.times().store(count, Ordering::Relaxed);
    }

    /// How often the calling thread has acquired it.
    #[inline]
    pub fn count(&self) -> u64 {
        self.count_within(Within::THREAD)
    }

    /// How often one of the calling thread's owners has acquired it.
    #[inline]
    pub fn count_within(&self, within: Within) -> u64 {
        let is_mine = self.holder() == Holder::current() && self.within().load(Ordering::Relaxed) == within.0;
        // An owner has acquired it at least once, whatever the word says.
        if is_mine { self.times().load(Ordering::Relaxed).max(1) } else { 0 }
    }

    /// Which of the calling thread's owners holds it, if one does.
    #[inline]
    pub fn within_this_thread(&self) -> Option<Within> {
        (self.holder() == Holder::current()).then(|| Within(self.within().load(Ordering::Relaxed)))
    }

    /// Who holds it.
    #[inline]
    pub fn holder(&self) -> Holder {
        self.ownership().holder()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Limit;
    use crate::wait::Plain;

    #[test]
    fn its_owner_may_take_it_again_and_nobody_else_release_it() {
        let _limit = Limit::seconds(30);
        let home = Home::test(4096);
        let lock = RLock::create(home.clone()).unwrap();
        assert_eq!(lock.release(), Err(NotOwner));
        for _ in 0..2 {
            assert_eq!(lock.acquire(None, &mut Plain), Ok(Outcome::Ready(Acquired::Free)));
        }
        assert_eq!((lock.take_if_free(), lock.count()), (true, 3));
        let other = std::thread::spawn(move || {
            let same = RLock::attach(home).unwrap();
            assert!(!same.take_if_free());
            (same.try_acquire(), same.release(), same.count())
        });
        assert_eq!(other.join().unwrap(), (None, Err(NotOwner), 0));
        let count = lock.release_all(Within::THREAD).unwrap();
        assert!(lock.holder().is_nobody());
        assert_eq!((lock.take_if_free(), lock.count()), (true, 1));
        lock.restore(count);
        (0..3).for_each(|_| lock.release().unwrap());
        assert_eq!(lock.release(), Err(NotOwner));
    }

    #[test]
    fn a_task_is_an_owner_of_its_own() {
        let lock = RLock::create(Home::test(4096)).unwrap();
        let (one, other) = (Within(7), Within(8));
        for _ in 0..2 {
            assert_eq!(lock.try_acquire_within(one), Some(Acquired::Free));
        }
        assert_eq!((lock.try_acquire(), lock.try_acquire_within(other)), (None, None));
        assert_eq!((lock.release(), lock.release_within(other)), (Err(NotOwner), Err(NotOwner)));
        assert_eq!((lock.count(), lock.count_within(one), lock.within_this_thread()), (0, 2, Some(one)));
        (0..2).for_each(|_| lock.release_within(one).unwrap());
        assert_eq!(lock.try_acquire(), Some(Acquired::Free));
        assert_eq!(lock.within_this_thread(), Some(Within::THREAD));
        lock.release().unwrap();
        assert_eq!((lock.try_acquire_again(other), lock.within_this_thread()), (Some(Acquired::Free), Some(other)));
    }
}
