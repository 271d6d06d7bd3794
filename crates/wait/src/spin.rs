//! A short look before going to sleep.
//!
//! Going to sleep and being woken costs 5 to 20 microseconds, most of it in the kernel's scheduler and, on virtual
//! machines, in waking an idle processor. When two threads take turns, the other one's answer comes sooner than that.
//! So a thread looks for a few microseconds first: longer if that has paid lately, hardly ever if it has
//! not. `docs/design/spinning.md` has the measurements.

use std::cell::Cell;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use threefold_sys::clock::Instant;

/// The longest look of a thread whose looks pay.
const LONGEST: Duration = Duration::from_micros(20);
/// A thread whose looks have not paid takes a probe after this many waits; if it does not pay either, the next one after
/// twice as many, and so on.
const RETRY_AFTER: u32 = 32;
/// The most waits without a look.
const RETRY_AFTER_AT_MOST: u32 = 1024;
/// How long a probe is: longer than it takes to wake the other thread, and its processor, from sleep.
const PROBE: Duration = Duration::from_micros(80);
/// Looks of that length after one that has paid: until the other thread takes such a look as well, and finds this one awake.
const PROBE_COUNT: u32 = 2 * RETRY_AFTER;
/// Steps between no look at all and the longest.
const MOST_HOPE: u32 = 4;

/// What a thread has learned from its looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Experience {
    /// How much a look may cost, in steps.
    hope: u32,
    /// Waits since the last look.
    skipped: u32,
    /// Waits after which there is one in any case.
    retry_after: u32,
    /// How many looks may be as long as a probe.
    probes: u32,
}

impl Experience {
    const NONE: Self = Self { hope: MOST_HOPE, skipped: 0, retry_after: RETRY_AFTER, probes: 0 };

    /// How long the next look may be, if there is to be one.
    fn next(&mut self) -> Option<Duration> {
        if self.hope == 0 {
            if self.skipped < self.retry_after {
                self.skipped += 1;
                return None;
            }
            self.probes = PROBE_COUNT;
        }
        self.skipped = 0;
        Some(if self.probes > 0 { PROBE } else { LONGEST * self.hope / MOST_HOPE })
    }

    fn paid(&mut self) {
        self.hope = if self.probes > 0 { MOST_HOPE } else { (self.hope + 1).min(MOST_HOPE) };
        self.retry_after = RETRY_AFTER;
        self.probes = self.probes.saturating_sub(1);
    }

    fn did_not_pay(&mut self) {
        if self.hope == 0 {
            self.retry_after = (self.retry_after * 2).min(RETRY_AFTER_AT_MOST);
        }
        self.hope /= 2;
        self.probes = 0;
    }
}

thread_local! {
    static EXPERIENCE: Cell<Experience> = const { Cell::new(Experience::NONE) };
}

/// Asks `is_there` again and again, for a time that this thread's experience allows; returns the last answer.
pub fn look(is_there: impl Fn() -> bool) -> bool {
    let mut experience = EXPERIENCE.get();
    let length = if has_company() { experience.next() } else { None };
    let has_come = length.is_some_and(|length| {
        let has_come = comes_within(length, is_there);
        if has_come {
            experience.paid();
        } else {
            experience.did_not_pay();
        }
        has_come
    });
    EXPERIENCE.set(experience);
    has_come
}

fn comes_within(length: Duration, is_there: impl Fn() -> bool) -> bool {
    let end = Instant::now().after(length);
    loop {
        for _ in 0..16 {
            if is_there() {
                return true;
            }
            std::hint::spin_loop();
        }
        if Instant::now() >= end {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets `count` waits pass and returns the looks among them, none of which pays.
    fn looks_in_vain(experience: &mut Experience, count: u32) -> Vec<(u32, Duration)> {
        let mut looks = Vec::new();
        for number in 0..count {
            if let Some(length) = experience.next() {
                experience.did_not_pay();
                looks.push((number, length));
            }
        }
        looks
    }

    #[test]
    fn looks_that_do_not_pay_become_short_and_then_rare() {
        let mut experience = Experience::NONE;
        let first = looks_in_vain(&mut experience, 3);
        assert_eq!(first, [(0, LONGEST), (1, LONGEST / 2), (2, LONGEST / 4)]);
        let probes = looks_in_vain(&mut experience, 32 + 1 + 64 + 1 + 128 + 1);
        assert_eq!(probes, [(32, PROBE), (97, PROBE), (226, PROBE)]);
        let rare = looks_in_vain(&mut experience, 100_000).len();
        assert!((90..110).contains(&rare), "{rare}");
    }

    #[test]
    fn a_probe_that_pays_is_followed_by_looks_as_long_until_the_other_thread_has_had_its_own() {
        let mut experience = Experience::NONE;
        looks_in_vain(&mut experience, 35);
        for _ in 0..PROBE_COUNT {
            assert_eq!(experience.next(), Some(PROBE));
            experience.paid();
        }
        assert_eq!(experience, Experience::NONE);
        assert_eq!(experience.next(), Some(LONGEST));
        experience.did_not_pay();
        assert_eq!(experience.next(), Some(LONGEST / 2));
        experience.paid();
        assert_eq!(experience.hope, 3);
    }
}
