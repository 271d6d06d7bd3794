//! The four kinds of lock behind one face.

use std::sync::Arc;

use pyo3::exceptions::{PyAssertionError, PyValueError};
use pyo3::prelude::*;
use threefold_shared_memory::lookout::Sight;
use threefold_shared_memory::{
    Acquired, BoundedSemaphore, Driver, Holder, Home, HomeError, Instant, Lock, NotOwner, Outcome, RLock,
    ReleasedTooOften, Semaphore, Within,
};
use threefold_trace::{Owner, Reason};

use super::holder;
use super::place::home_error;
use super::timeout::is_ready;

/// The most permits of which each remembers who has it; more are only counted.
pub(super) const MOST_LENT: u64 = 4096;

/// Which kind of lock it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Lock,
    RLock,
    Counted,
    Lent,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Lock, Self::RLock, Self::Counted, Self::Lent];

    pub(super) fn number(self) -> u8 {
        self as u8
    }

    /// The name of the class that stands for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Lock => "Lock",
            Self::RLock => "RLock",
            Self::Counted => "Semaphore",
            Self::Lent => "BoundedSemaphore",
        }
    }

    /// Whether it is known who has it, so that a death is noticed.
    pub(super) fn knows_its_owners(self) -> bool {
        self != Self::Counted
    }

    pub(super) fn of_number(number: u8) -> PyResult<Self> {
        Self::ALL.get(usize::from(number)).copied().ok_or_else(|| PyValueError::new_err("unrecognized kind"))
    }

    /// The kind that a class stands for, by its name, and how many permits there may be.
    pub(super) fn of_name(name: &str, bound: u64) -> PyResult<Self> {
        match name {
            "Lock" => Ok(Self::Lock),
            "RLock" => Ok(Self::RLock),
            "BoundedSemaphore" if bound <= MOST_LENT => Ok(Self::Lent),
            "Semaphore" | "BoundedSemaphore" => Ok(Self::Counted),
            _ => Err(PyValueError::new_err("unrecognized kind")),
        }
    }
}

/// A lock of one of the kinds.
pub(super) enum AnyLock {
    Lock(Lock),
    RLock(RLock),
    Counted(Semaphore),
    Lent(BoundedSemaphore),
}

impl AnyLock {
    /// How much memory one takes.
    pub(super) fn bytes(kind: Kind, bound: u64) -> usize {
        match kind {
            Kind::Lock => Lock::BYTES,
            Kind::RLock => RLock::BYTES,
            Kind::Counted => Semaphore::BYTES,
            Kind::Lent => BoundedSemaphore::bytes(usize::try_from(bound).unwrap_or(usize::MAX)),
        }
    }

    pub(super) fn create(kind: Kind, home: Home, permits: u64, bound: u64) -> Result<Self, HomeError> {
        Ok(match kind {
            Kind::Lock => Self::Lock(Lock::create(home)?),
            Kind::RLock => Self::RLock(RLock::create(home)?),
            Kind::Counted => Self::Counted(Semaphore::create(home, permits, bound)?),
            Kind::Lent => Self::Lent(BoundedSemaphore::create(home, usize::try_from(bound).unwrap_or(usize::MAX))?),
        })
    }

