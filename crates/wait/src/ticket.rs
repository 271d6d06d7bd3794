//! A wait as a value: what a caller holds between asking for something and having it, or giving up.

use std::sync::Arc;
use std::task::Waker;

use threefold_trace::Owner;

use crate::wait_queue::{Standing, WaitQueue};
use crate::waiter::Waiter;

/// What to do with something that was granted just when its waiter gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// Take it: the wait succeeded after all (a deadline that passed at the last moment).
    Keep,
    /// Pass it to the next waiter (an interrupt, a cancelled task).
    HandOn,
}

/// Something that can be waited for: one operation on one primitive.
///
/// The caller polls; while the answer is `None` its waiter stands in the primitive's queue and will be told. A caller
/// that no longer wants an answer must withdraw. Both fire the wakes that they cause, after the latch.
pub trait Wait {
    /// What the wait brings.
    type Output;

    /// Takes what is waited for, or queues the ticket's waiter. Never waits.
    fn poll(&mut self, ticket: &mut Ticket) -> Option<Self::Output>;

    /// Gives the wait up: returns the result if there was one to keep, or hands it on to the next waiter.
    fn withdraw(&mut self, ticket: &mut Ticket, withdrawal: Withdrawal) -> Option<Self::Output>;
}

/// A caller's place in a wait queue.
#[derive(Debug)]
pub struct Ticket {
    owner: Owner,
    waker: Option<Waker>,
    waiter: Option<Arc<Waiter>>,
    is_returning: bool,
}

impl Ticket {
    /// For a thread, which will park.
    #[inline]
    pub fn thread(owner: Owner) -> Self {
        Self { owner, waker: None, waiter: None, is_returning: false }
    }

    /// For a task, which will be woken through `waker`.
    pub fn task(owner: Owner, waker: Waker) -> Self {
        Self { owner, waker: Some(waker), waiter: None, is_returning: false }
    }

    /// Who waits.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// Whom to wake; `None` for a thread.
    pub fn waker(&self) -> Option<&Waker> {
        self.waker.as_ref()
    }

    /// The waiter, once it stands in a queue.
    pub fn waiter(&self) -> Option<&Arc<Waiter>> {
        self.waiter.as_ref()
    }

    /// Whom to wake from now on.
    pub fn set_waker(&mut self, waker: &Waker) {
        if let Some(waiter) = &self.waiter {
            waiter.set_waker(waker);
        }
        self.waker = Some(waker.clone());
    }

    /// For implementations of [`Wait::poll`], under the latch: what became of this ticket since the last poll.
    #[inline]
    pub fn settle(&mut self, queue: &mut WaitQueue) -> Standing {
        let Some(waiter) = &self.waiter else { return Standing::Fresh };
        let standing = queue.settle(waiter);
        self.is_returning = standing == Standing::Nudged;
        if standing == Standing::Granted {
            self.waiter = None;
        }
        standing
    }

    /// For implementations of [`Wait::poll`], under the latch: queues the waiter of a ticket that is fresh or nudged.
    pub fn enqueue(&mut self, queue: &mut WaitQueue) {
        let waiter = self.waiter.get_or_insert_with(|| Arc::new(Waiter::new(self.owner, self.waker.clone())));
        queue.enqueue(Arc::clone(waiter), self.is_returning);
    }

    /// For implementations of [`Wait::withdraw`], under the latch: leaves the queue. The caller must rebalance after it.
    pub fn leave(&mut self, queue: &mut WaitQueue) -> Standing {
        self.is_returning = false;
        self.waiter.take().map_or(Standing::Fresh, |waiter| queue.leave(&waiter))
    }

    /// For implementations of [`Wait::poll`]: the wait is over; the next poll starts afresh.
    #[inline]
    pub fn finish(&mut self) {
        self.waiter = None;
        self.is_returning = false;
    }
}
