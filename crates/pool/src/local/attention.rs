//! Whether the parent wants to be woken by the worker, in one word. README section 7.

use std::sync::atomic::{AtomicU64, Ordering, fence};

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
    // Pairs with the one in `after_report`: either the worker sees this, or the parent sees its report.
    fence(Ordering::SeqCst);
}

/// By the worker, after what is to be seen was stored.
pub(super) fn after_report(word: &AtomicU64) -> Attention {
    fence(Ordering::SeqCst);
    glance(word)
}

/// By the worker, where a later look will find what this one misses.
pub(super) fn glance(word: &AtomicU64) -> Attention {
    match word.load(Ordering::Relaxed) {
        0 => Attention::Awake,
        1 => Attention::Napping,
        // Whatever else somebody wrote there: one ring too many is better than one too few.
        _ => Attention::Asleep,
    }
}

/// By the worker: whether it is the one to ring. Once, until the parent says again what it does.
pub(super) fn take_ring(word: &AtomicU64) -> bool {
    word.swap(Attention::Awake as u64, Ordering::SeqCst) != Attention::Awake as u64
}
