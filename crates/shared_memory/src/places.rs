//! A table of waiters in shared memory: each sleeps on its own place, is told there, and can be seen to be dead.
//! README section 4.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use threefold_sys::clock::Instant;
use threefold_sys::{fork, futex};
use threefold_trace::Reason;
use threefold_wait::look;

use crate::error::TooManyWaiters;
use crate::holder::Holder;
use crate::wait::{Driver, Nap, Outcome, end_of_slice};

const USED: usize = 0;
const SWEPT: usize = 1;
const TABLE: usize = 2;
const PLACE_WORDS: usize = 2;

/// When the dead are looked for before the table grows: at every doubling from here on.
const FIRST_CROWD: usize = 32;

/// The shortest time between two looks for the dead: a little less than a slice, so that none is left out.
const PAUSE: Duration = Duration::from_millis(190);

/// The table. Each place is a holder, with [`Holder::FLAG`] once it was told, and a note.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places<'a>(&'a [AtomicU64]);

/// A place that a task has, to be found again by number.
#[derive(Clone, Copy, Debug)]
pub struct Seat {
    index: usize,
    mine: Holder,
    generation: u32,
}

impl Seat {
    /// Whose it is.
    pub(crate) fn holder(self) -> Holder {
        self.mine
    }

    /// Whether it was taken by the process's parent, which has it still.
    pub(crate) fn is_inherited(self) -> bool {
        self.generation != fork::generation()
    }
}

/// A place of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    index: usize,
    word: &'a AtomicU64,
    note: &'a AtomicU64,
}

/// A place as it was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) place: Place<'a>,
    pub(crate) holder: Holder,
    pub(crate) is_told: bool,
    pub(crate) note: u64,
}

impl<'a> Places<'a> {
    /// Words that a table for `limit` waiters takes. Those that were never used take no memory.
    pub(crate) const fn words(limit: usize) -> usize {
        TABLE.saturating_add(limit.saturating_mul(PLACE_WORDS))
    }

    pub(crate) fn new(words: &'a [AtomicU64]) -> Self {
        Self(words)
    }

    fn limit(self) -> usize {
        self.0.len().saturating_sub(TABLE) / PLACE_WORDS
    }

    fn used(self) -> usize {
        usize::try_from(self.0[USED].load(Ordering::Acquire)).unwrap_or(usize::MAX).min(self.limit())
    }

