//! The writing end of a ring.

use std::sync::atomic::Ordering;

use threefold_sys::source::Source;

use super::error::{RingDamage, RingError};
use super::header::{FIXED_WORDS, Header, Label, SKIP_BYTES, frame_bytes, header_bytes, part_start};
use super::position::Position;
use super::space::{Placement, Space, WARM_BYTES};
use super::track::Track;

/// More parts than this a header cannot count.
const MOST_PARTS: usize = 0x7fff_ffff;

/// From this length on, what goes to memory that was not touched yet is written by a system call: a page fault for each
/// page costs two to four times as much. Memory that has been written to before is faster through the mapping, by as much.
const LONG_WRITE: usize = 32 * 1024;

/// Writes frames. One process has it; what it knows of the ring lives in this value only.
#[derive(Debug)]
pub struct Writer {
    track: Track,
    space: Space,
    written_count: u64,
}

impl Writer {
    pub(super) fn new(track: Track) -> Result<Self, RingError> {
        if track.tail().load(Ordering::Acquire) != 0 {
            return Err(RingError::Used);
        }
        let space = Space::new(track.capacity());
        Ok(Self { track, space, written_count: 0 })
    }

    /// Appends a frame; the reader can see it when this returns, and not before.
    ///
    /// # Errors
    /// [`RingError::Full`] when the ring's capacity would be passed; a damaged ring; what the kernel says. Nothing was
    /// appended then.
    pub fn write(&mut self, kind: u8, flags: u16, job: Option<u64>, parts: &[Source<'_>]) -> Result<(), RingError> {
        let lengths = parts.iter().map(|part| part.len() as u64);
        let (track, capacity_bytes) = (&self.track, self.track.capacity());
        let mut end = header_bytes(parts.len());
        for len in lengths {
            // Not further than needed to be refused: it cannot overflow.
            end = part_start(end.min(capacity_bytes), len).saturating_add(len);
        }
        if parts.len() > MOST_PARTS || end > capacity_bytes {
            let unread_bytes = self.space.unread_bytes();
            return Err(RingError::Full { needed_bytes: end, unread_bytes, capacity_bytes });
        }
        let needed_bytes = frame_bytes(end);
        let placement = self.space.place(needed_bytes, || Position(track.head().load(Ordering::Acquire)))?;
        let label = Label { kind, flags, job, part_count: parts.len() };
        self.fill(&placement, Header::Frame { label, frame_bytes: needed_bytes }, parts)?;
        self.space.commit(&placement);
        self.written_count += 1;
        // Pairs with the reader's load: who sees the position sees the frame.
        self.track.tail().store(placement.tail.0, Ordering::Release);
        Ok(())
    }

    fn fill(&self, placement: &Placement, header: Header, parts: &[Source<'_>]) -> Result<(), RingError> {
        let start = self.track.place(placement.at, placement.tail.offset() - placement.at.offset())?;
        self.put_words(start, header, parts.iter().map(|part| part.len() as u64))?;
        let mut end = header_bytes(parts.len());
        for part in parts {
            let offset = part_start(end, part.len() as u64);
            end = offset + part.len() as u64;
            let at = placement.at.offset() + offset;
            let used_bytes = usize::try_from(self.space.touched().saturating_sub(at)).unwrap_or(usize::MAX);
            let (used, fresh) = part.split_at(used_bytes.min(part.len()));
            let place = start + usize::try_from(offset).map_err(|_| RingDamage::OutOfRange)?;
            self.track.region.write(place, used)?;
            self.put_fresh(place + used.len(), fresh)?;
        }
        if let Some(skip_at) = placement.skip_at {
            self.put_words(
                self.track.place(skip_at, SKIP_BYTES)?,
                Header::Skip { to: placement.at },
                std::iter::empty(),
            )?;
        }
        Ok(())
    }

    fn put_words(
        &self,
        start: usize,
        header: Header,
        lengths: impl ExactSizeIterator<Item = u64>,
    ) -> Result<(), RingError> {
        let words = self.track.region.words_at(start, FIXED_WORDS + lengths.len())?;
        let values = header.words().into_iter().chain(lengths);
        words.iter().zip(values).for_each(|(word, value)| word.store(value, Ordering::Relaxed));
        Ok(())
    }

    fn put_fresh(&self, start: usize, bytes: Source<'_>) -> Result<(), RingError> {
        let region = &self.track.region;
        if bytes.len() < LONG_WRITE { Ok(region.write(start, bytes)?) } else { Ok(region.write_cold(start, bytes)?) }
    }

    /// How many frames the reader has not read yet.
    ///
    /// # Errors
    /// A damaged ring.
    pub fn unread_count(&self) -> Result<u64, RingError> {
        let read_count = self.track.read_count().load(Ordering::Acquire);
        self.written_count.checked_sub(read_count).ok_or(RingError::Damaged(RingDamage::Position))
    }

    /// How many bytes the reader has not read yet, headers included.
    ///
    /// # Errors
    /// A damaged ring.
    pub fn unread_bytes(&mut self) -> Result<u64, RingError> {
        self.space.refresh(Position(self.track.head().load(Ordering::Acquire)))?;
        Ok(self.space.unread_bytes())
    }

    /// Gives memory back to the system, up to 64 KiB, if everything was read; says whether it was.
    ///
    /// # Errors
    /// A damaged ring; what the kernel says.
    pub fn tidy(&mut self) -> Result<bool, RingError> {
        if self.unread_bytes()? != 0 {
            return Ok(false);
        }
        if let Some((start, end)) = self.space.take_waste() {
            let place = self.track.place(Position::new(0, start), end - start)?;
            let len = usize::try_from(end - start).map_err(|_| RingDamage::OutOfRange)?;
            self.track.region.punch(place, len)?;
        }
        Ok(true)
    }

    /// Memory that a ring keeps after [`Writer::tidy`], in bytes, to within a few pages.
    pub const TIDY_BYTES: u64 = WARM_BYTES;
}
