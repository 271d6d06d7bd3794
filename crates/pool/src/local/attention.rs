//! Whether the parent wants to be woken by the worker, in one word. README section 7.

use super::atomic::{AtomicU64, Ordering, fence};

/// What the parent does, and when the worker is to ring for it. A ring makes it [`Attention::Awake`] again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Attention {
    /// It will look by itself: never.
    Awake = 0,
    /// It rests for a bounded time, with more jobs to send: when the worker is about to run dry, or has.
    Napping = 1,
    /// It sleeps until something has been reported: after each report.
    Asleep = 2,
}

/// By the parent. It must look at the rings once more before it sleeps.
pub(super) fn set(word: &AtomicU64, attention: Attention) {
    word.store(attention as u64, Ordering::SeqCst);
    // Pairs with the one in `look`: either the worker sees this, or the parent sees what the worker stored.
    fence(Ordering::SeqCst);
}

/// By the worker, after a report was committed: rings if the parent waits for one. `has_frame` says whether there are frames
/// that the worker has not read.
pub(super) fn after_report(word: &AtomicU64, has_frame: impl FnOnce() -> bool, ring: impl FnOnce()) {
    let is_due = match look(word) {
        Attention::Awake => false,
        Attention::Napping => !has_frame(),
        Attention::Asleep => true,
    };
    if is_due {
        ring_once(word, ring);
    }
}

/// By the worker, when it has announced that it is about to sleep: rings if the parent waits for that, or does not know of
/// it. `has_skipped` says whether there is room that no report tells of.
pub(super) fn before_sleep(word: &AtomicU64, has_skipped: bool, ring: impl FnOnce()) {
    let is_due = match look(word) {
        Attention::Awake => false,
        Attention::Napping => true,
        Attention::Asleep => has_skipped,
    };
    if is_due {
        ring_once(word, ring);
    }
}

/// By the worker, when it has taken a frame: rings if the parent naps, and that was the last one. What this look misses, the
/// next report finds.
pub(super) fn after_frame(word: &AtomicU64, has_frame: impl FnOnce() -> bool, ring: impl FnOnce()) {
    if read(word) == Attention::Napping && !has_frame() {
        ring_once(word, ring);
    }
}

fn look(word: &AtomicU64) -> Attention {
    fence(Ordering::SeqCst);
    read(word)
}

fn read(word: &AtomicU64) -> Attention {
    match word.load(Ordering::Relaxed) {
        0 => Attention::Awake,
        1 => Attention::Napping,
        // Whatever else somebody wrote there: one ring too many is better than one too few.
        _ => Attention::Asleep,
    }
}

/// Once, until the parent says again what it does: and first the word, since the parent may be up before the ring is done.
fn ring_once(word: &AtomicU64, ring: impl FnOnce()) {
    if word.swap(Attention::Awake as u64, Ordering::SeqCst) != Attention::Awake as u64 {
        ring();
    }
}
