//! Where in a region a ring lives: two lines of words and an area.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use threefold_sys::region::{PAGE_BYTES, Region};

use super::error::{RingDamage, RingError};
use super::position::{MOST_CAPACITY, Position};
use super::reader::Reader;
use super::writer::Writer;

const WORD_BYTES: usize = size_of::<AtomicU64>();

/// Words of the reader's line: its position, and how many frames it has read. The writer's line has its position only.
const LINE_WORDS: usize = 2;

/// The place of a ring in a region whose file reaches to the end of its area.
#[derive(Clone, Debug)]
pub struct Track {
    pub(super) region: Arc<Region>,
    tail_word: usize,
    head_word: usize,
    area_bytes: usize,
    capacity_bytes: u64,
}

impl Track {
    /// How long the writer's and the reader's line each are; far enough apart, they do not share a cache line.
    pub const LINE_BYTES: usize = 128;

    /// The ring with these lines and `capacity_bytes` of area at `area_bytes`, which are whole pages. Zeros are an empty
    /// ring.
    ///
    /// # Errors
    /// When they are not in the region, or not aligned.
    pub fn new(
        region: &Arc<Region>,
        writer_line_bytes: usize,
        reader_line_bytes: usize,
        area_bytes: usize,
        capacity_bytes: usize,
    ) -> Result<Self, RingError> {
        for line in [writer_line_bytes, reader_line_bytes] {
            let _words = region.words_at(line, LINE_WORDS)?;
        }
        let _area = region.words_at(area_bytes, capacity_bytes / WORD_BYTES)?;
        let capacity = capacity_bytes as u64;
        let is_whole = area_bytes % PAGE_BYTES == 0 && capacity_bytes % PAGE_BYTES == 0;
        if !is_whole || capacity == 0 || capacity > MOST_CAPACITY {
            return Err(RingDamage::OutOfRange.into());
        }
        Ok(Self {
            region: Arc::clone(region),
            tail_word: writer_line_bytes / WORD_BYTES,
            head_word: reader_line_bytes / WORD_BYTES,
            area_bytes,
            capacity_bytes: capacity,
        })
    }

    /// The writing end. There is one, and it begins while the ring has not been written to.
    ///
    /// # Errors
    /// When it has.
    pub fn writer(&self) -> Result<Writer, RingError> {
        Writer::new(self.clone())
    }

    /// The reading end. There is one, and it begins before anything was read.
    ///
    /// # Errors
    /// When something was.
    pub fn reader(&self) -> Result<Reader, RingError> {
        Reader::new(self.clone())
    }

    // The words are in the region for good since `new` saw them there.
    #[inline]
    pub(super) fn tail(&self) -> &AtomicU64 {
        &self.region.words()[self.tail_word]
    }

    #[inline]
    pub(super) fn head(&self) -> &AtomicU64 {
        &self.region.words()[self.head_word]
    }

    #[inline]
    pub(super) fn read_count(&self) -> &AtomicU64 {
        &self.region.words()[self.head_word + 1]
    }

    pub(super) fn capacity(&self) -> u64 {
        self.capacity_bytes
    }

    /// Where in the region something lies that is `len_bytes` long and at `at` in the area.
    #[inline]
    pub(super) fn place(&self, at: Position, len_bytes: u64) -> Result<usize, RingDamage> {
        let is_inside = at.offset().checked_add(len_bytes).is_some_and(|end| end <= self.capacity_bytes);
        let offset = usize::try_from(at.offset()).map_err(|_| RingDamage::OutOfRange)?;
        if is_inside { Ok(self.area_bytes + offset) } else { Err(RingDamage::OutOfRange) }
    }
}
