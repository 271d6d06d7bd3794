//! What precedes a frame's parts: three words, and one for the length of each part.

use std::sync::atomic::{AtomicU64, Ordering};

use super::error::RingDamage;
use super::position::{ALIGNMENT, Position};

const WORD_BYTES: u64 = size_of::<AtomicU64>() as u64;

/// Words before the lengths of the parts: what it is, the job, the length of the whole.
pub(super) const FIXED_WORDS: usize = 3;

/// In the first word of every frame and of every skip, which differ in one bit.
const MARK: u64 = 0x3f;
const SKIP_MARK: u64 = 0x7f;

/// Parts from this length on begin at a cache line, so that arrays over them are aligned.
const LONG_PART: u64 = 4096;

/// What a skip takes, and so what is kept free behind every frame.
pub(super) const SKIP_BYTES: u64 = ALIGNMENT;

/// What a frame says of itself.
///
/// The first word: bits 0 to 7 a mark, 8 to 15 the kind, 16 to 31 the flags, 32 to 62 the number of parts, 63 whether
/// there is a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) kind: u8,
    pub(super) flags: u16,
    pub(super) job: Option<u64>,
    pub(super) part_count: usize,
}

/// What stands where a frame may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    Frame {
        label: Label,
        frame_bytes: u64,
    },
    /// The stream goes on elsewhere.
    Skip {
        to: Position,
    },
}

impl Header {
    pub(super) const fn words(self) -> [u64; FIXED_WORDS] {
        match self {
            Self::Frame { label, frame_bytes } => {
                let (has_job, job) = match label.job {
                    Some(job) => (1, job),
                    None => (0, 0),
                };
                let (kind, flags) = (label.kind as u64, label.flags as u64);
                let first = MARK | kind << 8 | flags << 16 | (label.part_count as u64) << 32 | has_job << 63;
                [first, job, frame_bytes]
            }
            Self::Skip { to } => [SKIP_MARK, to.0, SKIP_BYTES],
        }
    }

    pub(super) fn read(words: &[AtomicU64; FIXED_WORDS]) -> Result<Self, RingDamage> {
        let [first, second, third] = words.each_ref().map(|word| word.load(Ordering::Relaxed));
        let byte = |shift: u32| (first >> shift & 0xff) as u8;
        match first & 0xff {
            SKIP_MARK if first == SKIP_MARK && third == SKIP_BYTES => Ok(Self::Skip { to: Position(second) }),
            MARK => {
                let part_count = usize::try_from(first >> 32 & 0x7fff_ffff).map_err(|_| RingDamage::Frame)?;
                let flags = u16::from_le_bytes([byte(16), byte(24)]);
                let job = (first >> 63 == 1).then_some(second);
                Ok(Self::Frame { label: Label { kind: byte(8), flags, job, part_count }, frame_bytes: third })
            }
            _ => Err(RingDamage::Frame),
        }
    }
}

/// How long the header of a frame with this many parts is.
pub(super) const fn header_bytes(part_count: usize) -> u64 {
    (FIXED_WORDS as u64 + part_count as u64) * WORD_BYTES
}

/// Where a part of this length begins if nothing before it reaches beyond `end`.
pub(super) const fn part_start(end: u64, part_bytes: u64) -> u64 {
    end.next_multiple_of(if part_bytes < LONG_PART { WORD_BYTES } else { ALIGNMENT })
}

/// How long a frame is whose last part ends at `end`.
pub(super) const fn frame_bytes(end: u64) -> u64 {
    end.next_multiple_of(ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_back(header: Header) -> Result<Header, RingDamage> {
        Header::read(&header.words().map(AtomicU64::new))
    }

    #[test]
    fn headers_are_read_as_they_were_written() {
        for job in [None, Some(0), Some(u64::MAX)] {
            let label = Label { kind: 255, flags: 0xfe01, job, part_count: 0x7fff_ffff };
            let header = Header::Frame { label, frame_bytes: u64::MAX };
            assert_eq!(read_back(header), Ok(header));
        }
        let skip = Header::Skip { to: Position::new(5, 640) };
        assert_eq!(read_back(skip), Ok(skip));
        assert_eq!(Header::read(&[0, 0, 0].map(AtomicU64::new)), Err(RingDamage::Frame));
    }

    #[test]
    fn a_short_frame_takes_one_line() {
        assert_eq!(frame_bytes(part_start(header_bytes(1), 32) + 32), 64);
        assert_eq!(part_start(header_bytes(2), 5000) % 64, 0);
    }
}
