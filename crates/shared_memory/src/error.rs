//! What can go wrong with the locks, one small enum or struct per operation.

use thiserror::Error;

/// A lock was released that nobody holds.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("release unlocked lock")]
pub struct NotLocked;

/// A re-entrant lock was released by a thread that does not hold it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("attempt to release recursive lock not owned by thread")]
pub struct NotOwner;

/// A semaphore was released more often than it can count, or a bounded one more often than it was acquired.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("semaphore or lock released too many times")]
pub struct ReleasedTooOften;

/// The barrier was aborted, reset, or left by a party that timed out or died.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the barrier is broken")]
pub struct Broken;

/// More wait than the table in shared memory has places for.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("too many waiters: there is room for {limit}")]
pub struct TooManyWaiters {
    /// Places in the table.
    pub limit: usize,
}

/// A place in shared memory does not hold what was expected there.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum HomeError {
    /// It is shorter than the object, not aligned, or not in the region.
    #[error("no room for {needed_bytes} bytes at {offset_bytes} of the shared memory region")]
    NoRoom {
        /// Where the object was to be.
        offset_bytes: usize,
        /// How long it is.
        needed_bytes: usize,
    },
    /// Another object lives there, one of another version, or none.
    #[error("the shared memory at {offset_bytes} holds no {expected} of this version (found {found:#x})")]
    Unexpected {
        /// Where it was looked for.
        offset_bytes: usize,
        /// What was looked for.
        expected: &'static str,
        /// The word that should name it.
        found: u64,
    },
}
