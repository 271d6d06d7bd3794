//! The waiting half of a condition variable, as Python's `threading.Condition`; its lock is the caller's.

use threefold_wait::{Latch, Standing, Ticket, Wait, WaitQueue, Wakes, Withdrawal};

/// Waiters to be notified.
///
/// A caller polls [`Condition::wait`] once while it still holds its lock, which queues it; then it releases the lock and
/// waits. So a notification by whoever takes the lock next cannot be missed.
#[derive(Debug)]
pub struct Condition(Latch<WaitQueue>);

impl Default for Condition {
    fn default() -> Self {
        Self::new()
    }
}

impl Condition {
    /// Nobody waits.
    pub fn new() -> Self {
        Self(Latch::new(WaitQueue::default()))
    }

    /// Notifies up to `limit` waiters, first come first served.
    pub fn notify(&self, limit: usize) {
        let mut waiters = self.0.close();
        if waiters.is_empty() {
            return;
        }
        let mut wakes = Wakes::NONE;
        waiters.grant(limit, &mut wakes);
        drop(waiters);
        wakes.fire();
    }

    /// How many wait.
    pub fn waiter_count(&self) -> usize {
        self.0.close().len()
    }

    /// Waits to be notified.
    pub fn wait(&self) -> Notified<'_> {
        Notified(self)
    }

    /// Forgets all waiters: for a forked child.
    pub fn reset(&self) {
        *self.0.close() = WaitQueue::default();
    }
}

/// Waiting for a notification of a [`Condition`].
#[derive(Debug)]
pub struct Notified<'a>(&'a Condition);

impl Wait for Notified<'_> {
    type Output = ();

    fn poll(&mut self, ticket: &mut Ticket) -> Option<()> {
        let mut waiters = self.0.0.close();
        match ticket.settle(&mut waiters) {
            Standing::Granted => Some(()),
            Standing::Waiting => None,
            Standing::Fresh | Standing::Nudged => {
                ticket.enqueue(&mut waiters);
                None
            }
        }
    }

    fn withdraw(&mut self, ticket: &mut Ticket, withdrawal: Withdrawal) -> Option<()> {
        let mut waiters = self.0.0.close();
        let is_notified = ticket.leave(&mut waiters) == Standing::Granted;
        let mut wakes = Wakes::NONE;
        if is_notified && withdrawal == Withdrawal::HandOn {
            waiters.grant(1, &mut wakes);
        }
        drop(waiters);
        wakes.fire();
        (is_notified && withdrawal == Withdrawal::Keep).then_some(())
    }
}
