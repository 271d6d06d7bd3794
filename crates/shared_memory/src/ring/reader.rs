//! The reading end of a ring.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::error::{RingDamage, RingError};
use super::frame::{Frame, Parts, Release};
use super::header::{FIXED_WORDS, Header, Label, SKIP_BYTES, header_bytes};
use super::position::{ALIGNMENT, Position};
use super::track::Track;

/// Reads frames. One process has it; what it knows of the ring lives in this value only.
#[derive(Debug)]
pub struct Reader {
    track: Arc<Track>,
    /// Behind the last frame that was handed out.
    position: Position,
    /// The writer's position when it was last asked.
    tail: Position,
    read_count: u64,
}

impl Reader {
    pub(super) fn new(track: Track) -> Result<Self, RingError> {
        if track.head().load(Ordering::Acquire) != 0 {
            return Err(RingError::Used);
        }
        Ok(Self { track: Arc::new(track), position: Position(0), tail: Position(0), read_count: 0 })
    }

    /// Whether there is no frame to read.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.position == self.tail && self.track.tail().load(Ordering::Acquire) == self.position.0
    }

    /// The next frame, if there is one. It must be dropped before the next one is asked for.
    ///
    /// # Errors
    /// A damaged ring; [`RingError::FrameInUse`].
    pub fn try_next(&mut self) -> Result<Option<Frame>, RingError> {
        if self.track.head().load(Ordering::Relaxed) != self.position.0 {
            return Err(RingError::FrameInUse);
        }
        if self.position == self.tail {
            // Pairs with the writer's store.
            self.tail = Position(self.track.tail().load(Ordering::Acquire));
            if self.position == self.tail {
                return Ok(None);
            }
        }
        self.take().map(Some)
    }

    fn take(&mut self) -> Result<Frame, RingError> {
        let (start, label, end) = self.find()?;
        let place = self.track.place(start, end.offset() - start.offset())?;
        let parts = Parts::read(&self.track.region, place, label.part_count, end.offset() - start.offset())?;
        self.position = end;
        self.read_count += 1;
        let release = Release { track: Arc::clone(&self.track), head: end, read_count: self.read_count };
        Ok(Frame::new(label, place, parts, release))
    }

    /// Follows a skip, and says where the frame begins and ends.
    fn find(&self) -> Result<(Position, Label, Position), RingError> {
        let mut start = self.position;
        let mut header = self.header(start)?;
        if let Header::Skip { to } = header {
            let is_next = to.segments_after(start.number()) == 1 && to.offset() % ALIGNMENT == 0;
            if !is_next || start.number() == self.tail.number() {
                return Err(RingDamage::Position.into());
            }
            start = to;
            header = self.header(start)?;
        }
        let Header::Frame { label, frame_bytes } = header else { return Err(RingDamage::Frame.into()) };
        let is_last_segment = start.number() == self.tail.number();
        let limit = if is_last_segment { self.tail.offset() } else { self.track.capacity() - SKIP_BYTES };
        let end = start.offset().checked_add(frame_bytes).filter(|&end| end <= limit).ok_or(RingDamage::Frame)?;
        let has_header = header_bytes(label.part_count) <= frame_bytes && frame_bytes % ALIGNMENT == 0;
        if has_header { Ok((start, label, Position::new(start.number(), end))) } else { Err(RingDamage::Frame.into()) }
    }

    fn header(&self, at: Position) -> Result<Header, RingError> {
        let place = self.track.place(at, SKIP_BYTES)?;
        let words = self.track.region.words_at(place, FIXED_WORDS)?;
        Ok(Header::read(words.first_chunk().ok_or(RingDamage::OutOfRange)?)?)
    }
}
