//! A task's stand at a barrier: what a thread does in one wait, in steps. README section 6.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::barrier::{Arrival, Barrier, Found};
use crate::brief::{Brief, Busy};
use crate::error::{Broken, HomeError};
use crate::holder::Holder;
use crate::lookout::{Armed, Sight};
use crate::places::Seat;
use crate::round::{Note, Phase, Verdict};
use crate::wait::Plain;

/// What a task that arrives at a barrier finds.
#[derive(Clone, Copy, Debug)]
pub enum Standing {
    /// It is broken.
    Broken,
    /// The task is the last one: it must run the action, if any, and then call [`Barrier::open`].
    Last(u64),
    /// The task is a party that waits for the others.
    Inside(Seat),
    /// The last round is not over yet: to come again.
    Outside,
}

impl Barrier {
    /// Arrives, without waiting for the others.
    ///
    /// # Errors
    /// When somebody is changing the barrier all the while: to come again.
    pub fn arrive_now(&self) -> Result<Standing, Busy> {
        let mine = Holder::current();
        Ok(match self.arrive(mine, &mut Brief::new())? {
            Found::Broken => Standing::Broken,
            Found::Last(index) => Standing::Last(index),
            Found::Inside(place) => Standing::Inside(place.seat(mine)),
            Found::Outside(_) => Standing::Outside,
        })
    }

    /// How the round ended for a party; it has left then.
    pub fn verdict(&self, seat: Seat) -> Option<Result<Arrival, Broken>> {
        let place = self.round().places().of(seat);
        if !place.is_told(seat.holder()) {
            return None;
        }
        let note = Note(place.note());
        place.leave(seat.holder());
        Some(match note.verdict() {
            Some(Verdict::Passed) => Ok(Arrival::Passed(note.index())),
            _ => Err(Broken),
        })
    }

    /// A party leaves and is no longer counted, unless the round has ended for it: then that is the answer.
    pub fn leave_seat(&self, seat: Seat) -> Option<Result<Arrival, Broken>> {
        let is_gone = seat.is_inherited() || self.round().places().of(seat).withdraw(seat.holder());
        if is_gone { None } else { self.verdict(seat) }
    }

    /// A party whose time is over leaves, which breaks the barrier, unless the round has ended for it.
    ///
    /// # Blocking
    /// While somebody changes the barrier; for long only if that process is stopped.
    pub fn time_out(&self, seat: Seat) -> Option<Result<Arrival, Broken>> {
        let generation = Note(self.round().places().of(seat).note()).generation();
        let answer = self.leave_seat(seat);
        if answer.is_none() && !seat.is_inherited() {
            match self.enter(&mut Plain) {
                Ok(section) => section.break_round(generation),
                Err(never) => match never {},
            }
        }
        answer
    }

    /// The end of a round, for tasks: of one's own with a seat, of the one before without.
    ///
    /// # Errors
    /// When somebody wrote over it.
    pub fn sight(&self, seat: Option<Seat>) -> Result<Arc<dyn Sight>, HomeError> {
        Ok(Arc::new(Meeting { barrier: Self::attach(self.home().clone())?, seat }))
    }
}

/// A barrier, from a seat in it or from outside.
struct Meeting {
    barrier: Barrier,
    seat: Option<Seat>,
}

impl fmt::Debug for Meeting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Meeting").field("seat", &self.seat).finish_non_exhaustive()
    }
}

impl Sight for Meeting {
    fn word(&self) -> &AtomicU64 {
        let round = self.barrier.round();
        self.seat.map_or_else(|| round.phase_word(), |seat| round.places().of(seat).word())
    }

    fn arm(&self) -> Armed {
        Armed::Word(self.seat.map_or_else(|| self.barrier.round().phase_value(), |seat| seat.holder().word()))
    }

    fn look(&self) -> bool {
        let round = self.barrier.round();
        self.seat.map_or_else(|| round.phase() != Phase::Acting, |seat| round.places().of(seat).is_told(seat.holder()))
    }

    fn look_around(&self) {
        self.barrier.break_if_somebody_died();
    }

    fn is_for_all(&self) -> bool {
        self.seat.is_none()
    }
}
