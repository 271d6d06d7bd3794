//! A lock that anybody may release, as Python's `threading.Lock`.

use std::sync::Arc;

use threefold_trace::{ObjectRow, Owner};
use threefold_wait::{Ticket, Wait, Withdrawal};

use crate::error::NotLocked;
use crate::ownership::{Own, Ownership};

/// Mutual exclusion without ownership rules: the owner is remembered only to be shown.
///
/// A released lock is free for whoever comes first; a waiter that has been passed over for a millisecond gets it
/// handed. A lock whose holder stayed behind in the parent process at a fork is free in the child.
#[derive(Debug)]
pub struct Lock(Ownership);

impl Default for Lock {
    fn default() -> Self {
        Self::new()
    }
}

impl Lock {
    /// A free lock.
    pub fn new() -> Self {
        Self(Ownership::new())
    }

    /// Takes the lock if it is free.
    #[inline]
    pub fn try_acquire(&self, owner: Owner) -> bool {
        self.0.try_acquire(owner)
    }

    /// Waits for the lock.
    pub fn acquire(&self) -> Acquire<'_> {
        Acquire(Own { ownership: &self.0 })
    }

    /// Frees the lock, whoever holds it.
    ///
    /// # Errors
    /// When nobody does.
    #[inline]
    pub fn release(&self) -> Result<(), NotLocked> {
        self.0.release()
    }

    /// Who holds it, or [`Owner::NOBODY`].
    #[inline]
    pub fn owner(&self) -> Owner {
        self.0.owner()
    }

    /// Shows the holder in the wait table; there once somebody has waited.
    pub fn row(&self) -> Option<Arc<ObjectRow>> {
        self.0.row()
    }

    /// Makes it free and forgets all waiters: for a forked child.
    pub fn reset(&self) {
        self.0.reset();
    }
}

/// Waiting for a [`Lock`].
#[derive(Debug)]
pub struct Acquire<'a>(Own<'a>);

impl Wait for Acquire<'_> {
    type Output = ();

    fn poll(&mut self, ticket: &mut Ticket) -> Option<()> {
        self.0.poll(ticket)
    }

    fn withdraw(&mut self, ticket: &mut Ticket, withdrawal: Withdrawal) -> Option<()> {
        self.0.withdraw(ticket, withdrawal)
    }
}
