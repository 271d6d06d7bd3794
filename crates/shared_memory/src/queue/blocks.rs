//! Gives out blocks of a region: powers of two of granules, warm ones (that still have their memory) before cold ones.
//!
//! A block is free, warm, held by a process that fills or reads it, or queued: a part of the queue. Every transition
//! is part of a [`Transaction`], so there is no moment at which a death could leave a block in between. Splitting and
//! joining is the buddy scheme: a block of order `k` begins at a multiple of `2^k` granules.

use super::error::Damage;
use super::journal::Transaction;
use super::layout::{
    BYTE_CAP_WORD, FREE_LISTS, GRANULE_BYTES, HEADER_WORDS, HELD_LIST, Layout, ORDERS, PAGE_BYTES, RECORD_WORDS, TOP,
    USED_BYTES, WARM_BYTES, WARM_LISTS,
};

/// What a block is, in its record's first word, above its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Without memory, in a list of free blocks.
    Free = 1,
    /// Written, read or given back by the process that its record names.
    Held = 2,
    /// A segment of the log, or a message that a frame of the log describes.
    Queued = 3,
    /// Unused, with memory, in a list of warm blocks.
    Warm = 4,
}

const OWNER: usize = 1;
const LINKS: usize = 2;
const RESIDENT: usize = 3;

/// The blocks of a region, inside a change of it.
pub(super) struct Blocks<'change, 'region> {
    /// The change.
    pub(super) change: &'change mut Transaction<'region>,
    layout: Layout,
}

impl<'change, 'region> Blocks<'change, 'region> {
    pub(super) fn new(change: &'change mut Transaction<'region>, layout: Layout) -> Self {
        Self { change, layout }
    }

    /// Takes a block out of the lists; `None` when no room of that size is left. The caller says next what it is for.
    pub(super) fn claim(&mut self, order: usize) -> Option<usize> {
        if order >= ORDERS {
            return None;
        }
        if let Some(block) = self.pop(WARM_LISTS + order) {
            let resident = self.resident(block);
            self.change.subtract(WARM_BYTES, resident);
            return Some(block);
        }
        let block = self.claim_cold(order)?;
        self.write(block, RESIDENT, 0);
        Some(block)
    }

    /// How many bytes of memory a claimed block would add if `bytes` of it were used.
    pub(super) fn growth(&self, block: usize, bytes: u64) -> u64 {
        bytes.next_multiple_of(PAGE_BYTES).saturating_sub(self.resident(block))
    }

    /// Counts `bytes` of a block as memory in use; false, and nothing is counted, when that would pass the cap.
    pub(super) fn use_bytes(&mut self, block: usize, bytes: u64) -> bool {
        let growth = self.growth(block, bytes);
        let used = self.change.read(USED_BYTES);
        if growth > 0 && used.saturating_add(growth) > self.change.read(BYTE_CAP_WORD) {
            return false;
        }
        if growth > 0 {
            self.change.write(USED_BYTES, used + growth);
            let resident = self.resident(block);
            self.write(block, RESIDENT, resident + growth);
        }
        true
    }

    /// Gives a block to a process: until it says what becomes of it, or dies.
    pub(super) fn hold(&mut self, block: usize, order: usize, owner: u64) {
        self.set_kind(block, Kind::Held, order);
        self.write(block, OWNER, owner);
        self.push(HELD_LIST, block);
    }

    /// Takes a block from its holder; its order. The caller says next what it is for.
    pub(super) fn unhold(&mut self, block: usize) -> usize {
        let order = self.expect(block, Kind::Held);
        self.unlink(HELD_LIST, block);
        order
    }

    /// Makes a block part of the queue.
    pub(super) fn enqueue(&mut self, block: usize, order: usize) {
        self.set_kind(block, Kind::Queued, order);
        self.write(block, OWNER, 0);
    }

    /// Puts an unused block, with its memory, where it is found first.
    pub(super) fn keep_warm(&mut self, block: usize, order: usize) {
        self.set_kind(block, Kind::Warm, order);
        self.write(block, OWNER, 0);
        let resident = self.resident(block);
        self.change.add(WARM_BYTES, resident);
        self.push(WARM_LISTS + order, block);
    }

    /// A warm block and its order, taken out of its list.
    pub(super) fn pop_warm(&mut self) -> Option<(usize, usize)> {
        let order = (0..ORDERS).rev().find(|order| self.change.read(WARM_LISTS + order) != 0)?;
        let block = self.claim(order)?;
        Some((block, order))
    }

    /// Frees an unused block whose memory went back to the system.
    pub(super) fn free(&mut self, block: usize, order: usize) {
        let resident = self.resident(block);
        self.change.subtract(USED_BYTES, resident);
        self.write(block, RESIDENT, 0);
        self.write(block, OWNER, 0);
        self.join(block, order);
    }

    /// Forgets all free blocks: `block` of order 0, the only one in use, becomes block 0.
    pub(super) fn begin_anew(&mut self, block: usize) {
        for order in 0..ORDERS {
            self.change.write(FREE_LISTS + order, 0);
        }
        let resident = self.resident(block);
        self.change.write(TOP, 1);
        self.write(0, RESIDENT, resident);
        self.enqueue(0, 0);
    }

