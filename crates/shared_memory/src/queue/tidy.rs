//! Brings back what the dead held, and gives unused memory back to the system.
//!
//! Done by whoever is there anyway: a `get` that empties the queue (at most twice a second, so that a queue which is
//! emptied all the time keeps its memory), who is through with a long message when there are no others, a `get` that has
//! waited a slice for nothing, whoever attaches, and whoever would have to be refused otherwise.

use std::sync::atomic::Ordering;
use std::time::Duration;

use threefold_sys::clock::Instant;

use super::blocks::{Blocks, Kind};
use super::cell::store;
use super::error::{Damage, QueueError};
use super::layout::{
    GRANULE_BYTES, GRANULE_WORDS, HEADER_WORDS, HELD_LIST, PAGE_WORDS, RECORD_WORDS, RESTED_AT, TAIL, TIDIED_AT, TOP,
    USED_BYTES, WARM_BYTES, WORD_BYTES,
};
use super::log;
use super::section::{Section, Shared};
use crate::holder::Holder;

/// Unused memory that stays in an empty queue which nobody is at: enough that messages of some megabytes are not written to
/// cold memory when each is put after an answer to the one before, or a moment after it was taken.
const MOST_BYTES_AT_REST: u64 = 64 << 20;
/// Held blocks whose holders are looked at, to see whether somebody is at it: those that were claimed last.
const MOST_HOLDERS: usize = 16;
/// The shortest time between two tidyings that nobody waits for.
const INTERVAL: Duration = Duration::from_millis(500);
/// Blocks whose records fill a page of the block table.
const GRANULES_PER_TABLE_PAGE: u64 = (PAGE_WORDS / RECORD_WORDS) as u64;
/// Blocks looked at in one go: others may go on making more of them, and a damaged list may have no end.
const MOST_BLOCKS: usize = 4096;

/// What the last message left behind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leavings {
    has_emptied: bool,
    has_too_much: bool,
    kept_bytes: u64,
}

impl Section<'_> {
    /// What unused memory there is, and how much of it may stay.
    pub(super) fn leavings(&self) -> Leavings {
        let (warm_bytes, is_empty) = (self.read(WARM_BYTES), self.is_empty());
        let mut kept_bytes = self.shared.most_warm_bytes();
        if is_empty && warm_bytes > MOST_BYTES_AT_REST && !self.is_somebody_else_at_it() {
            kept_bytes = kept_bytes.min(MOST_BYTES_AT_REST);
        }
        Leavings { has_emptied: is_empty && warm_bytes > 0, has_too_much: warm_bytes > kept_bytes, kept_bytes }
    }

    /// Whether another process fills a block or reads from one: a hint.
    fn is_somebody_else_at_it(&self) -> bool {
        let mut change = self.change();
        let blocks = Blocks::new(&mut change, self.shared.layout);
        let us = Holder::current();
        let first = blocks.first_held();
        let held = std::iter::successors(first, |&block| blocks.next_if_held(block)).take(MOST_HOLDERS);
        held.into_iter().any(|block| !Holder::from_word(blocks.owner(block)).is_of_process_of(us))
    }
}

impl Shared {
    /// Tidies, unless somebody did so a moment ago.
    pub(super) fn tidy_sometimes(&self) -> Result<(), QueueError> {
        if self.peek(HELD_LIST) == 0 || !self.is_time_to_tidy() {
            return Ok(());
        }
        self.mark_tidied();
        self.sweep()
    }

    /// After a message was taken: gives memory back if that emptied the queue, or if more is unused than is kept.
    pub(super) fn tidy_after_get(&self, leavings: Leavings) -> Result<(), QueueError> {
        if leavings.has_emptied && self.is_time_to_tidy() {
            return self.tidy();
        }
        self.cool_excess(leavings)
    }

    /// After somebody was through with a long message: as above; and all of it goes back when there was no such message for
    /// a while. It may be the last one for long.
    pub(super) fn tidy_after_use(&self, leavings: Leavings) -> Result<(), QueueError> {
        if leavings.has_emptied {
            let (now, before) = (Instant::now(), Instant::from_nanos(self.peek(RESTED_AT)));
            // A hint without the guard, as the other one.
            store(self.word(RESTED_AT), now.as_nanos(), Ordering::Relaxed);
            if now.since(before) >= INTERVAL {
                return self.tidy();
            }
        }
        self.cool_excess(leavings)
    }

    fn cool_excess(&self, leavings: Leavings) -> Result<(), QueueError> {
        if leavings.has_too_much { self.cool_down(leavings.kept_bytes) } else { Ok(()) }
    }

