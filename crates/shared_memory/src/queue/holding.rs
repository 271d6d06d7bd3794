//! Blocks that this process fills, reads or gives back, outside the guard: theirs until dropped, or until it dies.

use std::sync::Arc;

use super::blocks::{Blocks, block_bytes};
use super::error::QueueError;
use super::layout::{BYTE_CAP_WORD, USED_BYTES, WARM_BYTES, WORD_BYTES, order_for};
use super::section::Shared;
use crate::holder::Holder;

/// Unused memory that a busy queue keeps: a block that is warm is written at the speed of memory, a cold one at the
/// speed of page faults, which is a sixth of it.
const MOST_WARM_BYTES: u64 = 128 << 20;

/// A block of this process. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Holding {
    shared: Arc<Shared>,
    block: usize,
    owner: Holder,
    is_cold: bool,
}

impl Holding {
    /// A block for a body of `bytes`, unused memory of this process's choice.
    ///
    /// # Errors
    /// When the queue may not take so much memory, also after giving back what it does not need.
    pub(super) fn claim(shared: &Arc<Shared>, bytes: u64) -> Result<Self, QueueError> {
        let _tidied_later = shared.tidy_sometimes();
        if let Some(holding) = Self::try_claim(shared, bytes)? {
            return Ok(holding);
        }
        let _tidied_later = shared.tidy();
        Self::try_claim(shared, bytes)?.ok_or_else(|| shared.out_of_memory(bytes))
    }

    fn try_claim(shared: &Arc<Shared>, bytes: u64) -> Result<Option<Self>, QueueError> {
        let section = shared.enter()?;
        if bytes > section.read(BYTE_CAP_WORD) {
            return Ok(None);
        }
        let (mut change, owner, order) = (section.change(), Holder::current(), order_for(bytes));
        let mut blocks = Blocks::new(&mut change, shared.layout);
        let Some(block) = blocks.claim(order) else { return Ok(None) };
        let is_cold = blocks.resident(block) < bytes;
        if !blocks.use_bytes(block, bytes) {
            return Ok(None);
        }
        blocks.hold(block, order, owner.word());
        change.check()?;
        section.reach(&change)?;
        change.commit()?;
        Ok(Some(Self { shared: Arc::clone(shared), block, owner, is_cold }))
    }

    /// Takes over a block that a change of this section gives to `owner`, which is this process.
    pub(super) fn of(shared: &Arc<Shared>, block: usize, owner: Holder) -> Self {
        Self { shared: Arc::clone(shared), block, owner, is_cold: false }
    }

    /// The block's number.
    pub(super) fn block(&self) -> usize {
        self.block
    }

    /// Whether some of its pages have never been written, or have gone back to the system since.
    pub(super) fn is_cold(&self) -> bool {
        self.is_cold
    }

    /// The block has become part of the queue.
    pub(super) fn forget(mut self) {
        self.owner = Holder::NOBODY;
    }

    /// The queue's memory.
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Where the block begins in the region.
    pub(super) fn offset_bytes(&self) -> usize {
        self.shared.layout.granule_word(self.block) * WORD_BYTES
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        // A forked child has a copy of its parent's holdings, which stay the parent's. While the stack unwinds, this
        // thread may be in the section; then the block stays ours until the process ends.
        if self.owner.is_of_process_of(Holder::current()) && !std::thread::panicking() {
            // A damaged queue: there is nobody left to give the block to.
            let _given_back = self.shared.give_back(self.block);
        }
    }
}

impl Shared {
    /// Gives back a block that this process holds: to the warm ones if few are, else to the system.
    pub(super) fn give_back(&self, block: usize) -> Result<(), QueueError> {
        let section = self.enter()?;
        let mut change = section.change();
        let mut blocks = Blocks::new(&mut change, self.layout);
        let resident = blocks.resident(block);
        let stays_warm = section.read(WARM_BYTES) + resident <= self.most_warm_bytes();
        if stays_warm {
            let order = blocks.unhold(block);
            blocks.keep_warm(block, order);
            change.commit()?;
        }
        let leavings = section.leavings();
        drop(section);
        if !stays_warm {
            self.cool(block)?;
        }
        self.tidy_after_use(leavings)
    }

    /// Gives the memory of a block that this process holds back to the system, and frees it.
    pub(super) fn cool(&self, block: usize) -> Result<(), QueueError> {
        let order = {
            let section = self.enter()?;
            let mut change = section.change();
            let order = Blocks::new(&mut change, self.layout).expect(block, super::blocks::Kind::Held);
            change.check()?;
            order
        };
        let offset = self.layout.granule_word(block) * WORD_BYTES;
        // Outside the guard: a gigabyte takes the kernel a tenth of a second.
        self.region.punch(offset, usize::try_from(block_bytes(order)).unwrap_or(0))?;
        let section = self.enter()?;
        let mut change = section.change();
        let mut blocks = Blocks::new(&mut change, self.layout);
        let order = blocks.unhold(block);
        blocks.free(block, order);
        Ok(change.commit()?)
    }

    /// How much unused memory is kept.
    pub(super) fn most_warm_bytes(&self) -> u64 {
        MOST_WARM_BYTES.min(self.peek(BYTE_CAP_WORD) / 4)
    }

    pub(super) fn out_of_memory(&self, needed_bytes: u64) -> QueueError {
        let (used_bytes, cap_bytes) = (self.peek(USED_BYTES), self.peek(BYTE_CAP_WORD));
        QueueError::OutOfMemory { needed_bytes, used_bytes, cap_bytes }
    }
}
