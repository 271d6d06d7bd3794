//! Where an object lives: a piece of a region, whose first word says what it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use threefold_sys::region::Region;

use crate::error::HomeError;

/// The upper half of every object's first word; changes with the layout of any of them.
const MARK: u64 = 0x3f01_d001 << 32;

/// What lives in a home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Lock = 1,
    RLock = 2,
    Semaphore = 3,
    BoundedSemaphore = 4,
    Condition = 5,
    Event = 6,
    Barrier = 7,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Lock => "Lock",
            Self::RLock => "RLock",
            Self::Semaphore => "Semaphore",
            Self::BoundedSemaphore => "BoundedSemaphore",
            Self::Condition => "Condition",
            Self::Event => "Event",
            Self::Barrier => "Barrier",
        }
    }
}

/// A place in a region that is kept mapped. Objects are as long as their `bytes` says and begin at multiples of 64.
#[derive(Clone, Debug)]
pub struct Home {
    region: Arc<Region>,
    offset_bytes: usize,
}

impl Home {
    /// What offsets must be a multiple of: a cache line, so that objects do not disturb each other.
    pub const ALIGNMENT_BYTES: usize = 64;

    /// The place at `offset_bytes`, a multiple of [`Home::ALIGNMENT_BYTES`]. The region must have grown that far before
    /// an object is made there.
    pub fn new(region: Arc<Region>, offset_bytes: usize) -> Self {
        Self { region, offset_bytes }
    }

    /// The region it is in.
    pub fn region(&self) -> &Arc<Region> {
        &self.region
    }

    /// Where in the region.
    pub fn offset_bytes(&self) -> usize {
        self.offset_bytes
    }

    /// Names what lives there, once its other words are in place. They were zeros before.
    pub(crate) fn found(self, kind: Kind, word_count: usize, values: &[(usize, u64)]) -> Result<Room, HomeError> {
        let room = self.room(word_count)?;
        for &(word, value) in values {
            room.words()[word].store(value, Ordering::Relaxed);
        }
        room.words()[0].store(MARK | kind as u64, Ordering::Release);
        Ok(room)
    }

    /// Finds what another process made there.
    pub(crate) fn find(self, kind: Kind, word_count: usize) -> Result<Room, HomeError> {
        let room = self.room(word_count)?;
        let found = room.words()[0].load(Ordering::Acquire);
        if found == MARK | kind as u64 {
            return Ok(room);
        }
        Err(HomeError::Unexpected { offset_bytes: room.home.offset_bytes, expected: kind.name(), found })
    }

    fn room(self, word_count: usize) -> Result<Room, HomeError> {
        let needed_bytes = word_count.saturating_mul(size_of::<AtomicU64>());
        let is_there = self.region.words_at(self.offset_bytes, word_count).is_ok();
        if is_there && self.offset_bytes % Self::ALIGNMENT_BYTES == 0 {
            let first = self.offset_bytes / size_of::<AtomicU64>();
            return Ok(Room { home: self, first, end: first + word_count });
        }
        Err(HomeError::NoRoom { offset_bytes: self.offset_bytes, needed_bytes })
    }
}

/// A home that is known to be long enough.
#[derive(Debug)]
pub(crate) struct Room {
    home: Home,
    first: usize,
    end: usize,
}

impl Room {
    #[inline]
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // In the region for good since `room` saw it there.
        &self.home.region.words()[self.first..self.end]
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }
}

#[cfg(test)]
impl Home {
    /// A home of its own, for tests.
    pub(crate) fn test(len_bytes: usize) -> Self {
        Self::new(Arc::new(Region::create("test", len_bytes, len_bytes).unwrap()), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_said_by_name() {
        let home = Home::test(4096);
        home.clone().found(Kind::Event, 4, &[(1, 5)]).unwrap();
        assert_eq!(home.clone().find(Kind::Event, 4).unwrap().words()[1].load(Ordering::Relaxed), 5);
        let error = home.clone().find(Kind::Lock, 2).unwrap_err();
        assert!(error.to_string().contains("holds no Lock"), "{error}");
        assert!(matches!(home.clone().find(Kind::Event, 513), Err(HomeError::NoRoom { .. })));
        assert!(Home::new(Arc::clone(home.region()), 8).found(Kind::Event, 1, &[]).is_err());
    }
}
