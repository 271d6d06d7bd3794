//! The waiting half of a condition variable between processes, as Python's `multiprocessing.Condition`; its lock is the
//! caller's. README section 4.

use std::sync::atomic::{AtomicU64, Ordering};

use threefold_sys::clock::Instant;
use threefold_trace::Reason;

use crate::error::{HomeError, TooManyWaiters};
use crate::holder::Holder;
use crate::home::{Home, Kind, Room};
use crate::places::{Place, Places, Seat, Seen};
use crate::wait::{Driver, Outcome};

/// Waiters to be notified, in the order in which they came.
///
/// A caller enrolls while it still holds its lock; then it releases the lock and waits. So a notification by whoever
/// takes the lock next cannot be missed.
#[derive(Debug)]
pub struct Condition(Room);

const LIMIT: usize = 1;
const TICKETS: usize = 2;
const PLACES: usize = 3;

impl Condition {
    /// How many can wait if nobody says otherwise: more than a machine has processes.
    pub const WAITERS: usize = 32_768;

    /// How much room a condition for `waiter_limit` waiters takes; memory is only taken for as many as ever wait at once.
    pub const fn bytes(waiter_limit: usize) -> usize {
        Self::words(waiter_limit).saturating_mul(size_of::<AtomicU64>())
    }

    const fn words(waiter_limit: usize) -> usize {
        PLACES.saturating_add(Places::words(waiter_limit))
    }

    /// Makes a condition for `waiter_limit` waiters in a home of zeros.
    ///
    /// # Errors
    /// When there is no room.
    pub fn create(home: Home, waiter_limit: usize) -> Result<Self, HomeError> {
        let values = [(LIMIT, waiter_limit as u64)];
        Ok(Self(home.found(Kind::Condition, Self::words(waiter_limit), &values)?))
    }

    /// The condition that another process made there.
    ///
    /// # Errors
    /// When there is none.
    pub fn attach(home: Home) -> Result<Self, HomeError> {
        let head = home.clone().find(Kind::Condition, PLACES)?;
        let waiter_limit = usize::try_from(head.words()[LIMIT].load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        Ok(Self(home.find(Kind::Condition, Self::words(waiter_limit))?))
    }

    /// Where it is.
    pub fn home(&self) -> &Home {
        self.0.home()
    }

    fn places(&self) -> Places<'_> {
        Places::new(&self.0.words()[PLACES..])
    }

    /// Stands in line from now on; with the lock held.
    ///
    /// # Errors
    /// When the line is full.
    pub fn enroll(&self) -> Result<Enrolled<'_>, TooManyWaiters> {
        let mine = Holder::current();
        let ticket = self.0.words()[TICKETS].fetch_add(1, Ordering::Relaxed);
        let place = self.places().take(mine, ticket)?;
        Ok(Enrolled { condition: self, place: Some(place), mine })
    }

    /// As [`Condition::enroll`], for a task.
    ///
    /// # Errors
    /// When the line is full.
    pub fn take_seat(&self) -> Result<Seat, TooManyWaiters> {
        let mine = Holder::current();
        let ticket = self.0.words()[TICKETS].fetch_add(1, Ordering::Relaxed);
        Ok(self.places().take(mine, ticket)?.seat(mine))
    }

    /// What a task that has this seat sleeps on.
    pub(crate) fn word(&self, seat: Seat) -> &AtomicU64 {
        self.places().of(seat).word()
    }

    /// Whether the task was notified.
    pub fn is_told(&self, seat: Seat) -> bool {
        self.places().of(seat).is_told(seat.holder())
    }

    /// Leaves the line; whether the task had been notified, at the last moment even.
    pub fn leave_seat(&self, seat: Seat) -> bool {
        !seat.is_inherited() && self.places().of(seat).leave(seat.holder())
    }

    /// Leaves the line, and passes a notification on.
    pub fn give_up_seat(&self, seat: Seat) {
        if !seat.is_inherited() {
            drop(Enrolled { condition: self, place: Some(self.places().of(seat)), mine: seat.holder() });
        }
    }

    /// Notifies up to `limit` waiters and returns how many there were. With the lock held.
    pub fn notify(&self, limit: usize) -> usize {
        self.in_line().iter().filter(|waiter| waiter.tell()).take(limit).count()
    }

    /// How many wait and have not been notified.
    pub fn waiter_count(&self) -> usize {
        self.places().seen().filter(|waiter| !waiter.is_told).count()
    }

    /// Those who wait, first come first.
    fn in_line(&self) -> Vec<Seen<'_>> {
        let mut waiters: Vec<_> = self.places().seen().filter(|waiter| !waiter.is_told).collect();
        waiters.sort_unstable_by_key(|waiter| waiter.note);
        waiters
    }

    /// Passes on what the dead were told and did not live to hear.
    pub(crate) fn sweep(&self) {
        if !self.places().is_sweep_due() {
            return;
        }
        for dead in self.places().seen().filter(|waiter| waiter.is_told && !waiter.holder.is_alive()) {
            // Passed on first, freed after it: should this process die in between, two are told what was meant for one,
            // which a waiter must expect; the other way round, nobody would be.
            self.notify_one_who_lives();
            dead.free();
        }
    }

    fn notify_one_who_lives(&self) {
        for waiter in self.in_line() {
            if !waiter.holder.is_alive() {
                waiter.free();
            } else if waiter.tell() {
                return;
            }
        }
    }
}

