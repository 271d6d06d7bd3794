//! Makes the region of a queue, and recognises one.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;

use threefold_sys::region::Region;

use super::Options;
use super::error::{Damage, QueueError};
use super::layout::{
    BYTE_CAP_WORD, GRANULES_WORD, Layout, MAGIC, MAGIC_WORD, MESSAGE_CAP_WORD, USED_BYTES, WORD_BYTES,
};
use super::log;
use super::section::Shared;

/// Smaller caps are raised to this: room for a few segments.
const LEAST_BYTE_CAP: u64 = 1 << 20;
/// A cap that needs more address space than there is gets halved, down to this.
const LEAST_SHRUNK_CAP: u64 = 1 << 30;

impl Shared {
    /// A region with an empty queue in it.
    pub(super) fn create(options: &Options) -> Result<Self, QueueError> {
        let mut byte_cap = options.byte_cap.max(LEAST_BYTE_CAP);
        loop {
            let layout = Layout::for_byte_cap(byte_cap);
            let capacity = usize::try_from(layout.region_bytes()).map_err(|_| Damage::Geometry)?;
            let table_end = usize::try_from(layout.bytes_before(0)).map_err(|_| Damage::Geometry)?;
            match Region::create("threefold-queue", capacity, table_end) {
                Ok(region) => return Self::begin(region, layout, byte_cap, options.message_cap),
                Err(error) if error.kind() == io::ErrorKind::OutOfMemory && byte_cap > LEAST_SHRUNK_CAP => {
                    byte_cap = (byte_cap / 2).max(LEAST_SHRUNK_CAP);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn begin(region: Region, layout: Layout, byte_cap: u64, message_cap: Option<u64>) -> Result<Self, QueueError> {
        let message_cap = message_cap.filter(|&cap| cap > 0);
        let shared = Self { region, layout, message_cap };
        let header = [
            (GRANULES_WORD, layout.granule_count() as u64),
            (BYTE_CAP_WORD, byte_cap),
            (MESSAGE_CAP_WORD, message_cap.unwrap_or(0)),
            (MAGIC_WORD, MAGIC),
        ];
        for (word, value) in header {
            shared.word(word).store(value, Ordering::Relaxed);
        }
        let section = shared.enter()?;
        let mut change = section.change();
        log::begin(&mut change, layout);
        change.commit()?;
        drop(section);
        Ok(shared)
    }

    /// The queue in the region behind a descriptor.
    pub(super) fn attach(descriptor: OwnedFd) -> Result<Self, QueueError> {
        let file = File::from(descriptor);
        let header = read_header(&file)?;
        let layout = layout_of(&header)?;
        let capacity = usize::try_from(layout.region_bytes()).map_err(|_| Damage::Geometry)?;
        let region = Region::attach(file.into(), capacity).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => QueueError::NotAQueue,
            _ => error.into(),
        })?;
        let message_cap = Some(header[MESSAGE_CAP_WORD]).filter(|&cap| cap > 0);
        if (region.words().len() as u64) * (WORD_BYTES as u64) < layout.bytes_before(0) {
            return Err(Damage::Geometry.into());
        }
        let shared = Self { region, layout, message_cap };
        if shared.peek(USED_BYTES) > shared.layout.region_bytes() {
            return Err(Damage::Blocks.into());
        }
        Ok(shared)
    }
}

fn read_header(file: &File) -> Result<[u64; 4], QueueError> {
    let mut header = [0; 4];
    for (word, value) in header.iter_mut().enumerate() {
        let mut bytes = [0; WORD_BYTES];
        // Not readable at a place, or too short: a pipe, an empty file.
        file.read_exact_at(&mut bytes, (word * WORD_BYTES) as u64).map_err(|_| QueueError::NotAQueue)?;
        *value = u64::from_ne_bytes(bytes);
    }
    Ok(header)
}

fn layout_of(header: &[u64; 4]) -> Result<Layout, QueueError> {
    let (found, version) = (header[MAGIC_WORD], 0xff);
    if found & !version != MAGIC & !version {
        return Err(QueueError::NotAQueue);
    }
    if found != MAGIC {
        return Err(QueueError::OtherVersion { found: found.to_be_bytes()[7], known: MAGIC.to_be_bytes()[7] });
    }
    Ok(Layout::read(header[GRANULES_WORD])?)
}
