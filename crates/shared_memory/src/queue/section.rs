//! A queue's region and the one way in: through the guard, after repairing what a dead holder left half done.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use threefold_sys::clock::Instant;
use threefold_sys::region::Region;

use super::error::{Damage, QueueError, Stop};
use super::journal::{Transaction, replay};
use super::layout::{GUARD_WORD, HEAD, JOURNAL_LENGTH, Layout, TAIL, TOP};
use crate::bell::Bell;
use crate::guard::{Guard, Held};
use crate::wait::{Driver, Outcome, Plain};

/// The file reaches this many granules beyond the highest block, so that a segment can be begun in any section.
const GRANULES_AHEAD: usize = 16;
/// And grows by this many at once: an `ftruncate` is a system call.
const GRANULES_PER_GROWTH: usize = 128;

/// How long an operation whose deadline has passed waits for the section: longer than the repair after a death takes.
const PATIENCE: Duration = Duration::from_secs(1);

/// What all handles of a queue in this process share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) region: Region,
    pub(super) layout: Layout,
    /// How many messages may be in the queue.
    pub(super) message_cap: Option<u64>,
}

/// Being in the guarded section; dropping it leaves.
pub(super) struct Section<'queue> {
    pub(super) shared: &'queue Shared,
    words: &'queue [AtomicU64],
    _held: Held<'queue>,
}

impl Shared {
    /// Enters the section; signals are waited through.
    pub(super) fn enter(&self) -> Result<Section<'_>, QueueError> {
        match self.enter_with(None, &mut Plain) {
            Ok(Some(section)) => Ok(section),
            Ok(None) => Err(QueueError::Damaged(Damage::OutOfRange)),
            Err(Stop::Queue(error)) => Err(error),
            Err(Stop::Driver(never)) => match never {},
        }
    }

    /// Enters the section, sleeping through `driver`; `None` when the deadline passed.
    pub(super) fn enter_with<D: Driver>(
        &self,
        deadline: Option<Instant>,
        driver: &mut D,
    ) -> Result<Option<Section<'_>>, Stop<D::Error>> {
        let guard = Guard::new(self.word(GUARD_WORD));
        if let Some(held) = guard.try_enter() {
            return Ok(Some(Section::begin(self, held)?));
        }
        // A section is short: that somebody is in it does not make the queue empty or full for who does not wait.
        let deadline = deadline.map(|deadline| deadline.max(Instant::now().after(PATIENCE)));
        match guard.enter_with(deadline, driver).map_err(Stop::Driver)? {
            Outcome::Ready(held) => Ok(Some(Section::begin(self, held)?)),
            Outcome::TimedOut => Ok(None),
        }
    }

    /// Whether somebody is in the section: a hint.
    pub(super) fn is_somebody_inside(&self) -> bool {
        !Guard::new(self.word(GUARD_WORD)).holder().is_nobody()
    }

    /// A word of the header, which every region has.
    pub(super) fn word(&self, word: usize) -> &AtomicU64 {
        &self.region.words()[word]
    }

    /// The bell in two words of the header.
    pub(super) fn bell(&self, word: usize) -> Bell<'_> {
        static NOBODY: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
        Bell::new(self.region.words()[word..].first_chunk().unwrap_or(&NOBODY))
    }

    /// Reads a word of the header without the guard: a hint.
    pub(super) fn peek(&self, word: usize) -> u64 {
        self.word(word).load(Ordering::Acquire)
    }
}

impl<'queue> Section<'queue> {
    fn begin(shared: &'queue Shared, held: Held<'queue>) -> Result<Self, QueueError> {
        let mut words = shared.region.words();
        // Asked always, and not only when the guard was taken over: it is a load, and a repair that failed is seen again.
        if words[JOURNAL_LENGTH].load(Ordering::Relaxed) != 0 {
            replay(words)?;
        }
        let top = usize::try_from(words[TOP].load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        if top > shared.layout.granule_count() {
            return Err(Damage::Blocks.into());
        }
        let layout = shared.layout;
        if words.len() < layout.granule_word((top + GRANULES_AHEAD).min(layout.granule_count())) {
            reach(shared, top + GRANULES_PER_GROWTH)?;
            words = shared.region.words();
        }
        Ok(Self { shared, words, _held: held })
    }

    /// A change of the region.
    pub(super) fn change(&self) -> Transaction<'queue> {
        Transaction::new(self.words)
    }

    /// Lets the file reach every block that `change` has made, before it happens.
    pub(super) fn reach(&self, change: &Transaction<'_>) -> Result<(), QueueError> {
        reach(self.shared, usize::try_from(change.read(TOP)).unwrap_or(usize::MAX))
    }

    /// Reads a word of the header.
    pub(super) fn read(&self, word: usize) -> u64 {
        self.words[word].load(Ordering::Relaxed)
    }

    /// Whether no message is in the queue.
    pub(super) fn is_empty(&self) -> bool {
        self.read(HEAD) == self.read(TAIL)
    }
}

fn reach(shared: &Shared, granule: usize) -> Result<(), QueueError> {
    let bytes = shared.layout.bytes_before(granule.min(shared.layout.granule_count()));
    let bytes = usize::try_from(bytes).map_err(|_| Damage::Geometry)?;
    Ok(shared.region.grow(bytes)?)
}
