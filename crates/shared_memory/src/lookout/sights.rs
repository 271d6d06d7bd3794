//! The sights of everything that a task can wait for.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use threefold_sys::futex;

use super::sight::{Armed, Sight};
use crate::bell::Bell;
use crate::bounded_semaphore::BoundedSemaphore;
use crate::condition::Condition;
use crate::error::HomeError;
use crate::event::{Event, Moment};
use crate::lock::Lock;
use crate::ownership::Ownership;
use crate::places::Seat;
use crate::queue::Queue;
use crate::reentrant_lock::RLock;
use crate::semaphore::Semaphore;

/// Something that rings.
struct Ringing<T> {
    object: T,
    bell: fn(&T) -> Bell<'_>,
    look: fn(&T) -> bool,
    look_around: fn(&T),
    is_for_all: bool,
}

impl<T> fmt::Debug for Ringing<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Ringing").finish_non_exhaustive()
    }
}

impl<T: Send + Sync> Sight for Ringing<T> {
    fn word(&self) -> &AtomicU64 {
        (self.bell)(&self.object).sequence()
    }

    fn arm(&self) -> Armed {
        Armed::Announced((self.bell)(&self.object).announce())
    }

    fn disarm(&self, armed: Armed) {
        if let Armed::Announced(place) = armed {
            (self.bell)(&self.object).withdraw(place);
        }
    }

    fn look(&self) -> bool {
        (self.look)(&self.object)
    }

    fn look_around(&self) {
        (self.look_around)(&self.object);
    }

    fn pass_on(&self) {
        (self.bell)(&self.object).ring(1);
    }

    fn is_for_all(&self) -> bool {
        self.is_for_all
    }

    fn lingers(&self) -> bool {
        !self.is_for_all
    }
}

/// A lock, free when its word says so.
struct Owned<T> {
    object: T,
    ownership: fn(&T) -> Ownership<'_>,
}

impl<T> fmt::Debug for Owned<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Owned").finish_non_exhaustive()
    }
}

impl<T: Send + Sync> Sight for Owned<T> {
    fn word(&self) -> &AtomicU64 {
        (self.ownership)(&self.object).word()
    }

    fn arm(&self) -> Armed {
        (self.ownership)(&self.object).prepare_to_sleep().map_or(Armed::Not, Armed::Word)
    }

    fn look(&self) -> bool {
        !(self.ownership)(&self.object).holder().is_alive()
    }

    fn pass_on(&self) {
        futex::wake_shared(self.word(), 1);
    }
}

/// A place of one's own, where one is told.
#[derive(Debug)]
struct Seated {
    condition: Condition,
    seat: Seat,
}

impl Sight for Seated {
    fn word(&self) -> &AtomicU64 {
        self.condition.word(self.seat)
    }

    fn arm(&self) -> Armed {
        Armed::Word(self.seat.holder().word())
    }

    fn look(&self) -> bool {
        self.condition.is_told(self.seat)
    }

    fn look_around(&self) {
        self.condition.sweep();
    }
}

/// What became of a home that had an object a moment ago.
type Seen = Result<Arc<dyn Sight>, HomeError>;

impl Lock {
    /// Its release, for tasks.
    ///
    /// # Errors
    /// When somebody wrote over it.
    pub fn sight(&self) -> Seen {
        Ok(Arc::new(Owned { object: Self::attach(self.home().clone())?, ownership: Self::ownership }))
    }
}

impl RLock {
    /// Its release, for tasks.
    ///
    /// # Errors
    /// When somebody wrote over it.
    pub fn sight(&self) -> Seen {
        Ok(Arc::new(Owned { object: Self::attach(self.home().clone())?, ownership: Self::ownership }))
    }
}

impl Semaphore {
    /// Its permits, for tasks.
    ///
    /// # Errors
    /// When somebody wrote over it.
    pub fn sight(&self) -> Seen {
        Ok(Arc::new(Ringing {
            object: Self::attach(self.home().clone())?,
            bell: Self::bell,
            look: |semaphore| semaphore.permits() > 0,
            look_around: |_| {},
            is_for_all: false,
        }))
    }
}

impl BoundedSemaphore {
    /// Its permits, for tasks.
    ///
    /// # Errors
    /// When somebody wrote over it.
    pub fn sight(&self) -> Seen {
        Ok(Arc::new(Ringing {
            object: Self::attach(self.home().clone())?,
            bell: Self::bell,
            look: |semaphore| semaphore.permits() > 0 || semaphore.has_dead_holder(),
            look_around: |_| {},
            is_for_all: false,
        }))
    }
}

impl Event {
    /// Its flag, set now or at any time after `began`, for tasks.
    ///
    /// # Errors
    /// When somebody wrote over it.
    pub fn sight(&self, began: Moment) -> Seen {
        Ok(Arc::new(Ringing {
            object: (Self::attach(self.home().clone())?, began),
            bell: |(event, _)| event.bell(),
            look: |(event, began)| event.was_set_since(*began),
            look_around: |_| {},
            is_for_all: true,
        }))
    }
}

impl Condition {
    /// Being notified in `seat`, for tasks.
    ///
    /// # Errors
    /// When somebody wrote over it.
    pub fn sight(&self, seat: Seat) -> Seen {
        Ok(Arc::new(Seated { condition: Self::attach(self.home().clone())?, seat }))
    }
}

impl Queue {
    /// A message to be taken, for tasks.
    pub fn filled_sight(&self) -> Arc<dyn Sight> {
        Arc::new(Ringing {
            object: self.clone(),
            bell: Self::filled_bell,
            look: |queue| !queue.is_empty() || queue.is_disturbed(),
            look_around: Self::tidy_if_nobody_is_inside,
            is_for_all: false,
        })
    }

    /// Room for a message, for tasks.
    pub fn taken_sight(&self) -> Arc<dyn Sight> {
        Arc::new(Ringing {
            object: self.clone(),
            bell: Self::taken_bell,
            look: |queue| !queue.is_full() || queue.is_disturbed(),
            look_around: |_| {},
            is_for_all: false,
        })
    }

    /// All messages being done, for tasks.
    pub fn done_sight(&self) -> Arc<dyn Sight> {
        Arc::new(Ringing {
            object: self.clone(),
            bell: Self::done_bell,
            look: |queue| queue.unfinished_count() == 0 || queue.is_disturbed(),
            look_around: |_| {},
            is_for_all: true,
        })
    }
}
