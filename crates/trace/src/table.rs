//! This process's table: made at the first wait, anew in a forked child, removed at a clean exit.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use threefold_sys::clock::Instant;
use threefold_sys::fork;
use threefold_sys::map::SharedMap;

use crate::layout::{
    FILE_WORDS, MAGIC, OBJECTS, Region, TEXTS, THREADS, VERSION, WAITS, WORD_BYTES, header, object, wait,
};
use crate::rows::{Reserve, Rows};
use crate::{place, process, question, quit_thread, text, thread_row};

/// How many bytes of a region get their room in the file system at a time.
const STEP_BYTES: usize = 16 * 1024;

/// One table for each fork generation, so that no lock of a parent's is ever met in a child, and a parent's map is
/// never written to. Deeper forks than this have no table.
static TABLES: [OnceLock<Result<Box<Table>, String>>; 256] = [const { OnceLock::new() }; 256];

/// The mapped file and what is needed to hand out its rows.
#[derive(Debug)]
pub(crate) struct Table {
    map: SharedMap,
    path: PathBuf,
    /// Device and inode: whether the file at `path` is still this one.
    identity: (u64, u64),
    generation: u32,
    pub(crate) waits: Rows,
    pub(crate) objects: Rows,
    threads_reserved: AtomicU32,
    texts_reserved: AtomicU32,
    /// Held while room is made in the file.
    growth: Mutex<()>,
}

/// The table of this process, made if there is none; `None` when it could not be made.
#[inline]
pub(crate) fn current() -> Option<&'static Table> {
    match TABLES.get(fork::generation() as usize)?.get() {
        Some(table) => table.as_deref().ok(),
        None => make(),
    }
}

/// The table of this process if there is one, or the sentence that says why it could not be made.
pub(crate) fn existing() -> Option<Result<&'static Table, &'static str>> {
    Some(TABLES.get(fork::generation() as usize)?.get()?.as_deref().map_err(String::as_str))
}

#[cold]
fn make() -> Option<&'static Table> {
    {
        // Held until the table is there for all, so that a text interned meanwhile is not missed.
        let mut store = text::store();
        let texts = store.get_or_insert_default().words();
        let cell = TABLES.get(fork::generation() as usize)?;
        cell.get_or_init(|| Table::make(texts).map(Box::new).map_err(|error| error.to_string()));
    }
    quit_thread::start_if_wanted();
    let table = existing()?.ok()?;
    // After it can be found: a thread that is named meanwhile writes into it itself.
    thread_row::publish_all(table);
    Some(table)
}

/// Removes this process's file; waits that follow are not shown to anyone.
pub fn remove() {
    if let Some(Ok(table)) = existing() {
        if table.is_at_its_path() {
            let _there_may_be_none = fs::remove_file(question::answer_path(&table.path));
            let _gone_meanwhile = fs::remove_file(&table.path);
        }
    }
}

pub(crate) fn count_lost_text() {
    if let Some(Ok(table)) = existing() {
        table.words()[header::TEXTS_LOST].fetch_add(1, Ordering::Relaxed);
    }
}

/// Copies new words of the text store to the file; `false` when there is no room.
pub(crate) fn write_texts(first: usize, words: &[u64]) -> bool {
    match existing() {
        Some(Ok(table)) => table.write_texts(first, words),
        _ => true,
    }
}

impl Table {
    fn make(texts: &[u64]) -> io::Result<Self> {
        place::prepare()?;
        place::sweep();
        let path = place::path_of(std::process::id());
        let unfinished = place::unfinished(&path);
        let _there_was_none = fs::remove_file(&unfinished);
        let map = SharedMap::create(&unfinished, FILE_WORDS)?;
        let table = Self::fill(map, &unfinished, path, texts);
        if table.is_err() {
            let _best_effort = fs::remove_file(&unfinished);
        }
        table
    }

    fn fill(map: SharedMap, unfinished: &Path, path: PathBuf, texts: &[u64]) -> io::Result<Self> {
        let file = open_ours(unfinished)?;
        file.write_all_at(&[0; header::WORDS * WORD_BYTES], 0)?;
        let metadata = file.metadata()?;
        let mut table = Self {
            map,
            path: unfinished.to_owned(),
            identity: (metadata.dev(), metadata.ino()),
            generation: fork::generation(),
            waits: Rows::new(WAITS, wait::HOLDER),
            objects: Rows::new(OBJECTS, object::LINK),
            threads_reserved: AtomicU32::new(0),
            texts_reserved: AtomicU32::new(0),
            growth: Mutex::new(()),
        };
        table.write_header();
        if !table.write_texts(0, texts) {
            return Err(io::Error::other("no room for the wait table's texts"));
        }
        fs::rename(unfinished, &path)?;
        table.path = path;
        Ok(table)
    }

