//! From the words of a table to a [`Snapshot`]; nothing in the file is believed before it was checked.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use threefold_sys::clock::Instant;

use super::error::ReadError;
use super::snapshot::{Actor, Snapshot, Waiting};
use super::source::Source;
use crate::layout::{FILE_WORDS, MAGIC, OBJECTS, Region, TEXTS, THREADS, VERSION, WAITS, WORD_BYTES};
use crate::layout::{header, object, thread, wait};
use crate::owner::{Owner, STAYED_BEHIND};
use crate::reason::Reason;
use crate::text::Text;

/// How often a row that changes while it is read is tried again.
const TRIES: usize = 8;

type WaitWords = [u64; wait::WORDS];

/// Decodes a copy of a whole table file; `path` is for the error sentences, `now` tells how long the waits have lasted.
///
/// # Errors
/// [`ReadError`] when the bytes are not a complete table of this version.
pub fn from_bytes(bytes: &[u8], path: &Path, now: Instant) -> Result<Snapshot, ReadError> {
    let header = check_header(bytes, path)?;
    decode(bytes, path, &header, now)
}

/// The words of the header in use.
pub(super) type Header = [u64; header::USED];

/// Reads the header and checks that the file is a complete table of this version.
pub(super) fn check_header(source: &(impl Source + ?Sized), path: &Path) -> Result<Header, ReadError> {
    let unreadable = |error| ReadError::Unreadable { path: path.to_owned(), error };
    let length_bytes = source.length_bytes().map_err(unreadable)?;
    let cut_short = || ReadError::CutShort { path: path.to_owned(), length_bytes };
    // The first word tells a table that was cut from a file that never was one.
    let [magic] = source.row(0).map_err(|_| if length_bytes == 0 { cut_short() } else { foreign(path) })?;
    if magic != MAGIC {
        return Err(foreign(path));
    }
    let [_, version] = source.row(0).map_err(|_| cut_short())?;
    if version != VERSION {
        return Err(ReadError::OtherVersion { path: path.to_owned(), found: version, expected: VERSION });
    }
    if length_bytes < (FILE_WORDS * WORD_BYTES) as u64 {
        return Err(cut_short());
    }
    let words: Header = source.row(0).map_err(unreadable)?;
    for (region, rows) in
        [(WAITS, "wait rows"), (OBJECTS, "object rows"), (THREADS, "thread rows"), (TEXTS, "text words")]
    {
        let used = words[region.used];
        if used > u64::from(region.capacity) {
            let what = format!("it says that {used} {rows} are used, and at most {} can be", region.capacity);
            return Err(ReadError::Damaged { path: path.to_owned(), what });
        }
    }
    Ok(words)
}

fn foreign(path: &Path) -> ReadError {
    ReadError::Foreign(PathBuf::from(path))
}

/// Reads all waits of a table whose header was checked.
pub(super) fn decode(
    source: &(impl Source + ?Sized),
    path: &Path,
    header: &Header,
    now: Instant,
) -> Result<Snapshot, ReadError> {
    let reading = Reading::of(source).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            ReadError::CutShort { path: path.to_owned(), length_bytes: source.length_bytes().unwrap_or(0) }
        }
        _ => ReadError::Unreadable { path: path.to_owned(), error },
    })?;
    let mut waits: Vec<Waiting> = reading.rows.iter().filter_map(|row| reading.waiting(row, now)).collect();
    waits.sort_by_key(|waiting| std::cmp::Reverse(waiting.lasted));
    Ok(Snapshot {
        pid: u32::try_from(header[header::PID]).unwrap_or(0),
        parent_pid: u32::try_from(header[header::PARENT_PID]).unwrap_or(0),
        command: String::new(),
        loops: Some(Vec::new()),
        unreadable_count: reading.unreadable_count + (reading.rows.len() - waits.len()) as u64,
        waits,
        not_shown_count: header[header::NOT_SHOWN],
    })
}

/// A wait row that was read whole.
struct Row {
    words: WaitWords,
    holder: u64,
    is_steady: bool,
}

/// Everything that was read, before names are put to numbers.
struct Reading {
    rows: Vec<Row>,
    unreadable_count: u64,
    threads: Vec<u64>,
    texts: Vec<u64>,
    /// Names of the tasks that wait.
    tasks: HashMap<u64, u64>,
}

impl Reading {
    fn of(source: &(impl Source + ?Sized)) -> io::Result<Self> {
        let mut rows = Vec::new();
        let mut unreadable_count = 0;
        let used = used(source, WAITS)?;
        let all = source.words(WAITS.start, used * wait::WORDS)?;
        let mut kept = Vec::new();
        for (number, glance) in all.chunks_exact(wait::WORDS).enumerate() {
            if glance[wait::SEQUENCE] % 2 == 0 && glance[wait::REASON] == 0 {
                continue;
            }
            let start = WAITS.start + number * wait::WORDS;
            match read_row(source, start)? {
                Some(words) if words[wait::REASON] == 0 => {}
                Some(words) => {
                    kept.push(start);
                    rows.push(Row { words, holder: holder(source, &words)?, is_steady: false });
                }
                None => unreadable_count += 1,
            }
        }
        // The rows came first: the texts and threads they name are there by now.
        let threads = source.words(THREADS.start, self::used(source, THREADS)? * thread::WORDS)?;
        let texts = source.words(TEXTS.start, self::used(source, TEXTS)?)?;
        for (row, start) in rows.iter_mut().zip(kept) {
            let [sequence] = source.row(start + wait::SEQUENCE)?;
            row.is_steady = sequence == row.words[wait::SEQUENCE] && holder(source, &row.words)? == row.holder;
        }
        let tasks = rows.iter().map(|row| (row.words[wait::OWNER], row.words[wait::NAME])).collect();
        Ok(Self { rows, unreadable_count, threads, texts, tasks })
    }

