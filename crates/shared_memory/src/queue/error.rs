//! What can go wrong with a queue.

use threefold_sys::region::Beyond;

/// How a region contradicts itself. None of these is left behind by a death: somebody wrote over the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// A word outside the region is named.
    #[error("it names a place outside itself")]
    OutOfRange,
    /// The journal holds what is never written to it.
    #[error("its journal is not one")]
    Journal,
    /// The log of messages holds what is not a frame.
    #[error("its log of messages is broken")]
    Log,
    /// The block table contradicts itself.
    #[error("its block table contradicts itself")]
    Blocks,
    /// The lists of blocks are longer than they can be.
    #[error("its lists of blocks do not end")]
    Lists,
    /// The header's sizes do not fit the region.
    #[error("its header names sizes that the region does not have")]
    Geometry,
    /// A message's table of parts contradicts its length.
    #[error("a message's table of parts contradicts its length")]
    Parts,
}

/// Why a queue cannot do what it was asked for. Nothing that was in it is lost, and nothing was put or taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The messages in the queue, with this one, would take more memory than the queue was allowed.
    #[error(
        "a message of {needed_bytes} bytes does not fit: the queue occupies {used_bytes} bytes of at most {cap_bytes}; \
         take messages out, or create it with a larger cap"
    )]
    OutOfMemory {
        /// What the message takes.
        needed_bytes: u64,
        /// What the queue occupies.
        used_bytes: u64,
        /// What it may occupy.
        cap_bytes: u64,
    },
    /// More messages were reported as done than were ever put.
    #[error("more messages were reported as done than were put")]
    TooManyDone,
    /// The descriptor is not that of a queue's region.
    #[error("the descriptor is not a shared queue")]
    NotAQueue,
    /// The region was made by another version of this library, whose layout is another one.
    #[error(
        "the queue has layout version {found}, this library knows version {known}: both processes must use the same"
    )]
    OtherVersion {
        /// The version of the region.
        found: u8,
        /// The version of this library.
        known: u8,
    },
    /// Somebody wrote over the region.
    #[error("the shared queue is damaged: {0}")]
    Damaged(#[from] Damage),
    /// The kernel refused something.
    #[error("the shared queue's memory: {0}")]
    System(#[from] std::io::Error),
}

impl From<Beyond> for QueueError {
    fn from(_beyond: Beyond) -> Self {
        Self::Damaged(Damage::OutOfRange)
    }
}

/// Why a wait at a queue ended without what it waited for.
#[derive(Debug, thiserror::Error)]
pub enum Stop<E> {
    /// The queue cannot do it.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The driver gave up: a signal handler raised.
    #[error("the wait was given up")]
    Driver(E),
}
