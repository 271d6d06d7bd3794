//! The file format, version 1: where everything lies, in 64-bit words of the machine's own byte order.
//!
//! `docs/reference/wait-table.md` says the same in prose.

use std::ops::Range;

/// The first word of every table.
pub(crate) const MAGIC: u64 = u64::from_ne_bytes(*b"3foldwts");
pub(crate) const VERSION: u64 = 1;

/// Words of the header.
pub(crate) mod header {
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const VERSION: usize = 1;
    pub(crate) const PID: usize = 2;
    pub(crate) const PARENT_PID: usize = 3;
    /// Field 22 of `/proc/PID/stat`: tells a recycled process number apart.
    pub(crate) const START_TIME: usize = 4;
    /// The first half of the kernel's boot id: start times and the clock mean nothing after a restart.
    pub(crate) const BOOT: usize = 5;
    /// The inode of the process number namespace: numbers of another namespace must not be looked up.
    pub(crate) const NAMESPACE: usize = 6;
    /// When the table was made, nanoseconds of the monotonic clock.
    pub(crate) const CREATED: usize = 7;
    pub(crate) const WAIT_ROWS_USED: usize = 8;
    pub(crate) const OBJECT_ROWS_USED: usize = 9;
    pub(crate) const THREAD_ROWS_USED: usize = 10;
    pub(crate) const TEXT_WORDS_USED: usize = 11;
    /// Waits that found no row.
    pub(crate) const NOT_SHOWN: usize = 12;
    /// Texts that found no room.
    pub(crate) const TEXTS_LOST: usize = 13;
    /// The number of the last question about tasks; the only word that readers write.
    pub(crate) const ASKED: usize = 14;
    /// The number of the last question that was answered.
    pub(crate) const ANSWERED: usize = 15;
    /// How many event loops run that can be asked about.
    pub(crate) const LOOPS: usize = 16;

    /// How many words are in use; the header itself takes a page.
    pub(crate) const USED: usize = 17;
    pub(crate) const WORDS: usize = 512;
}

/// Words of a wait row.
pub(crate) mod wait {
    /// Odd while the row is being written.
    pub(crate) const SEQUENCE: usize = 0;
    pub(crate) const OWNER: usize = 1;
    pub(crate) const NAME: usize = 2;
    pub(crate) const SITE: usize = 3;
    pub(crate) const OBJECT: usize = 4;
    pub(crate) const SINCE: usize = 5;
    /// While the row is free, the next free row instead.
    pub(crate) const HOLDER: usize = 6;
    /// From the lowest bit: reason (8 bits, 0 = the row is free), flags (8), how often the object row had been given
    /// away (16), number of the object row plus one (32, 0 = none).
    pub(crate) const REASON: usize = 7;

    pub(crate) const HAS_TIMEOUT: u64 = 1 << 8;
    pub(crate) const OBJECT_USES_SHIFT: u32 = 16;
    pub(crate) const OBJECT_ROW_SHIFT: u32 = 32;
    pub(crate) const WORDS: usize = 8;
}

/// Words of an object row.
pub(crate) mod object {
    /// Address of the object; 0 = the row is free.
    pub(crate) const ADDRESS: usize = 0;
    pub(crate) const HOLDER: usize = 1;
    /// How often the row was given back: a wait row that points to it with another count means an object that is gone.
    pub(crate) const USES: usize = 2;
    /// While the row is free, the next free row.
    pub(crate) const LINK: usize = 3;
    pub(crate) const WORDS: usize = 4;
}

/// Words of a thread row; the row's number is the thread's slot.
pub(crate) mod thread {
    pub(crate) const NAME: usize = 0;
    /// The kernel's number of the thread; 0 = not known.
    pub(crate) const KERNEL_ID: usize = 1;
    pub(crate) const WORDS: usize = 4;
}

/// A run of equal rows in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region {
    /// The first word of the first row.
    pub(crate) start: usize,
    pub(crate) row_words: usize,
    pub(crate) capacity: u32,
    /// The header word that says how many rows were ever used.
    pub(crate) used: usize,
}

impl Region {
    const fn after(before: Self, row_words: usize, capacity: u32, used: usize) -> Self {
        Self { start: before.end(), row_words, capacity, used }
    }

    pub(crate) const fn end(self) -> usize {
        self.start + self.row_words * self.capacity as usize
    }

    /// The words of a row; the caller has checked `row < capacity`.
    pub(crate) const fn row(self, row: u32) -> Range<usize> {
        let start = self.start + self.row_words * row as usize;
        start..start + self.row_words
    }
}

pub(crate) const WAITS: Region =
    Region { start: header::WORDS, row_words: wait::WORDS, capacity: 65_536, used: header::WAIT_ROWS_USED };
pub(crate) const OBJECTS: Region = Region::after(WAITS, object::WORDS, 65_536, header::OBJECT_ROWS_USED);
pub(crate) const THREADS: Region = Region::after(OBJECTS, thread::WORDS, 65_536, header::THREAD_ROWS_USED);
/// Texts: a length of two bytes, then the bytes, padded to whole words.
pub(crate) const TEXTS: Region = Region::after(THREADS, 1, 524_288, header::TEXT_WORDS_USED);

pub(crate) const FILE_WORDS: usize = TEXTS.end();
pub(crate) const WORD_BYTES: usize = size_of::<u64>();
