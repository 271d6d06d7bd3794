//! A futex that reports signals: the one system call on which a thread may sleep.
//!
//! The standard library's and other crates' parkers loop on `EINTR`; a Python main thread that sleeps in them ignores
//! Ctrl-C. This one returns [`Woke::Interrupted`] instead.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::futex;
use rustix::time::ClockId;

use crate::clock::Instant;

const LOW_HALF: u64 = 0xffff_ffff;

/// The kernel reads a signed number.
const MOST_WOKEN: u32 = u32::MAX >> 1;

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
    sleep(word, futex::Flags::PRIVATE, expected, deadline)
}

fn sleep(word: &AtomicU32, flags: futex::Flags, expected: u32, deadline: Option<Instant>) -> Woke {
    let deadline = deadline.map(Instant::timespec);
    let any = std::num::NonZeroU32::MAX;
    match futex::wait_bitset(word, flags, expected, deadline.as_ref(), any) {
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

/// As [`wait`], on a word in memory that several processes share. Only the low halves of `word` and `expected` count.
///
/// # Blocking
/// For ever, when `deadline` is `None` and no process calls [`wake_shared`].
pub fn wait_shared(word: &AtomicU64, expected: u64, deadline: Option<Instant>) -> Woke {
    sleep(low_half(word), futex::Flags::empty(), (expected & LOW_HALF) as u32, deadline)
}

/// The most words on which a thread can sleep at once.
pub const MOST_WORDS: usize = 128;

/// Set once the kernel, or what guards it, has refused to let a thread sleep on several words.
static IS_REFUSED: AtomicBool = AtomicBool::new(false);

/// As [`wait_shared`], on several words at once, at most [`MOST_WORDS`], each with what it holds meanwhile. `None`, at
/// once, where the kernel cannot do that (before Linux 5.16, or in a sandbox).
///
/// # Blocking
/// Until any of them is woken or has changed, a signal handler ran, or `deadline`.
pub fn wait_any_shared(words: &[(&AtomicU64, u64)], deadline: Instant) -> Option<Woke> {
    if IS_REFUSED.load(Ordering::Relaxed) || words.len() > MOST_WORDS {
        return None;
    }
    let waits: Vec<futex::Wait> = words.iter().map(|&(word, expected)| one_of_many(word, expected)).collect();
    let deadline = deadline.timespec();
    match futex::waitv(&waits, futex::WaitvFlags::empty(), Some(&deadline), ClockId::Monotonic) {
        Ok(_) | Err(Errno::AGAIN) => Some(Woke::Look),
        Err(Errno::TIMEDOUT) => Some(Woke::TimedOut),
        Err(Errno::NOSYS | Errno::PERM | Errno::ACCESS) => {
            IS_REFUSED.store(true, Ordering::Relaxed);
            None
        }
        Err(_) => Some(Woke::Interrupted),
    }
}

fn one_of_many(word: &AtomicU64, expected: u64) -> futex::Wait {
    let mut wait = futex::Wait::new();
    wait.val = expected & LOW_HALF;
    wait.uaddr = futex::WaitPtr::new(low_half(word).as_ptr().cast());
    wait.flags = futex::WaitFlags::SIZE_U32;
    wait
}

/// Wakes up to `count` threads, in any process, that sleep on `word`; returns how many there were.
pub fn wake_shared(word: &AtomicU64, count: u32) -> usize {
    futex::wake(low_half(word), futex::Flags::empty(), count.min(MOST_WOKEN)).unwrap_or(0)
}

/// Where the kernel looks. This library itself only ever reads and writes the whole word.
fn low_half(word: &AtomicU64) -> &AtomicU32 {
    let index = usize::from(cfg!(target_endian = "big"));
    // SAFETY: both halves lie within the word, which is valid for as long as it is borrowed and aligned for either; any
    // bits are a valid atomic, and atomics may be written by others. The result goes to the kernel only, so that no
    // access of this program differs in size from another to the same place.
    unsafe { &*std::ptr::from_ref(word).cast::<AtomicU32>().add(index) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    extern "C" fn nothing(_signal: libc::c_int) {}

    #[test]
    fn a_signal_interrupts_a_sleep_in_shared_memory() {
        let mut action: libc::sigaction = no_action();
        action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
        // SAFETY: `action` is fully initialised and its handler does nothing; a null old action is permitted.
        assert_eq!(unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) }, 0);
        let (word, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            // SAFETY: has no preconditions; names the calling thread.
            let sleeper = unsafe { libc::pthread_self() };
            let (word, is_over) = (&word, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::Acquire) {
                    // SAFETY: the thread outlives this scope, and the signal has a handler.
                    unsafe { libc::pthread_kill(sleeper, libc::SIGUSR1) };
                    std::thread::yield_now();
                }
            });
            let deadline = Instant::now().after(Duration::from_secs(10));
            let woke = wait_shared(word, 0, Some(deadline));
            is_over.store(true, Ordering::Release);
            assert_eq!(woke, Woke::Interrupted);
        });
    }

    fn no_action() -> libc::sigaction {
        // SAFETY: a plain C struct of numbers and a null handler, for which all-zero bytes are a valid value.
        unsafe { std::mem::zeroed() }
    }

    #[test]
    fn only_the_low_half_is_compared_and_a_wake_says_how_many_it_woke() {
        let word = AtomicU64::new(1 << 32 | 5);
        let now = Instant::now();
        assert_eq!(wait_shared(&word, 6, Some(now)), Woke::Look);
        assert_eq!(wait_shared(&word, 7 << 32 | 5, Some(now)), Woke::TimedOut);
        assert_eq!(wake_shared(&word, u32::MAX), 0);
    }

    #[test]
    fn a_thread_sleeps_on_several_words_until_any_of_them_changes() {
        let words: [AtomicU64; 3] = [const { AtomicU64::new(5) }; 3];
        let all = |expected| words.each_ref().map(|word| (word, expected));
        let soon = || Instant::now().after(Duration::from_millis(20));
        if wait_any_shared(&all(1 << 32 | 5), soon()).is_none() {
            return;
        }
        assert_eq!(wait_any_shared(&all(5), Instant::now()), Some(Woke::TimedOut));
        assert_eq!(wait_any_shared(&all(6), soon()), Some(Woke::Look));
        std::thread::scope(|scope| {
            let teller = scope.spawn(|| {
                words[2].store(7, Ordering::SeqCst);
                while wake_shared(&words[2], 1) == 0 && words[0].load(Ordering::SeqCst) == 5 {
                    std::thread::yield_now();
                }
            });
            let deadline = Instant::now().after(Duration::from_secs(10));
            assert_eq!(wait_any_shared(&all(5), deadline), Some(Woke::Look));
            words[0].store(0, Ordering::SeqCst);
            teller.join().unwrap();
        });
        let too_many = vec![(&words[0], 0); MOST_WORDS + 1];
        assert_eq!(wait_any_shared(&too_many, soon()), None);
    }
}
