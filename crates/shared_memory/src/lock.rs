//! A lock between processes that anybody may release, as Python's `multiprocessing.Lock`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use threefold_sys::clock::Instant;
use threefold_trace::Reason;

use crate::error::{HomeError, NotLocked};
use crate::holder::Holder;
use crate::home::{Home, Kind, Room};
use crate::ownership::{Acquired, Ownership};
use crate::wait::{Driver, Outcome};

/// How often a process that only asks, and never waits, asks whether the owner lives.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// When somebody in this process last asked whether an owner lives.
#[derive(Debug, Default)]
pub(crate) struct Asked(AtomicU64);

impl Asked {
    /// Whether it is time to ask again.
    pub(crate) fn is_due(&self, after: Duration) -> bool {
        let now = Instant::now();
        let is_due = now.since(Instant::from_nanos(self.0.load(Ordering::Relaxed))) >= after;
        if is_due {
            self.0.store(now.as_nanos(), Ordering::Relaxed);
        }
        is_due
    }

    pub(crate) fn try_seize(&self, ownership: Ownership<'_>, mine: Holder) -> Option<Acquired> {
        if self.is_due(ASK_AGAIN_AFTER) { ownership.try_seize(mine) } else { None }
    }
}

/// Mutual exclusion between processes. The owner is remembered to be shown, and so that its death frees the lock.
#[derive(Debug)]
pub struct Lock {
    room: Room,
    asked: Asked,
}

const WORDS: usize = 2;
const OWNER: usize = 1;

impl Lock {
    /// How much room it takes.
    pub const BYTES: usize = WORDS * size_of::<AtomicU64>();

    /// Makes a free lock in a home of zeros.
    ///
    /// # Errors
    /// When there is no room.
    pub fn create(home: Home) -> Result<Self, HomeError> {
        Ok(Self { room: home.found(Kind::Lock, WORDS, &[])?, asked: Asked::default() })
    }

    /// The lock that another process made there.
    ///
    /// # Errors
    /// When there is none.
    pub fn attach(home: Home) -> Result<Self, HomeError> {
        Ok(Self { room: home.find(Kind::Lock, WORDS)?, asked: Asked::default() })
    }

    /// Where it is.
    pub fn home(&self) -> &Home {
        self.room.home()
    }

    #[inline]
    pub(crate) fn ownership(&self) -> Ownership<'_> {
        Ownership::new(&self.room.words()[OWNER])
    }

    /// Takes the lock if it is free; does not ask whether an owner lives.
    #[inline]
    pub fn take_if_free(&self) -> bool {
        self.ownership().try_take(Holder::current())
    }

    /// Takes the lock if it is free or its owner is dead. Asks for the latter at most every 10 ms.
    #[inline]
    pub fn try_acquire(&self) -> Option<Acquired> {
        let mine = Holder::current();
        if self.ownership().try_take(mine) {
            return Some(Acquired::Free);
        }
        self.asked.try_seize(self.ownership(), mine)
    }

    /// As [`Lock::try_acquire`], by a task that has been waiting: asks each time, and leaves other waiters known.
    pub fn try_acquire_again(&self) -> Option<Acquired> {
        self.ownership().try_take_back(Holder::current())
    }

    /// Takes the lock.
    ///
    /// # Blocking
    /// While a living process has it, at most until `deadline`.
    ///
    /// # Errors
    /// The driver's.
    #[inline]
    pub fn acquire<D: Driver>(&self, deadline: Option<Instant>, driver: &mut D) -> Result<Outcome<Acquired>, D::Error> {
        let (ownership, mine) = (self.ownership(), Holder::current());
        if ownership.try_take(mine) {
            return Ok(Outcome::Ready(Acquired::Free));
        }
        ownership.look_and_take(mine, Reason::Lock, deadline, driver)
    }

    /// Frees the lock, whoever holds it.
    ///
    /// # Errors
    /// When nobody does.
    #[inline]
    pub fn release(&self) -> Result<(), NotLocked> {
        if self.ownership().release().is_nobody() { Err(NotLocked) } else { Ok(()) }
    }

    /// Who holds it.
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
    fn it_excludes_and_anybody_may_release_it() {
        let _limit = Limit::seconds(30);
        let home = Home::test(4096);
        let lock = Lock::create(home.clone()).unwrap();
        let same = Lock::attach(home).unwrap();
        assert_eq!(lock.try_acquire(), Some(Acquired::Free));
        assert_eq!(same.try_acquire(), None);
        assert_eq!(same.holder(), Holder::current());
        std::thread::spawn(move || same.release().unwrap()).join().unwrap();
        assert_eq!(lock.release(), Err(NotLocked));
        assert_eq!(lock.acquire(None, &mut Plain), Ok(Outcome::Ready(Acquired::Free)));
        assert_eq!(lock.acquire(Some(Instant::now()), &mut Plain), Ok(Outcome::TimedOut));
    }

    #[test]
    fn only_who_asks_for_the_dead_gets_what_they_left() {
        let _limit = Limit::seconds(30);
        let lock = Lock::create(Home::test(4096)).unwrap();
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let dead = Holder::test(child.id(), child.id(), 1);
        child.wait().unwrap();
        lock.ownership().word().store(dead.word(), Ordering::Relaxed);
        assert!(!lock.take_if_free());
        assert_eq!(lock.try_acquire(), Some(Acquired::OwnerDied(dead)));
        lock.release().unwrap();
        assert!(lock.take_if_free());
    }
}