    fn waiting(&self, row: &Row, now: Instant) -> Option<Waiting> {
        let words = &row.words;
        let mut waiter = self.actor(words[wait::OWNER])?;
        waiter.name = self.text(words[wait::NAME]).unwrap_or(waiter.name);
        Some(Waiting {
            waiter,
            reason: Reason::from_byte(words[wait::REASON].to_le_bytes()[0])?,
            object: words[wait::OBJECT],
            holder: self.actor(row.holder),
            what: String::new(),
            lasted: Some(now.since(Instant::from_nanos(words[wait::SINCE]))),
            site: self.text(words[wait::SITE]).unwrap_or_default(),
            has_timeout: words[wait::REASON] & wait::HAS_TIMEOUT != 0,
            is_steady: row.is_steady,
        })
    }

    /// `None` for nobody.
    fn actor(&self, word: u64) -> Option<Actor> {
        let owner = Owner(word).masked();
        if owner.is_nobody() {
            return None;
        }
        if owner.pid().is_some() {
            let (name, thread_name) = (String::new(), String::new());
            return Some(Actor { owner, name, thread_name, kernel_id: 0, stayed_behind: false });
        }
        let row = self.threads.chunks_exact(thread::WORDS).nth(owner.slot() as usize).unwrap_or(&[0; thread::WORDS]);
        let thread_name = self.text(row[thread::NAME]).unwrap_or_default();
        let own_name = self.tasks.get(&owner.0).and_then(|&name| self.text(name));
        let is_task = owner.task_address() != 0;
        Some(Actor {
            owner,
            name: own_name.unwrap_or_else(|| if is_task { String::new() } else { thread_name.clone() }),
            thread_name,
            kernel_id: u32::try_from(row[thread::KERNEL_ID]).unwrap_or(0),
            stayed_behind: word & STAYED_BEHIND != 0,
        })
    }

    /// `None` for no text, and for a handle that leads nowhere.
    fn text(&self, bits: u64) -> Option<String> {
        text_in(&self.texts, bits)
    }
}

/// The thread with this slot, as the table names it.
pub(super) fn thread_actor(source: &(impl Source + ?Sized), slot: u32) -> io::Result<Actor> {
    let threads = source.words(THREADS.start, used(source, THREADS)? * thread::WORDS)?;
    let texts = source.words(TEXTS.start, used(source, TEXTS)?)?;
    let row = threads.chunks_exact(thread::WORDS).nth(slot as usize).unwrap_or(&[0; thread::WORDS]);
    let name = text_in(&texts, row[thread::NAME]).unwrap_or_default();
    let kernel_id = u32::try_from(row[thread::KERNEL_ID]).unwrap_or(0);
    Ok(Actor { owner: Owner::of_slot(slot), thread_name: name.clone(), name, kernel_id, stayed_behind: false })
}

fn text_in(texts: &[u64], bits: u64) -> Option<String> {
    let handle = Text::from_bits(bits);
    let first = handle.first_word() as usize;
    let [low, high, ..] = texts.get(first).filter(|_| first != 0)?.to_ne_bytes();
    let length = usize::from(u16::from_ne_bytes([low, high]));
    let end = first + (length + 2).div_ceil(WORD_BYTES);
    let bytes: Vec<u8> = texts.get(first..end)?.iter().flat_map(|word| word.to_ne_bytes()).collect();
    Some(handle.fill(&String::from_utf8_lossy(bytes.get(2..2 + length)?)))
}

/// How many rows of `region` were ever used, by now.
fn used(source: &(impl Source + ?Sized), region: Region) -> io::Result<usize> {
    let [used] = source.row(region.used)?;
    Ok(usize::try_from(used).unwrap_or(usize::MAX).min(region.capacity as usize))
}

/// A row as it stood at one moment; `None` when it never stood still, or its writer died while writing it.
fn read_row(source: &(impl Source + ?Sized), start: usize) -> io::Result<Option<WaitWords>> {
    for _ in 0..TRIES {
        // Three reads: the kernel copies the words of one read in an order of its own, but one read after the other.
        let [before] = source.row(start + wait::SEQUENCE)?;
        let words: WaitWords = source.row(start)?;
        let [after] = source.row(start + wait::SEQUENCE)?;
        if before == after && words[wait::SEQUENCE] == before && before % 2 == 0 {
            return Ok(Some(words));
        }
    }
    Ok(None)
}

/// The holder word of a wait: its object row's, as long as that row still belongs to the same object, or its own.
fn holder(source: &(impl Source + ?Sized), words: &WaitWords) -> io::Result<u64> {
    let reason = words[wait::REASON];
    let Some(number) = (reason >> wait::OBJECT_ROW_SHIFT).checked_sub(1) else { return Ok(words[wait::HOLDER]) };
    let Some(number) = u32::try_from(number).ok().filter(|&number| number < OBJECTS.capacity) else { return Ok(0) };
    let start = OBJECTS.row(number).start;
    let [holder] = source.row(start + object::HOLDER)?;
    let [uses] = source.row(start + object::USES)?;
    Ok(if uses & 0xffff == reason >> wait::OBJECT_USES_SHIFT & 0xffff { holder } else { 0 })
}
