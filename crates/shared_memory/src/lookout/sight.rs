//! What the lookout sees of something that a task waits for.

use std::fmt;
use std::sync::atomic::AtomicU64;

use crate::bell::Place;

/// Something in shared memory that tasks wait for. Those with the same word wait for the same thing.
///
/// Nothing here may wait, or call out: all but [`Sight::look_around`] happens under the lookout's own lock.
pub trait Sight: fmt::Debug + Send + Sync {
    /// The word on whose low half to sleep.
    fn word(&self) -> &AtomicU64;

    /// Says that somebody is about to sleep on the word; whoever calls it looks once more after it.
    fn arm(&self) -> Armed;

    /// Takes that back.
    fn disarm(&self, _armed: Armed) {}

    /// Whether a waiter had better try. May say so in vain, and never overlooks what is there.
    fn look(&self) -> bool;

    /// Once a slice, outside the lookout's lock: does what sleepers do for the others, dead ones among them.
    fn look_around(&self) {}

    /// Wakes somebody else, perhaps of another process: a wake came that nobody here had a use for.
    fn pass_on(&self) {}

    /// Whether what is there is there for all who wait, and not for one.
    fn is_for_all(&self) -> bool {
        false
    }

    /// Whether to go on sleeping for a slice when nobody waits any more: somebody may come back at once.
    fn lingers(&self) -> bool {
        false
    }
}

/// How the word stood when a sleep was announced.
#[derive(Debug)]
pub enum Armed {
    /// Not announced: there was nothing to sleep on.
    Not,
    /// The word is this, and whoever changes it will wake.
    Word(u64),
    /// The same, announced at a bell.
    Announced(Place),
}

impl Armed {
    /// What the word holds while nothing has happened.
    pub(super) fn expected(&self) -> Option<u64> {
        match self {
            Self::Not => None,
            Self::Word(expected) => Some(*expected),
            Self::Announced(place) => Some(place.expected()),
        }
    }
}
