//! Where everything of a queue lies in its region, in words of eight bytes. The README has the picture.

use super::error::Damage;

/// Bytes of a word.
pub(super) const WORD_BYTES: usize = 8;
/// Bytes of a page: what the kernel gives and takes back.
pub(super) const PAGE_BYTES: u64 = 4096;

/// Words of the same.
pub(super) const PAGE_WORDS: usize = 512;

/// Says that this is a queue, and in which version of this layout.
pub(super) const MAGIC_WORD: usize = 0;
/// "3fqueue" and the version, so that a dump of the region can be recognised.
pub(super) const MAGIC: u64 = u64::from_be_bytes(*b"3fqueue\x02");
/// How many granules the region has room for.
pub(super) const GRANULES_WORD: usize = 1;
/// How many bytes of memory messages may take.
pub(super) const BYTE_CAP_WORD: usize = 2;
/// How many messages may be in the queue; 0 = any number.
pub(super) const MESSAGE_CAP_WORD: usize = 3;

/// The guard of everything below it, on a line of its own.
pub(super) const GUARD_WORD: usize = 8;

/// The word index of the next frame to take.
pub(super) const HEAD: usize = 16;
/// The word index behind the last frame.
pub(super) const TAIL: usize = 17;
/// How many messages were ever put.
pub(super) const PUT_COUNT: usize = 18;
/// How many messages were ever taken.
pub(super) const GOT_COUNT: usize = 19;
/// How many messages were reported as done.
pub(super) const DONE_COUNT: usize = 20;
/// Bytes of memory that blocks occupy, warm ones included.
pub(super) const USED_BYTES: usize = 21;
/// Bytes of memory that warm blocks occupy.
pub(super) const WARM_BYTES: usize = 22;
/// Granules below this one have been part of a block.
pub(super) const TOP: usize = 23;
/// The list of blocks that a process holds.
pub(super) const HELD_LIST: usize = 24;
/// When the queue was last tidied, in nanoseconds of the monotonic clock.
pub(super) const TIDIED_AT: usize = 25;
/// When somebody was last through with a long message in an empty queue, in the same.
pub(super) const RESTED_AT: usize = 26;

/// Rung when a message was put.
pub(super) const FILLED_BELL_WORD: usize = 32;
/// Rung when a message was taken from a bounded queue.
pub(super) const TAKEN_BELL_WORD: usize = 40;
/// Rung when every message was reported as done.
pub(super) const DONE_BELL_WORD: usize = 48;

/// Blocks of any order can be numbered in a list's 32-bit links.
pub(super) const ORDERS: usize = 31;
/// The lists of free blocks without memory, one per order.
pub(super) const FREE_LISTS: usize = 64;
/// The lists of free blocks that still have their memory, one per order.
pub(super) const WARM_LISTS: usize = 96;

/// How many of the journal's writes are to be done; 0 = none.
pub(super) const JOURNAL_LENGTH: usize = 128;
/// The journal's writes: pairs of word index and value.
pub(super) const JOURNAL: usize = 129;
/// How many writes the journal has room for: the longest change of the block lists takes about 110.
pub(super) const JOURNAL_CAPACITY: usize = (HEADER_WORDS - JOURNAL) / 2;

/// Words before the block table.
pub(super) const HEADER_WORDS: usize = 512;
/// Words of a block's record in the block table.
pub(super) const RECORD_WORDS: usize = 4;

/// Bytes of the smallest block, which is also a segment of the log.
pub(super) const GRANULE_BYTES: u64 = 32 * 1024;
/// Words of the same.
pub(super) const GRANULE_WORDS: usize = 4096;

/// What the links of the lists can number: 32 TiB.
const MOST_GRANULES: usize = 1 << (ORDERS - 1);

/// The sizes of one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    granule_count: usize,
    data_word: usize,
}

impl Layout {
    /// The layout of a region whose blocks number `granule_count`.
    pub(super) fn new(granule_count: usize) -> Self {
        let table_end = HEADER_WORDS + granule_count * RECORD_WORDS;
        Self { granule_count, data_word: table_end.next_multiple_of(HEADER_WORDS) }
    }

    /// The layout for messages of `byte_cap` bytes in total. Blocks come in powers of two: room for the largest that a
    /// message may need, beside the half in which the others are.
    pub(super) fn for_byte_cap(byte_cap: u64) -> Self {
        let largest = byte_cap.div_ceil(GRANULE_BYTES).checked_next_power_of_two().unwrap_or(u64::MAX);
        let granule_count = largest.saturating_mul(2).max(64);
        Self::new(usize::try_from(granule_count).unwrap_or(MOST_GRANULES).min(MOST_GRANULES))
    }

    /// The layout that a region's header names.
    pub(super) fn read(granule_count: u64) -> Result<Self, Damage> {
        match usize::try_from(granule_count) {
            Ok(count @ 1..=MOST_GRANULES) => Ok(Self::new(count)),
            _ => Err(Damage::Geometry),
        }
    }

    /// How many granules there are.
    pub(super) fn granule_count(&self) -> usize {
        self.granule_count
    }

    /// Bytes of the whole region, most of which never get memory.
    pub(super) fn region_bytes(&self) -> u64 {
        (self.data_word * WORD_BYTES) as u64 + self.granule_count as u64 * GRANULE_BYTES
    }

    /// Bytes of the region up to the end of granule number `granule`, exclusive.
    pub(super) fn bytes_before(&self, granule: usize) -> u64 {
        (self.data_word * WORD_BYTES) as u64 + granule as u64 * GRANULE_BYTES
    }

    /// The first word of a granule.
    pub(super) fn granule_word(&self, granule: usize) -> usize {
        self.data_word + granule * GRANULE_WORDS
    }

    /// The granule that holds `word`.
    pub(super) fn granule_at(&self, word: usize) -> Option<usize> {
        let granule = word.checked_sub(self.data_word)? / GRANULE_WORDS;
        (granule < self.granule_count).then_some(granule)
    }
}

/// The order of the smallest block with room for `bytes`.
pub(super) fn order_for(bytes: u64) -> usize {
    bytes.div_ceil(GRANULE_BYTES).next_power_of_two().trailing_zeros() as usize
}
