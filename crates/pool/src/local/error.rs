//! What can go wrong with a link.

use threefold_shared_memory::Beyond;
use threefold_shared_memory::ring::{RingDamage, RingError};

/// Why a link cannot do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The ring cannot: it is full, damaged, or a frame is still held.
    #[error("the link to the worker: {0}")]
    Ring(#[from] RingError),
    /// As many jobs are unfinished as there are marks.
    #[error("{unfinished_count} jobs were sent and are not finished: no more can be")]
    TooManyJobs {
        /// How many are unfinished.
        unfinished_count: u64,
    },
    /// A job's number has more bits than its mark has room for.
    #[error("a job cannot have the number {job}")]
    JobNumber {
        /// The number.
        job: u64,
    },
    /// A job was to be begun or finished that is not the one that was taken last.
    #[error("job {job} is not the one that was taken last")]
    NotCurrent {
        /// The number.
        job: u64,
    },
    /// The marks of the jobs contradict the frames: somebody wrote over them.
    #[error("the link to the worker is damaged: its marks contradict its jobs")]
    Marks,
    /// The process that sends the jobs is gone.
    #[error("the pool's process is gone")]
    ParentGone,
    /// The descriptor is not that of a link, or of one of another capacity.
    #[error("the descriptor is not a pool's link of this capacity")]
    NotALink,
    /// Another version of this library made it, whose layout is another one.
    #[error(
        "the link has layout version {found}, this library knows version {known}: both processes must use the same"
    )]
    OtherVersion {
        /// The version of the link.
        found: u8,
        /// The version of this library.
        known: u8,
    },
    /// The kernel refused something.
    #[error("the link to the worker: {0}")]
    System(#[from] std::io::Error),
}

impl From<Beyond> for LinkError {
    fn from(_beyond: Beyond) -> Self {
        Self::Ring(RingDamage::OutOfRange.into())
    }
}

/// Why a worker's wait for a job ended without one.
#[derive(Debug, thiserror::Error)]
pub enum Stop<E> {
    /// The link cannot bring one any more.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The driver gave up: a signal handler raised.
    #[error("the wait was given up")]
    Driver(E),
}
