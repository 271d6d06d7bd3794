//! What the next owner of a lock gets when a process died with it: the lock, or an `OwnerDied`.

use pyo3::prelude::*;
use threefold_shared_memory::{Acquired, Holder, Instant, Within};

use super::driver::PythonDriver;
use super::lock::{AnyLock, Kind};
use crate::python::{self, in_view_of};

/// A lock, and whether those who take it are told of deaths.
pub(super) struct Inheritance {
    lock: AnyLock,
    raises: bool,
}

impl Inheritance {
    pub(super) fn new(lock: AnyLock, raises: bool) -> Self {
        Self { lock, raises }
    }

    #[inline]
    pub(super) fn lock(&self) -> &AnyLock {
        &self.lock
    }

    pub(super) fn raises(&self) -> bool {
        self.raises
    }

    /// Takes it if that needs no waiting: for the calling thread, or for the task of it that has it already.
    ///
    /// # Errors
    /// `OwnerDied`, if it is to be told; the lock is free then.
    pub(super) fn try_acquire(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.lock.take_if_free() || self.try_acquire_within(py, self.lock.within(py))?)
    }

    /// Takes it if that needs no waiting, for one of the calling thread's owners; errors as those of `try_acquire`.
    pub(super) fn try_acquire_within(&self, py: Python<'_>, within: Within) -> PyResult<bool> {
        self.had(py, self.lock.try_acquire_within(within), within)
    }

    /// As [`Inheritance::try_acquire_within`], by a task that has been waiting.
    pub(super) fn try_acquire_again(&self, py: Python<'_>, within: Within) -> PyResult<bool> {
        self.had(py, self.lock.try_acquire_again(within), within)
    }

    /// Takes it, waiting until `deadline` at most; whether it was had.
    ///
    /// # Errors
    /// The driver's, and those of `try_acquire`.
    pub(super) fn acquire(
        &self,
        py: Python<'_>,
        deadline: Option<Instant>,
        driver: &mut PythonDriver<'_>,
    ) -> PyResult<bool> {
        self.had(py, self.lock.acquire(deadline, driver)?, Within::THREAD)
    }

    /// Takes it as often as before a wait, whatever signals say meanwhile.
    ///
    /// # Errors
    /// What a signal handler raised; else `OwnerDied`, if it is to be told. It is held in either case.
    pub(super) fn restore(&self, py: Python<'_>, count: u64) -> PyResult<()> {
        let mut driver = PythonDriver::persistent(py, &self.lock);
        let acquired = self.lock.acquire(None, &mut driver)?;
        self.lock.set_count(count);
        let told = acquired.map_or(Ok(()), |acquired| self.tell(py, acquired));
        driver.finish().map_err(|error| in_view_of(py, error, told.as_ref().err())).and(told)
    }

    /// Tells the one who has taken it of a death.
    ///
    /// # Errors
    /// `OwnerDied`.
    pub(super) fn tell(&self, py: Python<'_>, acquired: Acquired) -> PyResult<()> {
        match acquired {
            Acquired::OwnerDied(dead) if self.raises => Err(owner_died(py, dead, self.lock.kind())),
            Acquired::OwnerDied(_) | Acquired::Free => Ok(()),
        }
    }

    /// Whether it was had. Who is told of a death has not got it: `with` would never give it back.
    fn had(&self, py: Python<'_>, acquired: Option<Acquired>, within: Within) -> PyResult<bool> {
        let Some(acquired) = acquired else { return Ok(false) };
        if self.raises && acquired != Acquired::Free {
            // Before any Python code runs, which may want it.
            self.lock.hand_on(within);
        }
        self.tell(py, acquired).map(|()| true)
    }
}

#[cold]
fn owner_died(py: Python<'_>, dead: Holder, kind: Kind) -> PyErr {
    match python::owner_died(py).and_then(|class| class.call1((dead.pid(), kind.name()))) {
        Ok(error) => PyErr::from_value(error),
        Err(error) => error,
    }
}