    /// The order of a block that must be of `kind`; else the region is damaged.
    pub(super) fn expect(&mut self, block: usize, kind: Kind) -> usize {
        let state = self.read(block, 0);
        let order = (state & 0xff) as usize;
        if state >> 8 != kind as u64 || order >= ORDERS || block + (1 << order) > self.layout.granule_count() {
            self.change.refuse(Damage::Blocks);
            return 0;
        }
        order
    }

    /// Who holds a held block.
    pub(super) fn owner(&self, block: usize) -> u64 {
        self.read(block, OWNER)
    }

    /// The first held block.
    pub(super) fn first_held(&self) -> Option<usize> {
        self.change.read_index(HELD_LIST).checked_sub(1)
    }

    /// The held block behind `block`, when that is held.
    pub(super) fn next_if_held(&self, block: usize) -> Option<usize> {
        if self.is(block, Kind::Held) { self.links(block).1.checked_sub(1) } else { None }
    }

    /// Whether a block is of `kind`.
    pub(super) fn is(&self, block: usize, kind: Kind) -> bool {
        self.read(block, 0) >> 8 == kind as u64
    }

    /// Bytes of memory a block occupies.
    pub(super) fn resident(&self, block: usize) -> u64 {
        self.read(block, RESIDENT)
    }

    fn claim_cold(&mut self, order: usize) -> Option<usize> {
        let Some(found) = (order..ORDERS).find(|order| self.change.read(FREE_LISTS + order) != 0) else {
            return self.claim_new(order);
        };
        let block = self.pop(FREE_LISTS + found)?;
        for lower in (order..found).rev() {
            self.list_free(block + (1 << lower), lower);
        }
        Some(block)
    }

    fn claim_new(&mut self, order: usize) -> Option<usize> {
        let size = 1_usize << order;
        let mut top = self.change.read_index(TOP);
        let block = top.checked_next_multiple_of(size)?;
        if block + size > self.layout.granule_count() {
            return None;
        }
        while top < block {
            let skipped = top.trailing_zeros() as usize;
            self.join(top, skipped);
            top += 1 << skipped;
        }
        self.change.write(TOP, (block + size) as u64);
        Some(block)
    }

    fn join(&mut self, mut block: usize, mut order: usize) {
        while order + 1 < ORDERS {
            let buddy = block ^ (1 << order);
            // What is written above the top is left from before it was lowered.
            let is_free = (buddy as u64) < self.change.read(TOP)
                && self.read(buddy, 0) == ((Kind::Free as u64) << 8 | order as u64);
            if !is_free {
                break;
            }
            self.unlink(FREE_LISTS + order, buddy);
            self.write(block.max(buddy), 0, 0);
            block = block.min(buddy);
            order += 1;
        }
        self.list_free(block, order);
    }

    fn list_free(&mut self, block: usize, order: usize) {
        self.set_kind(block, Kind::Free, order);
        self.push(FREE_LISTS + order, block);
    }

    fn set_kind(&mut self, block: usize, kind: Kind, order: usize) {
        self.write(block, 0, (kind as u64) << 8 | order as u64);
    }

    fn push(&mut self, list: usize, block: usize) {
        let next = self.change.read_index(list);
        self.set_links(block, 0, next);
        if let Some(next) = next.checked_sub(1) {
            let (_, behind) = self.links(next);
            self.set_links(next, block + 1, behind);
        }
        self.change.write(list, block as u64 + 1);
    }

    fn pop(&mut self, list: usize) -> Option<usize> {
        let block = self.change.read_index(list).checked_sub(1)?;
        self.record(block, 0)?;
        self.unlink(list, block);
        Some(block)
    }

    fn unlink(&mut self, list: usize, block: usize) {
        let (previous, next) = self.links(block);
        match previous.checked_sub(1) {
            Some(previous) => {
                let (before, _) = self.links(previous);
                self.set_links(previous, before, next);
            }
            None => self.change.write(list, next as u64),
        }
        if let Some(next) = next.checked_sub(1) {
            let (_, behind) = self.links(next);
            self.set_links(next, previous, behind);
        }
    }

    fn links(&self, block: usize) -> (usize, usize) {
        let links = self.read(block, LINKS);
        ((links >> 32) as usize, (links & 0xffff_ffff) as usize)
    }

    fn set_links(&mut self, block: usize, previous: usize, next: usize) {
        self.write(block, LINKS, (previous as u64) << 32 | next as u64);
    }

    fn read(&self, block: usize, field: usize) -> u64 {
        match self.record(block, field) {
            Some(word) => self.change.read(word),
            None => 0,
        }
    }

    fn write(&mut self, block: usize, field: usize, value: u64) {
        if let Some(word) = self.record(block, field) {
            self.change.write(word, value);
        }
    }

    fn record(&self, block: usize, field: usize) -> Option<usize> {
        if block >= self.layout.granule_count() {
            self.change.refuse(Damage::Blocks);
            return None;
        }
        Some(HEADER_WORDS + block * RECORD_WORDS + field)
    }
}

/// Bytes of a block of an order.
pub(super) fn block_bytes(order: usize) -> u64 {
    GRANULE_BYTES << order
}
