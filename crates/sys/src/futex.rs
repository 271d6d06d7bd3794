//! A futex that reports signals: the one system call on which a thread may sleep.
//!
//! The standard library's and other crates' parkers loop on `EINTR`; a Python main thread that sleeps in them ignores
//! Ctrl-C. This one returns [`Woke::Interrupted`] instead.

use std::sync::atomic::AtomicU32;
use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::futex;

use crate::clock::Instant;

/// Why [`wait`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woke {
    /// Woken by [`wake`], or the word no longer had the expected value. Look at the word again.
    Look,
    /// The deadline passed.
    TimedOut,
    /// A signal handler ran on this thread.
    Interrupted,
}

/// Sleeps while `word` holds `expected`, until woken, interrupted by a signal, or `deadline`.
///
/// # Blocking
/// For ever, when `deadline` is `None` and nobody calls [`wake`].
pub fn wait(word: &AtomicU32, expected: u32, deadline: Option<Instant>) -> Woke {
    let deadline = deadline.map(Instant::timespec);
    let any = std::num::NonZeroU32::MAX;
    match futex::wait_bitset(word, futex::Flags::PRIVATE, expected, deadline.as_ref(), any) {
        Ok(()) | Err(Errno::AGAIN) => Woke::Look,
        Err(Errno::TIMEDOUT) => Woke::TimedOut,
        // EINTR; any other error would be a programming error, and looking again is safe.
        Err(_) => Woke::Interrupted,
    }
}

/// Sleeps for `duration`, or until a signal: for what nobody announces.
///
/// # Blocking
/// For that long.
pub fn pause(duration: Duration) {
    let never_woken = AtomicU32::new(0);
    let _timed_out = wait(&never_woken, 0, Some(Instant::now().after(duration)));
}

/// Wakes one thread that sleeps on `word`.
pub fn wake(word: &AtomicU32) {
    // Fails only for an unmapped or unaligned word, which a reference cannot be.
    let _woken = futex::wake(word, futex::Flags::PRIVATE, 1);
}
