//! Every store to a word of a queue's region, in one place: so that a test can let a process die between any two of them.

use std::sync::atomic::{AtomicU64, Ordering};

/// Stores `value`, unless the test that runs has let this thread die.
pub(super) fn store(word: &AtomicU64, value: u64, ordering: Ordering) {
    #[cfg(test)]
    if !mortality::survives() {
        return;
    }
    word.store(value, ordering);
}

/// Lets a test end the stores of its thread after any number of them, as a death would.
#[cfg(test)]
pub(super) mod mortality {
    use std::cell::Cell;

    thread_local! { static STORES_LEFT: Cell<Option<u64>> = const { Cell::new(None) }; }

    /// The thread's stores end after `count` more of them; `None`: never.
    pub(in super::super) fn die_after(count: Option<u64>) {
        STORES_LEFT.set(count);
    }

    pub(super) fn survives() -> bool {
        match STORES_LEFT.get() {
            None => true,
            // What runs while the stack unwinds has no effect on the region either.
            Some(0) if std::thread::panicking() => false,
            Some(0) => std::panic::resume_unwind(Box::new("died")),
            Some(count) => {
                STORES_LEFT.set(Some(count - 1));
                true
            }
        }
    }
}
