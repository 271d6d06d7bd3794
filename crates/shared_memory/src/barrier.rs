//! A meeting point for parties of any processes, as Python's `multiprocessing.Barrier`. README section 6.
//!
//! | phase | an arriving party |
//! |---|---|
//! | filling | takes a place and waits there; the last one makes the phase *acting* and returns [`Arrival::Last`] |
//! | acting | waits outside until the last party has called [`Barrier::open`], or died |
//! | broken | is told so |

use threefold_sys::clock::Instant;
use threefold_trace::Reason;

use crate::error::{Broken, HomeError};
use crate::holder::Holder;
use crate::home::{Home, Kind, Room};
use crate::places::Place;
use crate::round::{self, Note, Phase, Round, Section, Verdict};
use crate::wait::{Driver, Nap, Outcome, end_of_slice};

/// A reusable barrier. It breaks when a party that waits times out or dies, or the one that acts dies.
#[derive(Debug)]
pub struct Barrier(Room);

/// How a party passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Released by the last party; the number says how many had come before.
    Passed(u64),
    /// The last of all: must run the action, if any, and then call [`Barrier::open`].
    Last(u64),
}

/// What an arriving party finds.
pub(crate) enum Found<'a> {
    Broken,
    Last(u64),
    Inside(Place<'a>),
    /// The last round is not over yet.
    Outside(u64),
}

impl Barrier {
    /// How much room a barrier for so many parties takes.
    pub const fn bytes(party_count: usize) -> usize {
        round::word_count(party_count).saturating_mul(8)
    }

    /// Makes a barrier for `party_count` parties in a home of zeros.
    ///
    /// # Errors
    /// When there is no room.
    pub fn create(home: Home, party_count: usize) -> Result<Self, HomeError> {
        let values = [(round::PARTY_COUNT, party_count as u64)];
        Ok(Self(home.found(Kind::Barrier, round::word_count(party_count), &values)?))
    }

    /// The barrier that another process made there.
    ///
    /// # Errors
    /// When there is none.
    pub fn attach(home: Home) -> Result<Self, HomeError> {
        let head = home.clone().find(Kind::Barrier, round::HEAD_WORDS)?;
        let party_count = Round::new(head.words()).party_count();
        Ok(Self(home.find(Kind::Barrier, round::word_count(party_count))?))
    }

    /// Where it is.
    pub fn home(&self) -> &Home {
        self.0.home()
    }

