//! The memory of one object: made by one process, found again by the others.

use std::os::fd::AsRawFd;
use std::sync::{Arc, OnceLock};

use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use threefold_shared_memory::{Home, HomeError, Region};

/// An object in shared memory, once its Python object was initialised.
pub(super) struct Place<T>(OnceLock<T>);

impl<T> Place<T> {
    pub(super) const fn empty() -> Self {
        Self(OnceLock::new())
    }

    /// The object.
    ///
    /// # Errors
    /// When `__init__` of a subclass has not called that of its base.
    #[inline]
    pub(super) fn get(&self) -> PyResult<&T> {
        self.try_get().ok_or_else(not_initialised)
    }

    /// The object, if it was initialised.
    #[inline]
    pub(super) fn try_get(&self) -> Option<&T> {
        self.0.get()
    }

    /// Keeps the object; one that is there already stays.
    pub(super) fn set(&self, object: T) {
        let _stays = self.0.set(object);
    }

    /// Makes the object in memory of its own.
    pub(super) fn make(&self, len_bytes: usize, create: impl FnOnce(Home) -> Result<T, HomeError>) -> PyResult<()> {
        let region = Region::create("threefold-lock", len_bytes, len_bytes)?;
        self.set(create(Home::new(Arc::new(region), 0)).map_err(home_error)?);
        Ok(())
    }

    /// Finds the object that another process made, behind this process's descriptor `number`, which stays open.
    pub(super) fn find(
        &self,
        number: i32,
        len_bytes: usize,
        attach: impl FnOnce(Home) -> Result<T, HomeError>,
    ) -> PyResult<()> {
        let region = Region::reopen(std::process::id(), number, len_bytes)?;
        self.set(attach(Home::new(Arc::new(region), 0)).map_err(home_error)?);
        Ok(())
    }
}

/// What another process needs to find the object: the descriptor and the length of its memory.
pub(super) fn address_of(home: &Home) -> (i32, usize) {
    (home.region().descriptor().as_raw_fd(), home.region().capacity_bytes())
}

#[cold]
fn not_initialised() -> PyErr {
    PyRuntimeError::new_err("the __init__() of this object has not been called")
}

pub(super) fn home_error(error: HomeError) -> PyErr {
    PyOSError::new_err(error.to_string())
}
