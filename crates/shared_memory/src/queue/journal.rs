//! Makes any number of stores one change that a death cannot cut in two.
//!
//! The holder of the guard writes down which words are to get which values, commits by storing how many there are, and
//! then does them. Who takes the guard over from a dead holder does what is still written there: all of it if the
//! count was stored, nothing if it was not. Doing it twice is doing it once.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use super::cell::store;
use super::error::Damage;
use super::layout::{FREE_LISTS, HEAD, HEADER_WORDS, HELD_LIST, JOURNAL, JOURNAL_CAPACITY, JOURNAL_LENGTH};

/// A change in the making; dropped without [`Transaction::commit`] it has not happened. Needs the guard.
#[derive(Debug)]
pub(super) struct Transaction<'region> {
    words: &'region [AtomicU64],
    length: usize,
    // Set by any access that a sound region never causes, so that the code in between needs no error paths.
    damage: Cell<Option<Damage>>,
}

impl<'region> Transaction<'region> {
    /// An empty change of a region.
    pub(super) fn new(words: &'region [AtomicU64]) -> Self {
        Self { words, length: 0, damage: Cell::new(None) }
    }

    /// The region's words, for what needs no journal: bytes that nobody can see yet.
    pub(super) fn words(&self) -> &'region [AtomicU64] {
        self.words
    }

    /// What `word` holds, this change included; 0 outside the region.
    pub(super) fn read(&self, word: usize) -> u64 {
        match self.entry_of(word) {
            Some(entry) => self.load(JOURNAL + 2 * entry + 1),
            None => self.load(word),
        }
    }

    /// The index that `word` holds, this change included.
    pub(super) fn read_index(&self, word: usize) -> usize {
        usize::try_from(self.read(word)).unwrap_or(usize::MAX)
    }

    /// Lets `word` be `value` when this change happens.
    pub(super) fn write(&mut self, word: usize, value: u64) {
        if word >= self.words.len() {
            return self.refuse(Damage::OutOfRange);
        }
        let entry = self.entry_of(word).unwrap_or(self.length);
        if entry >= JOURNAL_CAPACITY {
            return self.refuse(Damage::Lists);
        }
        store(&self.words[JOURNAL + 2 * entry], word as u64, Ordering::Relaxed);
        store(&self.words[JOURNAL + 2 * entry + 1], value, Ordering::Relaxed);
        self.length = self.length.max(entry + 1);
    }

    /// Adds to a counter.
    pub(super) fn add(&mut self, word: usize, count: u64) {
        self.write(word, self.read(word).wrapping_add(count));
    }

    /// Subtracts from a counter.
    pub(super) fn subtract(&mut self, word: usize, count: u64) {
        self.write(word, self.read(word).wrapping_sub(count));
    }

    /// Says that the region is not what it should be: the change will not happen.
    pub(super) fn refuse(&self, damage: Damage) {
        if self.damage.get().is_none() {
            self.damage.set(Some(damage));
        }
    }

    /// Whether the region was sound so far.
    pub(super) fn check(&self) -> Result<(), Damage> {
        self.damage.get().map_or(Ok(()), Err)
    }

    /// Does the change.
    ///
    /// # Errors
    /// The region is damaged; nothing was changed.
    pub(super) fn commit(self) -> Result<(), Damage> {
        self.check()?;
        store(&self.words[JOURNAL_LENGTH], self.length as u64, Ordering::Release);
        apply(self.words, self.length)
    }

    fn load(&self, word: usize) -> u64 {
        if let Some(word) = self.words.get(word) {
            return word.load(Ordering::Relaxed);
        }
        self.refuse(Damage::OutOfRange);
        0
    }

    fn entry_of(&self, word: usize) -> Option<usize> {
        (0..self.length).rev().find(|entry| self.load(JOURNAL + 2 * entry) == word as u64)
    }
}

/// Finishes the change that a dead holder of the guard had committed, if any.
///
/// # Errors
/// The journal names what cannot be.
pub(super) fn replay(words: &[AtomicU64]) -> Result<(), Damage> {
    let length = usize::try_from(words[JOURNAL_LENGTH].load(Ordering::Acquire)).unwrap_or(usize::MAX);
    if length > JOURNAL_CAPACITY {
        return Err(Damage::Journal);
    }
    let mut targets = words[JOURNAL..JOURNAL + 2 * length].iter().step_by(2);
    // Somebody wrote over the journal: better to stop here than to do what it says to the guard.
    if targets.any(|target| !is_journaled(target.load(Ordering::Relaxed))) {
        return Err(Damage::Journal);
    }
    apply(words, length)
}

/// Whether changes write to this word: a state word, a list, or the block table.
fn is_journaled(word: u64) -> bool {
    usize::try_from(word).is_ok_and(|word| {
        (HEAD..=HELD_LIST).contains(&word) || (FREE_LISTS..JOURNAL_LENGTH).contains(&word) || word >= HEADER_WORDS
    })
}

fn apply(words: &[AtomicU64], length: usize) -> Result<(), Damage> {
    for entry in words[JOURNAL..JOURNAL + 2 * length].chunks_exact(2) {
        let word = usize::try_from(entry[0].load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        let target = words.get(word).ok_or(Damage::Journal)?;
        // Release keeps these behind the commit for whoever takes over, and the frame's bytes before its position for
        // those who look at the positions without the guard.
        store(target, entry[1].load(Ordering::Relaxed), Ordering::Release);
    }
    store(&words[JOURNAL_LENGTH], 0, Ordering::Release);
    Ok(())
}
