//! A word that names its owner, with a queue for those who want it: the core of `Lock` and `RLock`.
//!
//! | word | meaning |
//! |---|---|
//! | 0 | free, nobody queued |
//! | owner | held, nobody queued: acquire and release are one exchange each |
//! | owner + QUEUED | held, somebody queued: release goes through the latch |
//! | QUEUED | free, somebody queued, a nudge under way: acquire goes through the latch |
//!
//! While QUEUED is set the word changes under the latch only.

use std::sync::Arc;

use threefold_trace::{ObjectRow, Owner};
use threefold_wait::atomic::{AtomicU64, Ordering};
use threefold_wait::{Latch, Standing, Ticket, Wait, WaitQueue, Wakes, Withdrawal};

use crate::error::NotLocked;

const QUEUED: u64 = 1 << 63;

#[derive(Debug)]
pub(crate) struct Ownership {
    word: AtomicU64,
    /// Made at the first contention, so that an idle lock stays small.
    contended: Latch<Option<Box<Contended>>>,
}

#[derive(Debug)]
struct Contended {
    waiters: WaitQueue,
    /// Shows the holder in the wait table.
    row: Arc<ObjectRow>,
}

impl Ownership {
    pub(crate) fn new() -> Self {
        Self { word: AtomicU64::new(0), contended: Latch::new(None) }
    }

    /// Who holds it; nobody, if the holder stayed behind in the parent at a fork.
    #[inline]
    pub(crate) fn owner(&self) -> Owner {
        let owner = Owner(self.word.load(Ordering::Acquire) & !QUEUED);
        if owner != Owner::NOBODY && owner.is_dead() { Owner::NOBODY } else { owner }
    }

    /// Whether `owner` holds it: cheaper than comparing with [`Ownership::owner`].
    #[inline]
    pub(crate) fn is_held_by(&self, owner: Owner) -> bool {
        self.word.load(Ordering::Relaxed) & !QUEUED == owner.0
    }

    /// Takes it if it is free.
    #[inline]
    pub(crate) fn try_acquire(&self, owner: Owner) -> bool {
        self.word.compare_exchange(0, owner.0, Ordering::Acquire, Ordering::Relaxed).is_ok()
            || (self.owner() == Owner::NOBODY && self.try_acquire_latched(owner))
    }

    #[cold]
    fn try_acquire_latched(&self, owner: Owner) -> bool {
        let mut contended = self.contended.close();
        self.take(contended.as_deref_mut(), owner, false)
    }

    /// Under the latch: takes a free word, or one whose owner is dead; else marks it QUEUED if `will_queue`.
    fn take(&self, contended: Option<&mut Contended>, owner: Owner, will_queue: bool) -> bool {
        let queued = if contended.as_ref().is_some_and(|contended| !contended.waiters.is_empty()) { QUEUED } else { 0 };
        loop {
            let word = self.word.load(Ordering::Relaxed);
            let holder = Owner(word & !QUEUED);
            let is_free = holder == Owner::NOBODY || holder.is_dead();
            let next = match (is_free, will_queue) {
                (true, _) => owner.0 | queued,
                (false, true) => word | QUEUED,
                (false, false) => return false,
            };
            if self.word.compare_exchange(word, next, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                if let Some(contended) = contended {
                    contended.row.set_holder(Owner(next & !QUEUED));
                }
                return is_free;
            }
        }
    }

    /// Frees it, or hands it to a waiter that has been patient too long.
    #[inline]
    pub(crate) fn release(&self) -> Result<(), NotLocked> {
        let word = self.word.load(Ordering::Relaxed);
        if word != 0
            && word & QUEUED == 0
            && self.word.compare_exchange(word, 0, Ordering::Release, Ordering::Relaxed).is_ok()
        {
            return Ok(());
        }
        self.release_slowly()
    }

