//! Knows that this process is a forked child, whoever called `fork`.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::slot;

static GENERATION: AtomicU32 = AtomicU32::new(0);

/// How many forks lie between this process and the first one that used this library.
///
/// A value that was made under another generation belongs to an ancestor.
#[must_use]
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// Makes [`generation`] count; called when the first thread slot is claimed, which comes before any wait.
pub(crate) fn watch() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        // SAFETY: `in_child` touches atomics and thread-local cells only, which POSIX allows in a forked child; the
        // other two handlers are absent, which the call permits.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

extern "C" fn in_child() {
    let generation = GENERATION.load(Ordering::Relaxed).wrapping_add(1);
    GENERATION.store(generation, Ordering::Relaxed);
    slot::survive(generation);
}