    /// Sweeps up after the dead and gives all unused memory back.
    pub(super) fn tidy(&self) -> Result<(), QueueError> {
        self.mark_tidied();
        self.sweep()?;
        self.cool_down(0)?;
        self.begin_anew()
    }

    /// An empty queue that once had many blocks goes back to its first one: the block table then takes one page again.
    fn begin_anew(&self) -> Result<(), QueueError> {
        if self.peek(TOP) <= GRANULES_PER_TABLE_PAGE {
            return Ok(());
        }
        let section = self.enter()?;
        let top = section.read(TOP);
        if !section.is_empty() || section.read(USED_BYTES) != GRANULE_BYTES || top <= GRANULES_PER_TABLE_PAGE {
            return Ok(());
        }
        let tail = usize::try_from(section.read(TAIL)).unwrap_or(usize::MAX);
        let segment = self.layout.granule_at(tail).ok_or(Damage::Log)?;
        // In the section, and first: the segment holds no message, and who dies here has given memory back, no more.
        self.region.punch(self.layout.granule_word(segment) * WORD_BYTES, GRANULE_WORDS * WORD_BYTES)?;
        let mut change = section.change();
        log::begin_anew(&mut change, self.layout, segment);
        change.commit()?;
        let (table, page) = (HEADER_WORDS * WORD_BYTES, PAGE_WORDS * WORD_BYTES);
        let table_bytes = RECORD_WORDS * WORD_BYTES * usize::try_from(top).unwrap_or(0);
        // Still in the section: records above the new top mean nothing, and soon others write there.
        Ok(self.region.punch(table + page, table_bytes.saturating_sub(page))?)
    }

    fn is_time_to_tidy(&self) -> bool {
        Instant::now().since(Instant::from_nanos(self.peek(TIDIED_AT))) >= INTERVAL
    }

    fn mark_tidied(&self) {
        // A hint without the guard: two who do this at once tidy twice.
        store(self.word(TIDIED_AT), Instant::now().as_nanos(), Ordering::Relaxed);
    }

    /// Gives warm blocks back to the system while more than `kept_bytes` of memory are warm.
    fn cool_down(&self, kept_bytes: u64) -> Result<(), QueueError> {
        for _ in 0..MOST_BLOCKS {
            let block = {
                let section = self.enter()?;
                if section.read(WARM_BYTES) <= kept_bytes {
                    return Ok(());
                }
                let mut change = section.change();
                let mut blocks = Blocks::new(&mut change, self.layout);
                let Some((block, order)) = blocks.pop_warm() else { return Ok(()) };
                blocks.hold(block, order, Holder::current().word());
                change.commit()?;
                block
            };
            self.cool(block)?;
        }
        Ok(())
    }

    /// Frees the blocks that dead processes held.
    fn sweep(&self) -> Result<(), QueueError> {
        let mut asked: Vec<(Holder, bool)> = Vec::new();
        for (block, owner) in self.held_blocks()? {
            let known = asked.iter().find(|(other, _)| owner.is_of_process_of(*other)).map(|&(_, alive)| alive);
            let is_alive = known.unwrap_or_else(|| owner.is_alive());
            if known.is_none() {
                asked.push((owner, is_alive));
            }
            if !is_alive && self.take_over(block, owner)? {
                self.cool(block)?;
            }
        }
        Ok(())
    }

    /// The held blocks and their owners.
    fn held_blocks(&self) -> Result<Vec<(usize, Holder)>, QueueError> {
        let section = self.enter()?;
        let mut change = section.change();
        let blocks = Blocks::new(&mut change, self.layout);
        let mut next = blocks.first_held();
        let mut held = Vec::new();
        while let (Some(block), true) = (next, held.len() < MOST_BLOCKS) {
            held.push((block, Holder::from_word(blocks.owner(block))));
            next = blocks.next_if_held(block);
        }
        change.check()?;
        Ok(held)
    }

    /// Makes a dead owner's block ours, unless another survivor was faster.
    fn take_over(&self, block: usize, dead: Holder) -> Result<bool, QueueError> {
        let section = self.enter()?;
        let mut change = section.change();
        let mut blocks = Blocks::new(&mut change, self.layout);
        if !blocks.is(block, Kind::Held) || blocks.owner(block) != dead.word() {
            return Ok(false);
        }
        let order = blocks.unhold(block);
        blocks.hold(block, order, Holder::current().word());
        change.commit()?;
        Ok(true)
    }
}
