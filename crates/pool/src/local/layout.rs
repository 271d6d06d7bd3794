//! What lies where in a link's region.
//!
//! ```text
//! page 0   magic, capacity, parent │ job ring: writer │ reader │ report ring: writer │ reader │ attention │ bell │ finished │ marks
//! page 1.. the job ring's area
//!          the report ring's area
//! ```
//!
//! Each group of words that one side writes has two cache lines of its own, since processors fetch lines in pairs.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use threefold_shared_memory::ring::{RingError, Track};
use threefold_shared_memory::{Bell, Holder, PAGE_BYTES, Region, queue};

use super::error::LinkError;
use super::marks::{MARK_COUNT, Marks};

/// Names a link, with the version of its layout in the lowest byte.
const MAGIC: u64 = 0x3f01_d0f0_1114_0001;

const WORD_BYTES: usize = size_of::<AtomicU64>();
const LINE_WORDS: usize = Track::LINE_BYTES / WORD_BYTES;

const MAGIC_WORD: usize = 0;
const CAPACITY_WORD: usize = 1;
const PARENT_WORD: usize = 2;
const JOB_WRITER_LINE: usize = 1;
const JOB_READER_LINE: usize = 2;
const REPORT_WRITER_LINE: usize = 3;
const REPORT_READER_LINE: usize = 4;
const ATTENTION_WORD: usize = 5 * LINE_WORDS;
const BELL_WORD: usize = 6 * LINE_WORDS;
const FINISHED_WORD: usize = 7 * LINE_WORDS;
const MARKS_WORD: usize = 8 * LINE_WORDS;

/// A smaller capacity is raised to this, and a larger one is not halved further.
const LEAST_CAPACITY: usize = 1 << 20;
/// A larger one is not needed by anybody, and a ring cannot name the places.
const MOST_CAPACITY: usize = 1 << 39;

/// How much may be on the way in either direction if nobody says so: as much as the machine, or the container, has of
/// memory. Only what is written takes any.
#[must_use]
pub fn default_capacity_bytes() -> usize {
    usize::try_from(queue::default_byte_cap().saturating_mul(2)).unwrap_or(MOST_CAPACITY)
}

/// The region of a link, with the words in it by name.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) region: Arc<Region>,
    pub(super) capacity_bytes: usize,
}

impl Layout {
    /// A new link; its capacity is halved as long as the kernel refuses it.
    pub(super) fn create(capacity_bytes: usize) -> Result<Self, LinkError> {
        let mut capacity_bytes = capacity_bytes.clamp(LEAST_CAPACITY, MOST_CAPACITY).next_multiple_of(PAGE_BYTES);
        let region = loop {
            let region_bytes = region_bytes(capacity_bytes);
            match Region::create("threefold-pool", region_bytes, region_bytes) {
                Ok(region) => break region,
                Err(error) if is_too_large(&error) && capacity_bytes > LEAST_CAPACITY => {
                    capacity_bytes = (capacity_bytes / 2).max(LEAST_CAPACITY).next_multiple_of(PAGE_BYTES);
                }
                Err(error) => return Err(error.into()),
            }
        };
        let layout = Self { region: Arc::new(region), capacity_bytes };
        layout.word(CAPACITY_WORD).store(capacity_bytes as u64, Ordering::Relaxed);
        layout.word(PARENT_WORD).store(Holder::current().word(), Ordering::Relaxed);
        layout.word(MAGIC_WORD).store(MAGIC, Ordering::Release);
        Ok(layout)
    }

    /// The link behind this process's descriptor `number`.
    pub(super) fn attach(number: i32, capacity_bytes: usize) -> Result<Self, LinkError> {
        let capacity_bytes = capacity_bytes.min(MOST_CAPACITY).next_multiple_of(PAGE_BYTES);
        let file = threefold_sys::descriptor::duplicate(number)?;
        let region = Region::attach(file, region_bytes(capacity_bytes)).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => LinkError::NotALink,
            _ => error.into(),
        })?;
        let header = region.words_at(0, LINE_WORDS).map_err(|_beyond| LinkError::NotALink)?;
        let [found, capacity] = [MAGIC_WORD, CAPACITY_WORD].map(|word| header[word].load(Ordering::Acquire));
        let version = 0xff;
        if found & !version != MAGIC & !version {
            return Err(LinkError::NotALink);
        }
        if found != MAGIC {
            return Err(LinkError::OtherVersion { found: found.to_le_bytes()[0], known: MAGIC.to_le_bytes()[0] });
        }
        if capacity != capacity_bytes as u64 || region.len_bytes()? < region_bytes(capacity_bytes) {
            return Err(LinkError::NotALink);
        }
        Ok(Self { region: Arc::new(region), capacity_bytes })
    }

    pub(super) fn job_track(&self) -> Result<Track, RingError> {
        self.track(JOB_WRITER_LINE, JOB_READER_LINE, PAGE_BYTES)
    }

    pub(super) fn report_track(&self) -> Result<Track, RingError> {
        self.track(REPORT_WRITER_LINE, REPORT_READER_LINE, PAGE_BYTES + self.capacity_bytes)
    }

    fn track(&self, writer_line: usize, reader_line: usize, area_bytes: usize) -> Result<Track, RingError> {
        let line_bytes = |line: usize| line * Track::LINE_BYTES;
        Track::new(&self.region, line_bytes(writer_line), line_bytes(reader_line), area_bytes, self.capacity_bytes)
    }

    // The first page is in the region for good: it was made, or looked at, above.
    fn word(&self, word: usize) -> &AtomicU64 {
        &self.region.words()[word]
    }

    /// Whose jobs they are.
    pub(super) fn parent(&self) -> Holder {
        Holder::from_word(self.word(PARENT_WORD).load(Ordering::Relaxed))
    }

    /// Whether the parent wants to be woken; written by both.
    pub(super) fn attention(&self) -> &AtomicU64 {
        self.word(ATTENTION_WORD)
    }

    /// What the worker sleeps on.
    pub(super) fn bell(&self) -> Bell<'_> {
        Bell::of(self.word(BELL_WORD), self.word(BELL_WORD + 1))
    }

    /// How many job frames the worker is through with, those that it skipped included; written by the worker.
    pub(super) fn finished_count(&self) -> &AtomicU64 {
        self.word(FINISHED_WORD)
    }

    pub(super) fn marks(&self) -> Marks<'_> {
        Marks::new(&self.region.words()[MARKS_WORD..MARKS_WORD + MARK_COUNT])
    }
}

fn region_bytes(capacity_bytes: usize) -> usize {
    capacity_bytes.saturating_mul(2).saturating_add(PAGE_BYTES)
}

/// No address space, or a limit to the length of files.
fn is_too_large(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::OutOfMemory | io::ErrorKind::FileTooLarge)
}