    fn place(self, index: usize) -> Place<'a> {
        let first = TABLE + index * PLACE_WORDS;
        Place { index, word: &self.0[first], note: &self.0[first + 1] }
    }

    /// Takes a place for `mine`.
    ///
    /// # Errors
    /// When there is none left.
    pub(crate) fn take(self, mine: Holder, note: u64) -> Result<Place<'a>, TooManyWaiters> {
        let used = self.used();
        if let Some(place) = (0..used).map(|index| self.place(index)).find(|place| place.try_take(mine, note)) {
            return Ok(place);
        }
        if used >= FIRST_CROWD && used.is_power_of_two() {
            self.seen().filter(|seen| !seen.holder.is_alive() && !seen.is_told).for_each(|seen| seen.free());
        }
        for index in 0..self.limit() {
            // Before the place is taken: whoever tells must not overlook it.
            self.0[USED].fetch_max(index as u64 + 1, Ordering::AcqRel);
            let place = self.place(index);
            if place.try_take(mine, note) {
                return Ok(place);
            }
        }
        Err(TooManyWaiters { limit: self.limit() })
    }

    /// The place of a task.
    pub(crate) fn of(self, seat: Seat) -> Place<'a> {
        self.place(seat.index)
    }

    /// All places that somebody has.
    pub(crate) fn seen(self) -> impl Iterator<Item = Seen<'a>> {
        (0..self.used()).map(move |index| self.place(index).look()).filter(|seen| !seen.holder.is_nobody())
    }

    /// Whether the caller is the one who should look for the dead now: somebody should, once a slice.
    pub(crate) fn is_sweep_due(self) -> bool {
        let swept = self.0[SWEPT].load(Ordering::Relaxed);
        let now = Instant::now();
        let is_due = now.since(Instant::from_nanos(swept)) >= PAUSE;
        is_due && self.0[SWEPT].compare_exchange(swept, now.as_nanos(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Place<'_> {
    fn try_take(self, mine: Holder, note: u64) -> bool {
        let is_taken = self.word.load(Ordering::Relaxed) == 0
            && self.word.compare_exchange(0, mine.word(), Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if is_taken {
            self.note.store(note, Ordering::Release);
        }
        is_taken
    }

    /// By its holder: what it says now.
    pub(crate) fn note(self) -> u64 {
        self.note.load(Ordering::Acquire)
    }

    /// By its holder, who gives up: leaves if it has not been told yet.
    pub(crate) fn withdraw(self, mine: Holder) -> bool {
        self.word.compare_exchange(mine.word(), 0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// By its holder: leaves, and says whether it had been told.
    pub(crate) fn leave(self, mine: Holder) -> bool {
        let is_told = !self.withdraw(mine);
        if is_told {
            let told = mine.word() | Holder::FLAG;
            let _left = self.word.compare_exchange(told, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
        is_told
    }

    /// By its holder: whether it has been told.
    pub(crate) fn is_told(self, mine: Holder) -> bool {
        self.word.load(Ordering::Acquire) != mine.word()
    }

    /// By its holder: sleeps until told. `look_around` is called after each slice.
    ///
    /// # Errors
    /// The driver's.
    pub(crate) fn wait<D: Driver>(
        self,
        mine: Holder,
        reason: Reason,
        deadline: Option<Instant>,
        driver: &mut D,
        mut look_around: impl FnMut(),
    ) -> Result<Outcome<()>, D::Error> {
        let mut is_told = driver.look(|| look(|| self.is_told(mine)));
        while !is_told {
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Ok(Outcome::TimedOut);
            }
            driver.park(&Nap {
                word: self.word,
                expected: mine.word(),
                until: end_of_slice(deadline),
                reason,
                holder: Holder::NOBODY,
                has_timeout: deadline.is_some(),
            })?;
            is_told = self.is_told(mine);
            if !is_told {
                look_around();
                is_told = self.is_told(mine);
            }
        }
        Ok(Outcome::Ready(()))
    }
}

impl<'a> Place<'a> {
    /// By its holder: to be found again by.
    pub(crate) fn seat(self, mine: Holder) -> Seat {
        Seat { index: self.index, mine, generation: fork::generation() }
    }

    /// What its holder sleeps on.
    pub(crate) fn word(self) -> &'a AtomicU64 {
        self.word
    }

    fn look(self) -> Seen<'a> {
        let word = self.word.load(Ordering::Acquire);
        let (holder, is_told) = (Holder::from_word(word), word & Holder::FLAG != 0);
        Seen { place: self, holder, is_told, note: self.note.load(Ordering::Acquire) }
    }
}

impl Seen<'_> {
    /// Tells the waiter, if it is still there and was not told, and wakes it.
    pub(crate) fn tell(&self) -> bool {
        let (seen, told) = (self.holder.word(), self.holder.word() | Holder::FLAG);
        let is_told = self.place.word.compare_exchange(seen, told, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if is_told {
            futex::wake_shared(self.place.word, 1);
        }
        is_told
    }

    /// As [`Seen::tell`], with another note. For callers of whom there is only one at a time.
    pub(crate) fn tell_with(&self, note: u64) -> bool {
        self.place.note.store(note, Ordering::Release);
        self.tell()
    }

    /// Frees the place of a dead waiter.
    pub(crate) fn free(&self) {
        let seen = self.holder.word() | if self.is_told { Holder::FLAG } else { 0 };
        let _freed_meanwhile = self.place.word.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Relaxed);
    }
}
