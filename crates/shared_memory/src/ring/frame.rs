//! A frame that was read: it lies in the ring until it is dropped.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use threefold_sys::region::Region;
use threefold_sys::target::{Filled, Target};

use super::error::{RingDamage, RingError};
use super::header::{FIXED_WORDS, Label, header_bytes, part_start};
use super::position::Position;
use super::track::Track;

/// Frames with up to this many parts need no allocation.
const FEW: usize = 3;

/// Where each part lies in its frame: offset and length, checked against the frame's length when it was read.
#[derive(Debug)]
pub(super) enum Parts {
    Few([(usize, usize); FEW], usize),
    Many(Vec<(usize, usize)>),
}

impl Parts {
    /// Reads the lengths behind the header of the frame at `place`.
    pub(super) fn read(region: &Region, place: usize, count: usize, frame_bytes: u64) -> Result<Self, RingError> {
        let lengths = region.words_at(place + FIXED_WORDS * size_of::<u64>(), count)?;
        let mut end = header_bytes(count);
        let mut next = |part_bytes: u64| {
            let start = part_start(end, part_bytes.min(frame_bytes));
            end = start.checked_add(part_bytes).filter(|&end| end <= frame_bytes).ok_or(RingDamage::Parts)?;
            let convert = |number: u64| usize::try_from(number).map_err(|_| RingDamage::Parts);
            Ok::<_, RingDamage>((convert(start)?, convert(part_bytes)?))
        };
        let mut lengths = lengths.iter().map(|word| word.load(Ordering::Relaxed));
        if count > FEW {
            return Ok(Self::Many(lengths.map(next).collect::<Result<_, _>>()?));
        }
        let mut few = [(0, 0); FEW];
        for (part, length) in few.iter_mut().zip(&mut lengths) {
            *part = next(length)?;
        }
        Ok(Self::Few(few, count))
    }

    fn all(&self) -> &[(usize, usize)] {
        match self {
            Self::Few(parts, count) => parts.get(..*count).unwrap_or(parts),
            Self::Many(parts) => parts,
        }
    }
}

/// Gives the frame's memory back to the writer.
#[derive(Debug)]
pub(super) struct Release {
    pub(super) track: Arc<Track>,
    pub(super) head: Position,
    pub(super) read_count: u64,
}

impl Drop for Release {
    fn drop(&mut self) {
        self.track.read_count().store(self.read_count, Ordering::Release);
        // Pairs with the writer's load: it writes here again only after all reading.
        self.track.head().store(self.head.0, Ordering::Release);
    }
}

/// A frame, still in the ring: its parts are copied from there, once, to where they are wanted. Dropping it gives its
/// memory back to the writer.
#[derive(Debug)]
pub struct Frame {
    label: Label,
    place: usize,
    parts: Parts,
    release: Release,
}

impl Frame {
    pub(super) fn new(label: Label, place: usize, parts: Parts, release: Release) -> Self {
        Self { label, place, parts, release }
    }

    /// What kind of frame it is, as the writer said.
    #[inline]
    pub fn kind(&self) -> u8 {
        self.label.kind
    }

    /// The writer's flags.
    #[inline]
    pub fn flags(&self) -> u16 {
        self.label.flags
    }

    /// The job that it is about.
    #[inline]
    pub fn job(&self) -> Option<u64> {
        self.label.job
    }

    /// How many parts it has.
    pub fn part_count(&self) -> usize {
        self.parts.all().len()
    }

    /// How long a part is; `None` when there is no such part.
    pub fn part_bytes(&self, part: usize) -> Option<usize> {
        self.parts.all().get(part).map(|&(_start, len)| len)
    }

    /// Copies a part, from its byte `offset` on, until `target` is full.
    ///
    /// # Errors
    /// When the part is shorter than that, or there is none.
    pub fn read(&self, part: usize, offset: usize, target: &mut [u8]) -> Result<(), RingError> {
        let &(start, len) = self.parts.all().get(part).ok_or(RingError::NoSuchPart)?;
        if offset.checked_add(target.len()).is_none_or(|end| end > len) {
            return Err(RingError::NoSuchPart);
        }
        Ok(self.release.track.region.read_bytes(self.place + start + offset, target)?)
    }

    /// Copies all of a part to where it is wanted.
    ///
    /// # Errors
    /// When there is no such part, or it has another length.
    pub fn read_into<'one>(&self, part: usize, target: Target<'one>) -> Result<Filled<'one>, RingError> {
        let &(start, len) = self.parts.all().get(part).ok_or(RingError::NoSuchPart)?;
        target.fill(self.release.track.region.source(self.place + start, len)?).ok_or(RingError::NoSuchPart)
    }

    /// Copies a part to the end of `target`.
    ///
    /// # Errors
    /// When there is no such part.
    pub fn append(&self, part: usize, target: &mut Vec<u8>) -> Result<(), RingError> {
        let &(start, len) = self.parts.all().get(part).ok_or(RingError::NoSuchPart)?;
        Ok(self.release.track.region.append_bytes(self.place + start, len, target)?)
    }

    /// Gives its memory back to the writer, as dropping it does.
    pub fn done(self) {
        drop(self.release);
    }
}
