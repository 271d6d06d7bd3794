//! A lock that its owner may take again, as Python's `threading.RLock`.

use std::sync::Arc;

use threefold_trace::{ObjectRow, Owner};
use threefold_wait::atomic::{AtomicU64, Ordering};
use threefold_wait::{Ticket, Wait, Withdrawal};

use crate::error::NotOwner;
use crate::ownership::{Own, Ownership};

/// A re-entrant lock, owned by a thread or a task.
///
/// The count is written by the owner only, so that the ownership word alone decides; it says how often the lock was
/// taken beyond the first time.
#[derive(Debug)]
pub struct RLock {
    ownership: Ownership,
    again_count: AtomicU64,
}

impl Default for RLock {
    fn default() -> Self {
        Self::new()
    }
}

impl RLock {
    /// A free lock.
    pub fn new() -> Self {
        Self { ownership: Ownership::new(), again_count: AtomicU64::new(0) }
    }

    /// Takes the lock if it is free or already `owner`'s.
    #[inline]
    pub fn try_acquire(&self, owner: Owner) -> bool {
        if self.ownership.is_held_by(owner) {
            let again = self.again_count.load(Ordering::Relaxed);
            self.again_count.store(again + 1, Ordering::Relaxed);
            return true;
        }
        let is_mine = self.ownership.try_acquire(owner);
        if is_mine {
            self.again_count.store(0, Ordering::Relaxed);
        }
        is_mine
    }

    /// Waits for the lock. The caller has found by [`RLock::try_acquire`] that it is not its own already.
    pub fn acquire(&self) -> Acquire<'_> {
        Acquire(self)
    }

    /// Undoes one acquisition by `owner`.
    ///
    /// # Errors
    /// When `owner` does not hold the lock.
    #[inline]
    pub fn release(&self, owner: Owner) -> Result<(), NotOwner> {
        if !self.ownership.is_held_by(owner) {
            return Err(NotOwner);
        }
        match self.again_count.load(Ordering::Relaxed) {
            0 => self.ownership.release().map_err(|_not_locked| NotOwner),
            again => {
                self.again_count.store(again - 1, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// Undoes all acquisitions by `owner` at once and returns their number, for [`RLock::restore`].
    ///
    /// # Errors
    /// When `owner` does not hold the lock.
    pub fn release_all(&self, owner: Owner) -> Result<u64, NotOwner> {
        let count = self.count(owner);
        if count == 0 {
            return Err(NotOwner);
        }
        self.again_count.store(0, Ordering::Relaxed);
        self.ownership.release().map_err(|_not_locked| NotOwner)?;
        Ok(count)
    }

    /// By the owner, who has just acquired it: counts as acquired `count` times.
    pub fn restore(&self, count: u64) {
        self.again_count.store(count.saturating_sub(1), Ordering::Relaxed);
    }

    /// How often `owner` has acquired it.
    pub fn count(&self, owner: Owner) -> u64 {
        if self.ownership.is_held_by(owner) { self.again_count.load(Ordering::Relaxed) + 1 } else { 0 }
    }

    /// Who holds it, or [`Owner::NOBODY`].
    pub fn owner(&self) -> Owner {
        self.ownership.owner()
    }

    /// How often its owner, whoever it is, has acquired it.
    pub fn total_count(&self) -> u64 {
        let owner = self.owner();
        if owner.is_nobody() { 0 } else { self.count(owner) }
    }

    /// Shows the holder in the wait table; there once somebody has waited.
    pub fn row(&self) -> Option<Arc<ObjectRow>> {
        self.ownership.row()
    }

    /// Makes it free and forgets all waiters: for a forked child.
    pub fn reset(&self) {
        self.again_count.store(0, Ordering::Relaxed);
        self.ownership.reset();
    }
}

/// Waiting for an [`RLock`].
#[derive(Debug)]
pub struct Acquire<'a>(&'a RLock);

impl Wait for Acquire<'_> {
    type Output = ();

    fn poll(&mut self, ticket: &mut Ticket) -> Option<()> {
        Own { ownership: &self.0.ownership }.poll(ticket)?;
        self.0.again_count.store(0, Ordering::Relaxed);
        Some(())
    }

    fn withdraw(&mut self, ticket: &mut Ticket, withdrawal: Withdrawal) -> Option<()> {
        Own { ownership: &self.0.ownership }.withdraw(ticket, withdrawal)?;
        self.0.again_count.store(0, Ordering::Relaxed);
        Some(())
    }
}
