//! A flag between processes, as Python's `multiprocessing.Event`.

use std::sync::atomic::{AtomicU64, Ordering};

use threefold_sys::clock::Instant;
use threefold_trace::Reason;

use crate::bell::Bell;
use crate::error::HomeError;
use crate::home::{Home, Kind, Room};
use crate::wait::{Driver, Outcome, Wait, block};

/// A flag. Whoever waits when it is set is released, even if it is cleared again before they run.
///
/// One word holds the flag (bit 0) and how often it was set (the others), so that a waiter sees that it was set
/// meanwhile, and no death leaves anything half done.
#[derive(Debug)]
pub struct Event(Room);

/// The state of an event at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(u64);

const WORDS: usize = 4;
const STATE: usize = 1;
const BELL: usize = 2;
const SET: u64 = 1;

impl Event {
    /// How much room it takes.
    pub const BYTES: usize = WORDS * size_of::<AtomicU64>();

    /// Makes a cleared event in a home of zeros.
    ///
    /// # Errors
    /// When there is no room.
    pub fn create(home: Home) -> Result<Self, HomeError> {
        Ok(Self(home.found(Kind::Event, WORDS, &[])?))
    }

    /// The event that another process made there.
    ///
    /// # Errors
    /// When there is none.
    pub fn attach(home: Home) -> Result<Self, HomeError> {
        Ok(Self(home.find(Kind::Event, WORDS)?))
    }

    /// Where it is.
    pub fn home(&self) -> &Home {
        self.0.home()
    }

    #[inline]
    fn state(&self) -> &AtomicU64 {
        &self.0.words()[STATE]
    }

    /// What rings when it is set.
    #[inline]
    pub fn bell(&self) -> Bell<'_> {
        let words = self.0.words();
        Bell::of(&words[BELL], &words[BELL + 1])
    }

    /// Whether the flag is set.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.state().load(Ordering::Acquire) & SET != 0
    }

    /// Sets the flag and releases all who wait.
    pub fn set(&self) {
        let _was_set_already = self.state().fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
            (state & SET == 0).then(|| state.wrapping_add(2) | SET)
        });
        // In any case: whoever set it may have died before ringing.
        self.bell().ring_all();
    }

    /// Clears the flag.
    pub fn clear(&self) {
        self.state().fetch_and(!SET, Ordering::AcqRel);
    }

    /// The present.
    pub fn moment(&self) -> Moment {
        Moment(self.state().load(Ordering::Acquire))
    }

    /// Whether the flag is set, or has been since then.
    pub fn was_set_since(&self, began: Moment) -> bool {
        let state = self.state().load(Ordering::Acquire);
        state & SET != 0 || state & !SET != began.0 & !SET
    }

    /// Waits for the flag.
    ///
    /// # Blocking
    /// Until it is set, at most until `deadline`.
    ///
    /// # Errors
    /// The driver's.
    pub fn wait<D: Driver>(&self, deadline: Option<Instant>, driver: &mut D) -> Result<Outcome<()>, D::Error> {
        let began = self.moment();
        block(&mut Set { event: self, began }, deadline, driver)
    }
}

/// Waiting for an [`Event`].
struct Set<'a> {
    event: &'a Event,
    /// The state when the wait began.
    began: Moment,
}

impl Wait for Set<'_> {
    type Output = ();

    const REASON: Reason = Reason::Event;

    fn bell(&self) -> Bell<'_> {
        self.event.bell()
    }

    fn is_promising(&self) -> bool {
        self.event.was_set_since(self.began)
    }

    fn poll<D: Driver>(&mut self, _driver: &mut D) -> Result<Option<()>, D::Error> {
        Ok(self.is_promising().then_some(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Limit;
    use crate::wait::Plain;

    #[test]
    fn a_flag_that_is_cleared_at_once_releases_those_who_waited() {
        let _limit = Limit::seconds(30);
        let home = Home::test(4096);
        let event = Event::create(home.clone()).unwrap();
        assert_eq!(event.wait(Some(Instant::now()), &mut Plain), Ok(Outcome::TimedOut));
        let waiter = std::thread::spawn(move || Event::attach(home).unwrap().wait(None, &mut Plain));
        while event.bell().sleeper_count() == 0 {
            std::thread::yield_now();
        }
        event.set();
        event.clear();
        assert_eq!(waiter.join().unwrap(), Ok(Outcome::Ready(())));
        assert!(!event.is_set());
        event.set();
        event.set();
        assert!(event.is_set());
        assert_eq!(event.wait(None, &mut Plain), Ok(Outcome::Ready(())));
    }
}