    fn write_header(&self) {
        let pid = std::process::id();
        let stat = process::stat(pid);
        let set = |word: usize, value: u64| self.words()[word].store(value, Ordering::Relaxed);
        set(header::MAGIC, MAGIC);
        set(header::VERSION, VERSION);
        set(header::PID, u64::from(pid));
        set(header::PARENT_PID, u64::from(stat.map_or(0, |stat| stat.parent)));
        set(header::START_TIME, stat.map_or(0, |stat| stat.start_time));
        set(header::BOOT, process::boot());
        set(header::NAMESPACE, process::namespace());
        set(header::CREATED, Instant::now().as_nanos());
    }

    /// Whether this process wrote it; a forked child must leave its parent's alone.
    #[inline]
    pub(crate) fn is_ours(&self) -> bool {
        self.generation == fork::generation()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn header_word(&self, word: usize) -> &AtomicU64 {
        &self.words()[word]
    }

    pub(crate) fn count_not_shown(&self) {
        self.words()[header::NOT_SHOWN].fetch_add(1, Ordering::Relaxed);
    }

    /// The words of a thread's row; `None` when the slot has none.
    pub(crate) fn thread_row(&self, slot: u32) -> Option<&[AtomicU64]> {
        if slot >= THREADS.capacity || !self.reserve(THREADS, &self.threads_reserved, slot) {
            return None;
        }
        self.words()[THREADS.used].fetch_max(u64::from(slot) + 1, Ordering::Relaxed);
        self.words().get(THREADS.row(slot))
    }

    fn write_texts(&self, first: usize, texts: &[u64]) -> bool {
        let end = first + texts.len();
        let Some(last) = u32::try_from(end).ok().and_then(|end| end.checked_sub(1)) else { return true };
        if end > TEXTS.capacity as usize || !self.reserve(TEXTS, &self.texts_reserved, last) {
            return false;
        }
        for (word, &value) in self.words()[TEXTS.start + first..].iter().zip(texts) {
            word.store(value, Ordering::Relaxed);
        }
        // Release: a reader that sees the count sees the texts below it.
        self.words()[TEXTS.used].store(end as u64, Ordering::Release);
        true
    }

    fn is_at_its_path(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity)
    }

    /// Writes zeros from the end of what has room so far up to `row`, so that a full disk is an error here and not a
    /// deadly signal at the first store into the map.
    #[cold]
    fn make_room(&self, region: Region, reserved: &AtomicU32, row: u32) -> io::Result<()> {
        let _one_at_a_time = self.growth.lock().unwrap_or_else(PoisonError::into_inner);
        // The file is opened anew each time: a descriptor that is kept may be closed behind our back by a program that
        // turns itself into a daemon, and its number then belongs to some file of the program.
        let file = open_ours(&self.path)?;
        let metadata = file.metadata()?;
        if (metadata.dev(), metadata.ino()) != self.identity {
            return Err(io::ErrorKind::NotFound.into());
        }
        let row_bytes = region.row_words * WORD_BYTES;
        let step = u32::try_from(STEP_BYTES / row_bytes).unwrap_or(1);
        let mut ready = reserved.load(Ordering::Relaxed);
        while ready <= row {
            let start_bytes = region.start * WORD_BYTES + ready as usize * row_bytes;
            let count = step.min(region.capacity - ready);
            file.write_all_at(&[0; STEP_BYTES][..count as usize * row_bytes], start_bytes as u64)?;
            ready += count;
            reserved.store(ready, Ordering::Release);
        }
        Ok(())
    }
}

impl Reserve for Table {
    #[inline]
    fn words(&self) -> &[AtomicU64] {
        self.map.words()
    }

    #[inline]
    fn reserve(&self, region: Region, reserved: &AtomicU32, row: u32) -> bool {
        row < reserved.load(Ordering::Acquire) || self.make_room(region, reserved, row).is_ok()
    }
}

fn open_ours(path: &Path) -> io::Result<File> {
    let no_link = rustix::fs::OFlags::NOFOLLOW.bits();
    OpenOptions::new().write(true).custom_flags(i32::try_from(no_link).unwrap_or(0)).open(path)
}
