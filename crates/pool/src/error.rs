//! Why a pool does not take a job, a map or a chunk.

use thiserror::Error;

use crate::event::StartFailure;

/// Why something was not taken; nothing was changed then.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refused {
    /// The pool was closed or terminated.
    #[error("the pool is closed")]
    Closed,
    /// Workers could not be started, again and again.
    #[error("the pool has no workers: {0}")]
    Broken(StartFailure),
    /// The map is over, or its source was ended or cut.
    #[error("the map takes no more")]
    MapOver,
    /// More was added to a map than was pulled.
    #[error("the map did not ask for more")]
    NotPulled,
}
