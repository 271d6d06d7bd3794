//! What can go wrong with a ring.

use threefold_sys::region::Beyond;

/// How a ring contradicts itself. None of these is left behind by a death: somebody wrote over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RingDamage {
    /// A place outside the ring is named.
    #[error("it names a place outside itself")]
    OutOfRange,
    /// The reader's or the writer's position is one at which it cannot be.
    #[error("its positions contradict each other")]
    Position,
    /// What should be a frame is none.
    #[error("it holds something that is no frame")]
    Frame,
    /// A frame's parts are longer than the frame.
    #[error("a frame's parts contradict its length")]
    Parts,
}

/// Why a ring cannot do what it was asked for. Nothing was written or taken, and nothing that was in it is lost.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// The frame does not fit behind those that the reader has not read.
    #[error(
        "a frame of {needed_bytes} bytes does not fit: {unread_bytes} bytes wait to be read, and the ring has room for \
         {capacity_bytes}"
    )]
    Full {
        /// What the frame takes.
        needed_bytes: u64,
        /// What has been written and not read.
        unread_bytes: u64,
        /// How much the ring can hold.
        capacity_bytes: u64,
    },
    /// The next frame was asked for while the one before is still held.
    #[error("the frame before is still held")]
    FrameInUse,
    /// The ring was to be written, or read, by a second one.
    #[error("the ring has been used already")]
    Used,
    /// There is no such part, or it is shorter than what was asked for.
    #[error("the frame has no such part")]
    NoSuchPart,
    /// Somebody wrote over the ring.
    #[error("the ring is damaged: {0}")]
    Damaged(#[from] RingDamage),
    /// The kernel refused something.
    #[error("the ring's memory: {0}")]
    System(#[from] std::io::Error),
}

impl From<Beyond> for RingError {
    fn from(_beyond: Beyond) -> Self {
        Self::Damaged(RingDamage::OutOfRange)
    }
}
