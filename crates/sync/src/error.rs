//! What can go wrong, one small enum or struct per operation.

use thiserror::Error;

/// A lock was released that nobody holds.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("release unlocked lock")]
pub struct NotLocked;

/// A re-entrant lock was released by somebody who does not hold it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("cannot release un-acquired lock")]
pub struct NotOwner;

/// A bounded semaphore was released more often than it was acquired.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("Semaphore released too many times")]
pub struct ReleasedTooOften;

/// The barrier was aborted, reset, or left by a party.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the barrier is broken")]
pub struct Broken;

/// Why an item could not be put; gives it back.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PutError<T> {
    /// The queue holds `maxsize` items.
    #[error("the queue is full")]
    Full(T),
    /// The queue was shut down.
    #[error("the queue is shut down")]
    ShutDown(T),
    /// The queue's contents were moved elsewhere; the new home must be asked.
    #[error("the queue has moved")]
    Moved(T),
}

/// Why no item could be had.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum GetError {
    /// There is none now.
    #[error("the queue is empty")]
    Empty,
    /// The queue was shut down and has been emptied.
    #[error("the queue is shut down")]
    ShutDown,
    /// The queue's contents were moved elsewhere; the new home must be asked.
    #[error("the queue has moved")]
    Moved,
}

/// Why a task could not be marked done.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DoneError {
    /// More tasks were marked done than items were put.
    #[error("task_done() called too many times")]
    TooOften,
    /// The queue's contents were moved elsewhere; the new home must be asked.
    #[error("the queue has moved")]
    Moved,
}