    #[inline]
    pub(crate) fn round(&self) -> Round<'_> {
        Round::new(self.0.words())
    }

    /// Arrives, and waits for the others. A deadline that passes breaks the barrier.
    ///
    /// # Blocking
    /// Until all have come or the barrier is broken; at most until `deadline`, which does not count while the last party
    /// of the round before is acting.
    ///
    /// # Errors
    /// The driver's; the party is no longer counted then.
    pub fn wait<D: Driver>(
        &self,
        deadline: Option<Instant>,
        driver: &mut D,
    ) -> Result<Result<Arrival, Broken>, D::Error> {
        let mine = Holder::current();
        loop {
            match self.arrive(mine, driver)? {
                Found::Broken => return Ok(Err(Broken)),
                Found::Last(index) => return Ok(Ok(Arrival::Last(index))),
                Found::Inside(place) => return self.wait_inside(place, mine, deadline, driver),
                Found::Outside(seen) => {
                    driver.park(&Nap {
                        word: self.round().phase_word(),
                        expected: seen,
                        until: end_of_slice(None),
                        reason: Reason::Barrier,
                        holder: self.round().actor(),
                        has_timeout: deadline.is_some(),
                    })?;
                    self.break_if_somebody_died();
                }
            }
        }
    }

    pub(crate) fn arrive<D: Driver>(&self, mine: Holder, driver: &mut D) -> Result<Found<'_>, D::Error> {
        let section = self.enter(driver)?;
        let round = section.round();
        Ok(match round.phase() {
            Phase::Broken => Found::Broken,
            Phase::Acting => Found::Outside(round.phase_value()),
            Phase::Filling => {
                let (index, arrived_count) = round.next_index();
                if arrived_count + 1 >= round.party_count() {
                    section.begin_to_act(mine);
                    Found::Last(index)
                } else {
                    // No place left: those who passed in earlier rounds have not been running since.
                    let note = Note::waiting(round.generation(), index);
                    let outside = Found::Outside(round.phase_value());
                    round.places().take(mine, note.0).map_or(outside, Found::Inside)
                }
            }
        })
    }

    fn wait_inside<D: Driver>(
        &self,
        place: Place<'_>,
        mine: Holder,
        deadline: Option<Instant>,
        driver: &mut D,
    ) -> Result<Result<Arrival, Broken>, D::Error> {
        let generation = Note(place.note()).generation();
        let outcome = place.wait(mine, Reason::Barrier, deadline, driver, || self.break_if_somebody_died());
        if place.withdraw(mine) {
            outcome?;
            self.enter(driver)?.break_round(generation);
            return Ok(Err(Broken));
        }
        // Told, perhaps at the last moment: then it has passed, or is broken.
        let note = Note(place.note());
        place.leave(mine);
        outcome?;
        Ok(match note.verdict() {
            Some(Verdict::Passed) => Ok(Arrival::Passed(note.index())),
            _ => Err(Broken),
        })
    }

    pub(crate) fn enter<D: Driver>(&self, driver: &mut D) -> Result<Section<'_>, D::Error> {
        loop {
            if let Outcome::Ready(section) = self.round().enter_with(driver)? {
                return Ok(section);
            }
        }
    }

    /// By the last party: releases the others and makes the barrier ready for the next round.
    pub fn open(&self) {
        self.round().enter().open();
    }

    /// Breaks the barrier: all who wait and all who come are told.
    pub fn abort(&self) {
        self.round().enter().break_up();
    }

    /// Makes the barrier as new; all who wait are told that it was broken.
    pub fn reset(&self) {
        self.round().enter().reset();
    }

    /// Breaks it for those who wait in vain. Once a slice one of them looks.
    pub(crate) fn break_if_somebody_died(&self) {
        let round = self.round();
        if round.places().is_sweep_due() && round.is_somebody_dead() {
            if let Some(section) = round.try_take_over() {
                section.bury();
            }
        }
    }

    /// How many parties it takes.
    pub fn party_count(&self) -> usize {
        self.round().party_count()
    }

    /// How many wait now.
    pub fn waiting_count(&self) -> usize {
        let round = self.round();
        if round.phase() == Phase::Filling { round.arrived_count() } else { 0 }
    }

    /// Whether it is broken.
    pub fn is_broken(&self) -> bool {
        self.round().phase() == Phase::Broken
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::limit::Limit;
    use crate::wait::{Interrupted, Plain};

    fn barrier(party_count: usize) -> Barrier {
        Barrier::create(Home::test(Barrier::bytes(party_count)), party_count).unwrap()
    }

    #[test]
    fn every_round_gives_each_party_a_number_of_its_own() {
        let _limit = Limit::seconds(30);
        let barrier = Arc::new(barrier(3));
        let parties = (0..3).map(|_| {
            let barrier = Arc::new(Barrier::attach(barrier.home().clone()).unwrap());
            std::thread::spawn(move || {
                let rounds = (0..200).map(|_| match barrier.wait(None, &mut Plain).unwrap().unwrap() {
                    Arrival::Passed(index) => index,
                    Arrival::Last(index) => {
                        barrier.open();
                        index
                    }
                });
                rounds.collect::<Vec<_>>()
            })
        });
        let parties: Vec<_> = parties.collect();
        let numbers: Vec<_> = parties.into_iter().map(|party| party.join().unwrap()).collect();
        for round in 0..200 {
            let mut indices: Vec<_> = numbers.iter().map(|party| party[round]).collect();
            indices.sort_unstable();
            assert_eq!(indices, [0, 1, 2]);
        }
    }

    #[test]
    fn a_deadline_breaks_it_and_a_reset_mends_it() {
        let _limit = Limit::seconds(30);
        let barrier = barrier(2);
        let deadline = Some(Instant::now().after(Duration::from_millis(5)));
        assert_eq!(barrier.wait(deadline, &mut Plain), Ok(Err(Broken)));
        assert!(barrier.is_broken());
        assert_eq!(barrier.wait(None, &mut Plain), Ok(Err(Broken)));
        barrier.reset();
        assert!(!barrier.is_broken());
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| barrier.wait(None, &mut Plain));
            while barrier.waiting_count() == 0 {
                std::thread::yield_now();
            }
            barrier.abort();
            assert_eq!(waiter.join().unwrap(), Ok(Err(Broken)));
        });
    }

    #[test]
    fn a_party_that_was_not_told_yet_of_the_end_of_its_round_does_not_wait_in_the_next() {
        let barrier = barrier(3);
        let earlier = Note::waiting(barrier.round().generation().wrapping_sub(1) & 0xff, 0);
        let place = barrier.round().places().take(Holder::current(), earlier.0).unwrap();
        assert_eq!(barrier.waiting_count(), 0);
        place.leave(Holder::current());
    }

    #[test]
    fn a_party_that_is_interrupted_is_no_longer_counted() {
        let _limit = Limit::seconds(30);
        let barrier = barrier(2);
        assert_eq!(barrier.wait(None, &mut Interrupted), Err(()));
        assert_eq!((barrier.waiting_count(), barrier.is_broken()), (0, false));
        std::thread::scope(|scope| {
            let first = scope.spawn(|| barrier.wait(None, &mut Plain));
            while barrier.waiting_count() == 0 {
                std::thread::yield_now();
            }
            assert_eq!(barrier.wait(None, &mut Plain), Ok(Ok(Arrival::Last(1))));
            barrier.open();
            assert_eq!(first.join().unwrap(), Ok(Ok(Arrival::Passed(0))));
        });
    }

    #[test]
    fn the_next_round_begins_when_the_last_party_has_acted() {
        let _limit = Limit::seconds(30);
        let barrier = barrier(1);
        assert_eq!(barrier.wait(None, &mut Plain), Ok(Ok(Arrival::Last(0))));
        std::thread::scope(|scope| {
            let next = scope.spawn(|| barrier.wait(None, &mut Plain));
            barrier.open();
            assert_eq!(next.join().unwrap(), Ok(Ok(Arrival::Last(0))));
        });
    }
}
