//! A short look before going to sleep.
//!
//! Going to sleep and being woken costs 5 to 20 microseconds, most of it in the kernel's scheduler and, on virtual
//! machines, in waking an idle processor. When two threads take turns, the other one's answer comes sooner than that.
//! So a thread looks at its word for a few microseconds first: longer if that has paid lately, hardly ever if it has
//! not. `docs/design/spinning.md` has the measurements.

use std::cell::Cell;
use std::num::NonZero;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use threefold_sys::clock::Instant;

/// The longest look.
const LONGEST: Duration = Duration::from_micros(20);
/// A thread whose looks have not paid takes the next one after this many waits.
const RETRY_AFTER: u32 = 32;
/// Steps between no look at all and the longest.
const MOST_HOPE: u32 = 4;

thread_local! {
    /// How much a look may cost this thread, in steps; and how many waits ago the last one was.
    static HOPE: Cell<(u32, u32)> = const { Cell::new((MOST_HOPE, 0)) };
}

/// Looks at `word` while it is `unchanged`, for a time that experience allows; returns whether it changed.
pub(crate) fn look(word: &AtomicU32, unchanged: u32) -> bool {
    let (hope, skipped) = HOPE.get();
    if !has_company() || (hope == 0 && skipped < RETRY_AFTER) {
        HOPE.set((hope, skipped.saturating_add(1)));
        return false;
    }
    let end = Instant::now().after(LONGEST * hope.max(1) / MOST_HOPE);
    loop {
        for _ in 0..16 {
            if word.load(Ordering::Acquire) != unchanged {
                HOPE.set(((hope + 1).min(MOST_HOPE), 0));
                return true;
            }
            std::hint::spin_loop();
        }
        if Instant::now() >= end {
            HOPE.set((hope / 2, 0));
            return false;
        }
    }
}

/// Keeps the processor for a moment, for a caller that knows that what it needs is about to be free.
pub fn linger(duration: Duration) {
    let end = Instant::now().after(duration);
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

/// Whether another thread can run while this one looks.
fn has_company() -> bool {
    // Not a cell that is filled once: another thread may fork while this one fills it, and the child would wait for it.
    static PROCESSORS: AtomicUsize = AtomicUsize::new(0);
    let mut count = PROCESSORS.load(Ordering::Relaxed);
    if count == 0 {
        count = std::thread::available_parallelism().map_or(1, NonZero::get);
        PROCESSORS.store(count, Ordering::Relaxed);
    }
    count > 1
}
