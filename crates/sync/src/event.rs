//! A flag to wait for, as Python's `threading.Event`.

use threefold_wait::atomic::{AtomicBool, Ordering};
use threefold_wait::{Latch, Standing, Ticket, Wait, WaitQueue, Wakes, Withdrawal};

/// A flag. Whoever waits when it is set is released, even if it is cleared again before they run.
#[derive(Debug)]
pub struct Event {
    /// Written under the latch; read without it by those who do not wait.
    is_set: AtomicBool,
    waiters: Latch<WaitQueue>,
}

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

impl Event {
    /// A cleared event.
    pub fn new() -> Self {
        Self { is_set: AtomicBool::new(false), waiters: Latch::new(WaitQueue::default()) }
    }

    /// Whether the flag is set.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Acquire)
    }

    /// Sets the flag and releases all who wait.
    pub fn set(&self) {
        let mut waiters = self.waiters.close();
        self.is_set.store(true, Ordering::Release);
        let mut wakes = Wakes::NONE;
        if !waiters.is_empty() {
            waiters.grant(usize::MAX, &mut wakes);
        }
        drop(waiters);
        wakes.fire();
    }

    /// Clears the flag.
    pub fn clear(&self) {
        let _latched = self.waiters.close();
        self.is_set.store(false, Ordering::Release);
    }

    /// Waits for the flag.
    pub fn wait(&self) -> Set<'_> {
        Set(self)
    }

    /// Forgets all waiters: for a forked child.
    pub fn reset(&self) {
        *self.waiters.close() = WaitQueue::default();
    }
}

/// Waiting for an [`Event`].
#[derive(Debug)]
pub struct Set<'a>(&'a Event);

impl Wait for Set<'_> {
    type Output = ();

    fn poll(&mut self, ticket: &mut Ticket) -> Option<()> {
        let mut waiters = self.0.waiters.close();
        match ticket.settle(&mut waiters) {
            Standing::Granted => return Some(()),
            Standing::Waiting => return None,
            Standing::Fresh | Standing::Nudged => {}
        }
        if self.0.is_set() {
            ticket.finish();
            return Some(());
        }
        ticket.enqueue(&mut waiters);
        None
    }

    fn withdraw(&mut self, ticket: &mut Ticket, withdrawal: Withdrawal) -> Option<()> {
        let standing = ticket.leave(&mut self.0.waiters.close());
        (withdrawal == Withdrawal::Keep && (standing == Standing::Granted || self.0.is_set())).then_some(())
    }
}
