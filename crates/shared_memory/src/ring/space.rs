//! Where the writer puts the next frame: it stays in few warm pages when the reader keeps up, and grows when it does not.
//!
//! What is unread lies in *segments*: stretches of the area, in the order in which they are read. Behind each is room for
//! the skip that leads to the next one.

use std::collections::VecDeque;

use super::error::{RingDamage, RingError};
use super::header::SKIP_BYTES;
use super::position::Position;

/// Frames stay below this offset while the reader keeps up.
pub(super) const WARM_BYTES: u64 = 64 * 1024;

/// A stretch of the area that holds unread frames, or the place where the next one goes.
#[derive(Clone, Copy, Debug)]
struct Segment {
    start: u64,
    end: u64,
}

/// Where a frame is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placement {
    pub(super) at: Position,
    /// Where a skip to it must be written first.
    pub(super) skip_at: Option<Position>,
    /// The writer's position behind the frame.
    pub(super) tail: Position,
}

/// The writer's knowledge of what is in the area.
#[derive(Debug)]
pub(super) struct Space {
    segments: VecDeque<Segment>,
    /// The number of the first segment.
    first_number: u64,
    capacity: u64,
    /// The current segment may reach to here without another look; at most what it really may.
    limit: u64,
    /// Begun at the start again rather than beyond here; doubles while the reader lags.
    soft_end: u64,
    /// What was ever written to, since it was last given back.
    touched: u64,
}

impl Space {
    pub(super) fn new(capacity: u64) -> Self {
        Self {
            segments: VecDeque::from([Segment { start: 0, end: 0 }]),
            first_number: 0,
            capacity,
            limit: capacity.min(WARM_BYTES),
            soft_end: WARM_BYTES,
            touched: 0,
        }
    }

    fn current(&self) -> Segment {
        self.segments.back().copied().unwrap_or(Segment { start: 0, end: 0 })
    }

    fn current_number(&self) -> u64 {
        self.first_number.wrapping_add(self.segments.len() as u64 - 1)
    }

    pub(super) fn tail(&self) -> Position {
        Position::new(self.current_number(), self.current().end)
    }

    /// Takes note of how far the reader is.
    pub(super) fn refresh(&mut self, head: Position) -> Result<(), RingDamage> {
        let passed = usize::try_from(head.segments_after(self.first_number)).map_err(|_| RingDamage::Position)?;
        let segment = self.segments.get_mut(passed).ok_or(RingDamage::Position)?;
        if !(segment.start..=segment.end).contains(&head.offset()) {
            return Err(RingDamage::Position);
        }
        segment.start = head.offset();
        self.segments.drain(..passed);
        self.first_number = head.number();
        Ok(())
    }

    /// Up to where memory was written to before, and not given back.
    pub(super) fn touched(&self) -> u64 {
        self.touched
    }

    /// What has been written and was not read when the reader was last asked.
    pub(super) fn unread_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.end - segment.start).sum()
    }

    /// Finds room for a frame of `bytes`; asks where the reader is only if it has to. Nothing is changed until `commit`.
    #[inline]
    pub(super) fn place(&mut self, bytes: u64, head: impl FnOnce() -> Position) -> Result<Placement, RingError> {
        let end = self.current().end;
        if end + bytes + SKIP_BYTES <= self.limit { Ok(self.here(bytes)) } else { self.place_with_care(bytes, head()) }
    }

    #[cold]
    fn place_with_care(&mut self, bytes: u64, head: Position) -> Result<Placement, RingError> {
        self.refresh(head)?;
        let needed = bytes.saturating_add(SKIP_BYTES);
        let Segment { start, end } = self.current();
        let is_empty = self.segments.len() == 1 && start == end;
        let free_at_start = self.segments.iter().map(|segment| segment.start).min().unwrap_or(0);
        let others = self.segments.iter().rev().skip(1);
        let reach = others.map(|other| other.start).filter(|&other| other >= end).min().unwrap_or(self.capacity);
        let fits_here = |limit: u64| end.checked_add(needed).is_some_and(|needed_end| needed_end <= limit);

        if is_empty && needed <= free_at_start {
            return Ok(self.elsewhere(0, bytes));
        }
        if fits_here(reach.min(self.soft_end)) {
            // Below the first soft end frames need no look at the reader, if no other segment is in the way.
            self.limit = reach.min(WARM_BYTES);
            return Ok(self.here(bytes));
        }
        // Not for a crumb of room: each segment costs a skip.
        if needed.max(self.soft_end / 4) <= free_at_start {
            return Ok(self.elsewhere(0, bytes));
        }
        if fits_here(reach) {
            self.soft_end = self.soft_end.max((end + needed).next_power_of_two());
            return Ok(self.here(bytes));
        }
        let beyond = self.segments.iter().map(|segment| segment.end).max().unwrap_or(0) + SKIP_BYTES;
        if beyond.checked_add(needed).is_some_and(|needed_end| needed_end <= self.capacity) {
            self.soft_end = self.soft_end.max((beyond + needed).next_power_of_two());
            return Ok(self.elsewhere(beyond, bytes));
        }
        if needed <= free_at_start {
            return Ok(self.elsewhere(0, bytes));
        }
        Err(RingError::Full { needed_bytes: bytes, unread_bytes: self.unread_bytes(), capacity_bytes: self.capacity })
    }

    #[inline]
    fn here(&self, bytes: u64) -> Placement {
        let (number, end) = (self.current_number(), self.current().end);
        Placement { at: Position::new(number, end), skip_at: None, tail: Position::new(number, end + bytes) }
    }

    fn elsewhere(&self, start: u64, bytes: u64) -> Placement {
        let number = self.current_number().wrapping_add(1);
        Placement {
            at: Position::new(number, start),
            skip_at: Some(self.tail()),
            tail: Position::new(number, start + bytes),
        }
    }

    /// The frame was written where it was placed.
    #[inline]
    pub(super) fn commit(&mut self, placement: &Placement) {
        let end = placement.tail.offset();
        self.touched = self.touched.max(end + SKIP_BYTES);
        if placement.skip_at.is_some() {
            let start = placement.at.offset();
            let others = self.segments.iter().map(|other| other.start).filter(|&other| other >= end);
            self.limit = others.min().unwrap_or(self.capacity).min(WARM_BYTES);
            self.segments.push_back(Segment { start, end });
        } else if let Some(current) = self.segments.back_mut() {
            current.end = end;
        }
    }

    /// When everything was read: which part of the area can be given back. It counts as given back afterwards.
    pub(super) fn take_waste(&mut self) -> Option<(u64, u64)> {
        if self.unread_bytes() != 0 || self.touched <= WARM_BYTES {
            return None;
        }
        self.soft_end = WARM_BYTES;
        let waste = (WARM_BYTES, self.touched.min(self.capacity));
        self.touched = WARM_BYTES;
        Some(waste)
    }
}

#[cfg(test)]
#[path = "space_test.rs"]
mod tests;
