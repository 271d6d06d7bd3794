//! A small number for each live thread: the owner in a lock word, and the row of the thread in the wait table.
//!
//! Numbers are recycled when a thread ends. After `fork` only the thread that called it lives on in the child; all
//! other numbers in use at that moment are dead there for good, and [`is_dead`] says so. That is how a lock notices
//! that its owner stayed behind in the parent, without any list of locks.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::fork;

/// Most threads that can have a number at once; further ones share [`UNKNOWN`].
pub const LIMIT: u32 = 1 << 20;

/// The number of a thread that has none: too many threads, or a thread that is just ending.
pub const UNKNOWN: u32 = LIMIT - 1;

/// For each number, the fork generation of its thread plus one; 0 = free.
static BORN: [AtomicU32; LIMIT as usize] = [const { AtomicU32::new(0) }; LIMIT as usize];

/// For each number, the identifier of its thread.
static IDENTIFIERS: [AtomicU64; LIMIT as usize] = [const { AtomicU64::new(0) }; LIMIT as usize];

/// For each number, the kernel's number of its thread.
static KERNEL_IDS: [AtomicU32; LIMIT as usize] = [const { AtomicU32::new(0) }; LIMIT as usize];

/// The highest number given so far.
static HIGHEST: AtomicU32 = AtomicU32::new(0);

/// Where to begin looking for a free number: a hint, which may be too high after a race.
static LOWEST_FREE: AtomicU32 = AtomicU32::new(1);

thread_local! {
    static CURRENT: Cell<u32> = const { Cell::new(0) };
    /// Whether this is the main thread, as found out in this fork generation.
    static IS_MAIN: Cell<Option<(u32, bool)>> = const { Cell::new(None) };
    static RETURNER: Returner = const { Returner };
}

/// Gives the thread's number back when the thread ends.
struct Returner;

impl Drop for Returner {
    fn drop(&mut self) {
        let number = CURRENT.replace(UNKNOWN);
        if number != 0 && number != UNKNOWN {
            BORN[number as usize].store(0, Ordering::Relaxed);
            LOWEST_FREE.fetch_min(number, Ordering::Relaxed);
        }
    }
}

/// The calling thread's number; never 0.
#[inline]
#[must_use]
pub fn current() -> u32 {
    match CURRENT.get() {
        0 => claim(),
        number => number,
    }
}

/// Whether the thread of this number stayed behind in a parent process at `fork`.
#[must_use]
pub fn is_dead(number: u32) -> bool {
    let born = BORN[(number % LIMIT) as usize].load(Ordering::Relaxed);
    number != UNKNOWN && born != 0 && born != fork::generation() + 1
}

/// The identifier of the thread with this number, as `pthread_self` and Python's `get_ident` give it; 0 = none yet.
#[must_use]
pub fn identifier(number: u32) -> u64 {
    IDENTIFIERS[(number % LIMIT) as usize].load(Ordering::Relaxed)
}

/// The number of the live thread with this identifier, if it has one.
#[must_use]
pub fn of_identifier(identifier: u64) -> Option<u32> {
    find(|number| IDENTIFIERS[number].load(Ordering::Relaxed) == identifier)
}

/// The number of the live thread that the kernel calls this, if it has one.
#[must_use]
pub fn of_kernel_id(kernel_id: u32) -> Option<u32> {
    find(|number| KERNEL_IDS[number].load(Ordering::Relaxed) == kernel_id)
}

fn find(condition: impl Fn(usize) -> bool) -> Option<u32> {
    let end = HIGHEST.load(Ordering::Relaxed).saturating_add(1).min(UNKNOWN);
    let born = fork::generation() + 1;
    (1..end).find(|&number| BORN[number as usize].load(Ordering::Relaxed) == born && condition(number as usize))
}

fn own_kernel_id() -> u32 {
    u32::try_from(rustix::thread::gettid().as_raw_nonzero().get()).unwrap_or(0)
}

/// Whether this is the thread that the process began with; in a forked child, the one that called `fork`.
#[must_use]
pub fn is_main_thread() -> bool {
    let generation = fork::generation();
    match IS_MAIN.get() {
        Some((known_in, answer)) if known_in == generation => answer,
        _ => {
            let answer = rustix::thread::gettid() == rustix::process::getpid();
            IS_MAIN.set(Some((generation, answer)));
            answer
        }
    }
}

#[cold]
fn claim() -> u32 {
    fork::watch();
    // Registers the destructor; a thread that is already ending cannot get one, and shares `UNKNOWN`.
    if RETURNER.try_with(|_| ()).is_err() {
        return UNKNOWN;
    }
    let born = fork::generation() + 1;
    // Without a lock: a thread gives its number back while it ends, and a fork at that moment must leave nothing locked.
    let hint = LOWEST_FREE.load(Ordering::Relaxed);
    for number in (hint..UNKNOWN).chain(1..hint) {
        if BORN[number as usize].compare_exchange(0, born, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            LOWEST_FREE.store(number + 1, Ordering::Relaxed);
            // SAFETY: has no preconditions; names the calling thread.
            IDENTIFIERS[number as usize].store(unsafe { libc::pthread_self() }, Ordering::Relaxed);
            KERNEL_IDS[number as usize].store(own_kernel_id(), Ordering::Relaxed);
            HIGHEST.fetch_max(number, Ordering::Relaxed);
            CURRENT.set(number);
            return number;
        }
    }
    UNKNOWN
}

/// In a forked child: the calling thread lives on, under its old number.
pub(crate) fn survive(generation: u32) {
    let number = CURRENT.get();
    if number != 0 && number != UNKNOWN {
        BORN[number as usize].store(generation + 1, Ordering::Relaxed);
        KERNEL_IDS[number as usize].store(own_kernel_id(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_stable_on_its_thread_and_returns_when_the_thread_ends() {
        let here = current();
        assert_eq!(here, current());
        let there = std::thread::spawn(current).join().unwrap();
        assert_ne!(here, there);
        assert!(!is_dead(here));
        assert_eq!(of_kernel_id(crate::process::thread_id()), Some(here));
        assert_eq!(of_kernel_id(0), None);
    }
}