    #[cold]
    fn release_slowly(&self) -> Result<(), NotLocked> {
        loop {
            let mut contended = self.contended.close();
            let word = self.word.load(Ordering::Relaxed);
            if word & !QUEUED == 0 {
                return Err(NotLocked);
            }
            if word & QUEUED == 0 {
                drop(contended);
                if self.word.compare_exchange(word, 0, Ordering::Release, Ordering::Relaxed).is_ok() {
                    return Ok(());
                }
                continue;
            }
            let mut wakes = Wakes::NONE;
            self.pass_on(contended.as_deref_mut(), &mut wakes);
            drop(contended);
            wakes.fire();
            return Ok(());
        }
    }

    /// Under the latch, with QUEUED set: frees the word, tells the next waiter, and drops QUEUED when nobody is left.
    fn pass_on(&self, contended: Option<&mut Contended>, wakes: &mut Wakes) {
        let Some(contended) = contended else { return self.word.store(0, Ordering::Release) };
        let mut next = Owner::NOBODY;
        contended.waiters.rebalance(1, wakes, |waiter| next = waiter.owner());
        let queued = if contended.waiters.is_empty() { 0 } else { QUEUED };
        contended.row.set_holder(next);
        self.word.store(next.0 | queued, Ordering::Release);
    }

    /// The row of the wait table that shows the holder, once there has been contention.
    pub(crate) fn row(&self) -> Option<Arc<ObjectRow>> {
        self.contended.close().as_ref().map(|contended| Arc::clone(&contended.row))
    }

    /// As after construction: for a child process, or the standard library's `_at_fork_reinit`.
    pub(crate) fn reset(&self) {
        let mut contended = self.contended.close();
        *contended = None;
        self.word.store(0, Ordering::Release);
    }
}

/// Waiting to own.
#[derive(Debug)]
pub(crate) struct Own<'a> {
    pub(crate) ownership: &'a Ownership,
}

impl Wait for Own<'_> {
    type Output = ();

    fn poll(&mut self, ticket: &mut Ticket) -> Option<()> {
        let ownership = self.ownership;
        let owner = ticket.owner();
        if ticket.waiter().is_none() && ownership.try_acquire(owner) {
            return Some(());
        }
        let mut contended = ownership.contended.close();
        let contended = contended.get_or_insert_with(|| {
            let address = std::ptr::from_ref(ownership).addr() as u64;
            Box::new(Contended { waiters: WaitQueue::default(), row: Arc::new(threefold_trace::object(address)) })
        });
        match ticket.settle(&mut contended.waiters) {
            Standing::Granted => return Some(()),
            Standing::Waiting => return None,
            Standing::Fresh | Standing::Nudged => {}
        }
        if ownership.take(Some(contended), owner, true) {
            ticket.finish();
            return Some(());
        }
        ticket.enqueue(&mut contended.waiters);
        None
    }

    fn withdraw(&mut self, ticket: &mut Ticket, withdrawal: Withdrawal) -> Option<()> {
        let ownership = self.ownership;
        let owner = ticket.owner();
        let mut wakes = Wakes::NONE;
        let mut guard = ownership.contended.close();
        let contended = guard.as_deref_mut()?;
        let standing = ticket.leave(&mut contended.waiters);
        let mut is_mine = standing == Standing::Granted;
        if withdrawal == Withdrawal::Keep && !is_mine {
            is_mine = ownership.take(Some(&mut *contended), owner, false);
        }
        let word = ownership.word.load(Ordering::Relaxed);
        if (is_mine && withdrawal == Withdrawal::HandOn) || word == QUEUED {
            // Granted and not wanted, or nudged and gone: somebody else must hear of it.
            ownership.pass_on(Some(contended), &mut wakes);
        } else if word & QUEUED != 0 && contended.waiters.is_empty() {
            ownership.word.store(word & !QUEUED, Ordering::Release);
        }
        drop(guard);
        wakes.fire();
        (is_mine && withdrawal == Withdrawal::Keep).then_some(())
    }
}
