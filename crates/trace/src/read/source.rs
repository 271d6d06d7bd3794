//! The words of a table file, each read bounds-checked.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::layout::{WORD_BYTES, header};

/// Where the words of a table come from.
pub(crate) trait Source {
    fn length_bytes(&self) -> io::Result<u64>;
    /// Fills `bytes` from `offset_bytes`; an error when there are not that many.
    fn read_exact_at(&self, bytes: &mut [u8], offset_bytes: u64) -> io::Result<()>;

    /// `count` words from the word number `first`.
    fn words(&self, first: usize, count: usize) -> io::Result<Vec<u64>> {
        let mut bytes = vec![0; count * WORD_BYTES];
        self.read_exact_at(&mut bytes, (first * WORD_BYTES) as u64)?;
        Ok(bytes.chunks_exact(WORD_BYTES).map(word).collect())
    }

    /// As [`Source::words`], for the few words of a row.
    fn row<const COUNT: usize>(&self, first: usize) -> io::Result<[u64; COUNT]> {
        let mut bytes = [[0; WORD_BYTES]; COUNT];
        self.read_exact_at(bytes.as_flattened_mut(), (first * WORD_BYTES) as u64)?;
        Ok(bytes.map(u64::from_ne_bytes))
    }
}

fn word(bytes: &[u8]) -> u64 {
    u64::from_ne_bytes(bytes.try_into().unwrap_or_default())
}

impl Source for File {
    fn length_bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset_bytes: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, bytes, offset_bytes)
    }
}

impl Source for [u8] {
    fn length_bytes(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset_bytes: u64) -> io::Result<()> {
        let start = usize::try_from(offset_bytes).unwrap_or(usize::MAX);
        let end = start.checked_add(bytes.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        bytes.copy_from_slice(self.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Opens a regular file of `user`; nothing that could block or lead elsewhere.
pub(crate) fn open(path: &Path, user: u32) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(i32::try_from(flags.bits()).unwrap_or(0)).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.uid() == user {
        return Ok(file);
    }
    Err(io::Error::other("not a regular file of the process's user"))
}

/// The header's words in use, unchecked; `None` when there are not that many.
pub(crate) fn header_words(path: &Path) -> Option<[u64; header::USED]> {
    open(path, rustix::process::geteuid().as_raw()).ok()?.row(0).ok()
}