    pub(super) fn attach(kind: Kind, home: Home) -> Result<Self, HomeError> {
        Ok(match kind {
            Kind::Lock => Self::Lock(Lock::attach(home)?),
            Kind::RLock => Self::RLock(RLock::attach(home)?),
            Kind::Counted => Self::Counted(Semaphore::attach(home)?),
            Kind::Lent => Self::Lent(BoundedSemaphore::attach(home)?),
        })
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Lock(_) => Kind::Lock,
            Self::RLock(_) => Kind::RLock,
            Self::Counted(_) => Kind::Counted,
            Self::Lent(_) => Kind::Lent,
        }
    }

    pub(super) fn home(&self) -> &Home {
        match self {
            Self::Lock(lock) => lock.home(),
            Self::RLock(lock) => lock.home(),
            Self::Counted(semaphore) => semaphore.home(),
            Self::Lent(semaphore) => semaphore.home(),
        }
    }

    /// Takes it if it is free, or the calling thread's already and may be taken again.
    #[inline]
    pub(super) fn take_if_free(&self) -> bool {
        match self {
            Self::Lock(lock) => lock.take_if_free(),
            Self::RLock(lock) => lock.take_if_free(),
            Self::Counted(semaphore) => semaphore.try_acquire(),
            Self::Lent(semaphore) => semaphore.take_if_free(),
        }
    }

    /// Takes it if that needs no waiting, for one of the calling thread's owners. What a dead owner left is the next
    /// one's.
    pub(super) fn try_acquire_within(&self, within: Within) -> Option<Acquired> {
        match self {
            Self::Lock(lock) => lock.try_acquire(),
            Self::RLock(lock) => lock.try_acquire_within(within),
            Self::Counted(semaphore) => semaphore.try_acquire().then_some(Acquired::Free),
            Self::Lent(semaphore) => semaphore.try_acquire(),
        }
    }

    /// As [`AnyLock::try_acquire_within`], by a task that has been waiting.
    pub(super) fn try_acquire_again(&self, within: Within) -> Option<Acquired> {
        match self {
            Self::Lock(lock) => lock.try_acquire_again(),
            Self::RLock(lock) => lock.try_acquire_again(within),
            Self::Counted(semaphore) => semaphore.try_acquire().then_some(Acquired::Free),
            Self::Lent(semaphore) => semaphore.try_acquire_again(),
        }
    }

    /// What a task waits for that wants it.
    pub(super) fn sight(&self) -> PyResult<Arc<dyn Sight>> {
        let sight = match self {
            Self::Lock(lock) => lock.sight(),
            Self::RLock(lock) => lock.sight(),
            Self::Counted(semaphore) => semaphore.sight(),
            Self::Lent(semaphore) => semaphore.sight(),
        };
        sight.map_err(home_error)
    }

    /// As which of the calling thread's owners the caller has it, or would.
    pub(super) fn within(&self, py: Python<'_>) -> Within {
        match self {
            Self::RLock(lock) => {
                lock.within_this_thread().filter(|&within| holder::is_caller(py, within)).unwrap_or(Within::THREAD)
            }
            _ => Within::THREAD,
        }
    }

    /// Whether the caller, a thread or a task, has it.
    pub(super) fn is_callers(&self, py: Python<'_>) -> bool {
        match self {
            Self::RLock(lock) => lock.count_within(self.within(py)) > 0,
            _ => self.holder() == Holder::current(),
        }
    }

    /// Who has it, for the wait table.
    pub(super) fn owner(&self) -> Owner {
        let task = match self {
            Self::RLock(lock) => lock.within_this_thread().filter(|&within| within != Within::THREAD),
            _ => None,
        };
        task.map_or_else(|| holder::owner_of(self.holder()), |task| Owner(task.0))
    }

    /// What it is waited for.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Lock(_) => Reason::Lock,
            Self::RLock(_) => Reason::RLock,
            Self::Counted(_) | Self::Lent(_) => Reason::Semaphore,
        }
    }

    /// Takes it, waiting until `deadline` at most.
    ///
    /// # Errors
    /// The driver's.
    pub(super) fn acquire<D: Driver>(
        &self,
        deadline: Option<Instant>,
        driver: &mut D,
    ) -> Result<Option<Acquired>, D::Error> {
        let outcome = match self {
            Self::Lock(lock) => lock.acquire(deadline, driver)?,
            Self::RLock(lock) => lock.acquire(deadline, driver)?,
            Self::Counted(semaphore) => {
                return Ok(is_ready(&semaphore.acquire(deadline, driver)?).then_some(Acquired::Free));
            }
            Self::Lent(semaphore) => semaphore.acquire(deadline, driver)?,
        };
        Ok(match outcome {
            Outcome::Ready(acquired) => Some(acquired),
            Outcome::TimedOut => None,
        })
    }

    /// Gives it back once; false when [`AnyLock::release`] must say what is wrong.
    #[inline]
    pub(super) fn try_release(&self) -> bool {
        match self {
            Self::Lock(lock) => lock.release().is_ok(),
            Self::RLock(lock) => lock.release().is_ok(),
            Self::Counted(semaphore) => semaphore.release(1).is_ok(),
            Self::Lent(semaphore) => semaphore.release().is_ok(),
        }
    }

    /// Gives back what one of the calling thread's owners has just taken.
    pub(super) fn hand_on(&self, within: Within) {
        let _had_by_the_caller = match self {
            Self::RLock(lock) => lock.release_within(within).is_ok(),
            _ => self.try_release(),
        };
    }

    /// Gives it back once.
    ///
    /// # Errors
    /// When there is nothing to give back, with the standard library's words.
    pub(super) fn release(&self, py: Python<'_>) -> PyResult<()> {
        match self {
            _ if self.try_release() => Ok(()),
            Self::RLock(lock) if lock.release_within(self.within(py)).is_ok() => Ok(()),
            Self::RLock(_) => Err(PyAssertionError::new_err(NotOwner.to_string())),
            _ => Err(PyValueError::new_err(ReleasedTooOften.to_string())),
        }
    }

    /// Permits that can be had without waiting.
    pub(super) fn permits(&self) -> u64 {
        match self {
            Self::Lock(lock) => u64::from(lock.holder().is_nobody()),
            Self::RLock(lock) => u64::from(lock.holder().is_nobody()),
            Self::Counted(semaphore) => semaphore.permits(),
            Self::Lent(semaphore) => semaphore.permits() as u64,
        }
    }

    /// The most permits there may be.
    pub(super) fn bound(&self) -> u64 {
        match self {
            Self::Lock(_) | Self::RLock(_) => 1,
            Self::Counted(semaphore) => semaphore.bound(),
            Self::Lent(semaphore) => semaphore.bound() as u64,
        }
    }

    /// Who has it, if it is a lock.
    pub(super) fn holder(&self) -> Holder {
        match self {
            Self::Lock(lock) => lock.holder(),
            Self::RLock(lock) => lock.holder(),
            Self::Counted(_) | Self::Lent(_) => Holder::NOBODY,
        }
    }

    /// How often the calling thread has it, or, if another thread of this process has it, once.
    pub(super) fn count(&self, py: Python<'_>) -> u64 {
        match self {
            Self::RLock(lock) if self.is_callers(py) => lock.count_within(self.within(py)),
            _ => u64::from(self.holder().is_of_process_of(Holder::current())),
        }
    }

    /// Gives it back as often as the calling thread has it, and returns how often.
    pub(super) fn release_all(&self, py: Python<'_>) -> PyResult<u64> {
        match self {
            Self::RLock(lock) => {
                lock.release_all(self.within(py)).map_err(|error| PyAssertionError::new_err(error.to_string()))
            }
            _ => self.release(py).map(|()| 1),
        }
    }

    /// By who has just taken it: counts as taken so often.
    pub(super) fn set_count(&self, count: u64) {
        if let Self::RLock(lock) = self {
            lock.restore(count);
        }
    }
}
