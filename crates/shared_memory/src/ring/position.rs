//! A place in the stream of frames, in one word: which segment, and where in the ring's area.

/// What frames begin at multiples of: a cache line.
pub(super) const ALIGNMENT: u64 = 64;

const OFFSET_BITS: u32 = 40;
const NUMBER_MASK: u64 = (1 << (64 - OFFSET_BITS)) - 1;

/// The largest area whose places can be named.
pub(super) const MOST_CAPACITY: u64 = 1 << OFFSET_BITS;

/// A segment's number, which counts up and wraps, above an offset in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position(pub(super) u64);

impl Position {
    pub(super) const fn new(number: u64, offset: u64) -> Self {
        Self((number & NUMBER_MASK) << OFFSET_BITS | offset & (MOST_CAPACITY - 1))
    }

    pub(super) const fn number(self) -> u64 {
        self.0 >> OFFSET_BITS
    }

    pub(super) const fn offset(self) -> u64 {
        self.0 & (MOST_CAPACITY - 1)
    }

    /// How many segments it is behind the one with this number.
    pub(super) const fn segments_after(self, number: u64) -> u64 {
        self.number().wrapping_sub(number) & NUMBER_MASK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_wrap_and_offsets_do_not_spill_into_them() {
        let position = Position::new(NUMBER_MASK + 3, MOST_CAPACITY - 64);
        assert_eq!((position.number(), position.offset()), (2, MOST_CAPACITY - 64));
        assert_eq!(position.segments_after(NUMBER_MASK), 3);
        assert_eq!(position.segments_after(2), 0);
    }
}