/// A place in the line of a [`Condition`]; dropping it leaves the line and passes a notification on.
#[derive(Debug)]
#[must_use = "dropping this leaves the line"]
pub struct Enrolled<'a> {
    condition: &'a Condition,
    place: Option<Place<'a>>,
    mine: Holder,
}

impl Enrolled<'_> {
    /// Waits to be notified; without the lock, on the thread that enrolled.
    ///
    /// # Blocking
    /// Until then, at most until `deadline`.
    ///
    /// # Errors
    /// The driver's; a notification that came is passed on.
    pub fn wait<D: Driver>(mut self, deadline: Option<Instant>, driver: &mut D) -> Result<Outcome<()>, D::Error> {
        let Some(place) = self.place else { return Ok(Outcome::TimedOut) };
        let look_around = || self.condition.sweep();
        place.wait(self.mine, Reason::Condition, deadline, driver, look_around)?;
        self.place = None;
        // At the last moment counts: it would be lost otherwise.
        Ok(if place.leave(self.mine) { Outcome::Ready(()) } else { Outcome::TimedOut })
    }
}

impl Drop for Enrolled<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            // Passed on before the place is left, for the case that this process dies in between.
            let is_passed_on = place.is_told(self.mine) && self.condition.notify(1) > 0;
            if place.leave(self.mine) && !is_passed_on {
                self.condition.notify(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Limit;
    use crate::wait::{Interrupted, Plain};

    /// A condition and what other threads are enrolled in it with.
    fn condition() -> Condition {
        Condition::create(Home::test(Condition::bytes(64)), 64).unwrap()
    }

    #[test]
    fn those_who_came_first_are_notified_first() {
        let _limit = Limit::seconds(30);
        let condition = condition();
        let (first, second, third) =
            (condition.enroll().unwrap(), condition.enroll().unwrap(), condition.enroll().unwrap());
        assert_eq!((condition.waiter_count(), condition.notify(2)), (3, 2));
        assert_eq!(third.wait(Some(Instant::now()), &mut Plain), Ok(Outcome::TimedOut));
        assert_eq!(second.wait(None, &mut Plain), Ok(Outcome::Ready(())));
        assert_eq!(first.wait(None, &mut Plain), Ok(Outcome::Ready(())));
        assert_eq!((condition.waiter_count(), condition.notify(1)), (0, 0));
    }

    #[test]
    fn who_gives_up_passes_its_notification_on() {
        let _limit = Limit::seconds(30);
        let condition = condition();
        let (first, second) = (condition.enroll().unwrap(), condition.enroll().unwrap());
        condition.notify(1);
        drop(first);
        assert_eq!(second.wait(None, &mut Plain), Ok(Outcome::Ready(())));
        let (first, second) = (condition.enroll().unwrap(), condition.enroll().unwrap());
        assert_eq!(first.wait(None, &mut Interrupted), Err(()));
        condition.notify(1);
        assert_eq!(second.wait(None, &mut Plain), Ok(Outcome::Ready(())));
    }

    #[test]
    fn a_full_line_is_an_error_and_the_dead_are_cleared_out_of_a_long_one() {
        let _limit = Limit::seconds(30);
        let condition = condition();
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let dead = Holder::test(child.id(), child.id(), 1);
        child.wait().unwrap();
        for _ in 0..32 {
            let _leaked = condition.places().take(dead, 0).unwrap();
        }
        let living: Vec<_> = (0..32).map(|_| condition.enroll().unwrap()).collect();
        assert_eq!(condition.waiter_count(), 32);
        drop(living);
        let all: Vec<_> = (0..64).map(|_| condition.enroll().unwrap()).collect();
        assert_eq!(condition.enroll().err(), Some(TooManyWaiters { limit: 64 }));
        drop(all);
    }

    #[test]
    fn a_dead_waiter_swallows_no_notification() {
        let _limit = Limit::seconds(30);
        let condition = condition();
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let dead = Holder::test(child.id(), child.id(), 1);
        child.wait().unwrap();
        for _ in 0..5 {
            let _leaked = condition.places().take(dead, 0).unwrap();
        }
        let living = condition.enroll().unwrap();
        assert_eq!(condition.notify(1), 1);
        assert_eq!(living.wait(None, &mut Plain), Ok(Outcome::Ready(())));
        assert_eq!(condition.waiter_count(), 0);
    }
}
