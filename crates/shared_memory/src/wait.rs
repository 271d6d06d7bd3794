//! How a thread waits for something in shared memory: look, announce, look again, sleep for a slice. README section 2.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use threefold_sys::clock::Instant;
use threefold_sys::futex;
pub use threefold_sys::futex::Woke;
use threefold_trace::Reason;
pub use threefold_wait::Outcome;
use threefold_wait::look;

use crate::bell::Bell;
use crate::holder::Holder;

/// The longest sleep without another look: what a death between two steps loses is made good after this.
pub const SLICE: Duration = Duration::from_millis(200);

/// Something in shared memory that can be waited for.
pub trait Wait: Sync {
    /// What the wait brings.
    type Output;

    /// Why, for the wait table.
    const REASON: Reason;

    /// What is rung when there may be something.
    fn bell(&self) -> Bell<'_>;

    /// Who has it, if that is one holder; for the wait table.
    fn holder(&self) -> Holder {
        Holder::NOBODY
    }

    /// A look that costs next to nothing and may be wrong, taken many times before the first sleep.
    fn is_promising(&self) -> bool;

    /// Takes what is waited for, if it is there. May wait for a guard, through the driver, but for nothing else.
    ///
    /// # Errors
    /// The driver's; nothing has been taken then.
    fn poll<D: Driver>(&mut self, driver: &mut D) -> Result<Option<Self::Output>, D::Error>;
}

/// Puts a thread to sleep in its surroundings: with an interpreter to let go of, signals to handle, a wait table.
pub trait Driver {
    /// What can end a wait from outside: a signal handler that raised.
    type Error;

    /// Calls `look`, which keeps the processor for some microseconds before the first sleep, and returns its answer.
    /// Lets go of what others need meanwhile.
    fn look(&mut self, look: impl FnOnce() -> bool + Send) -> bool {
        look()
    }

    /// Lets go of what others need, calls [`Nap::sleep`] once, and handles a signal if it was one that ended it.
    ///
    /// # Errors
    /// When the wait must be given up.
    fn park(&mut self, nap: &Nap<'_>) -> Result<(), Self::Error>;
}

/// Sleeps without an interpreter around it; signals are waited through.
#[derive(Debug, Default)]
pub struct Plain;

impl Driver for Plain {
    type Error = std::convert::Infallible;

    fn park(&mut self, nap: &Nap<'_>) -> Result<(), Self::Error> {
        let _look_again = nap.sleep();
        Ok(())
    }
}

/// One sleep of at most a [`SLICE`], prepared: to be taken by a [`Driver`].
#[derive(Debug)]
pub struct Nap<'a> {
    pub(crate) word: &'a AtomicU64,
    pub(crate) expected: u64,
    pub(crate) until: Instant,
    pub(crate) reason: Reason,
    pub(crate) holder: Holder,
    pub(crate) has_timeout: bool,
}

impl Nap<'_> {
    /// Sleeps until woken, interrupted by a signal, or the end of the slice or the deadline. Returns at once when the
    /// word on which it would sleep has changed, so that a wake before the call is never slept over.
    ///
    /// # Blocking
    /// For at most a [`SLICE`].
    pub fn sleep(&self) -> Woke {
        futex::wait_shared(self.word, self.expected, Some(self.until))
    }

    /// Why the thread waits.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Who has what is waited for, if that is one holder.
    pub fn holder(&self) -> Holder {
        self.holder
    }

    /// Whether the wait ends by itself.
    pub fn has_timeout(&self) -> bool {
        self.has_timeout
    }

    /// The word on which it sleeps, and what it holds meanwhile (low halves count): for those who wait for several.
    pub fn word(&self) -> (&AtomicU64, u64) {
        (self.word, self.expected)
    }
}

/// Waits on the calling thread until `wait` is ready, `deadline` passes, or the driver gives up.
///
/// # Blocking
/// Until then. `None` means no deadline. A deadline in the past asks once.
///
/// # Errors
/// The driver's; what this waiter may have been woken for is passed on to another.
pub fn block<W: Wait, D: Driver>(
    wait: &mut W,
    deadline: Option<Instant>,
    driver: &mut D,
) -> Result<Outcome<W::Output>, D::Error> {
    let outcome = look_and_sleep(wait, deadline, driver);
    if outcome.is_err() {
        // A wake, if there was one, was meant for somebody who goes on.
        wait.bell().ring(1);
    }
    outcome
}

fn look_and_sleep<W: Wait, D: Driver>(
    wait: &mut W,
    deadline: Option<Instant>,
    driver: &mut D,
) -> Result<Outcome<W::Output>, D::Error> {
    let mut is_first = true;
    loop {
        if let Some(output) = wait.poll(driver)? {
            return Ok(Outcome::Ready(output));
        }
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Ok(Outcome::TimedOut);
        }
        if std::mem::take(&mut is_first) && driver.look(|| look(|| wait.is_promising())) {
            continue;
        }
        if let Some(output) = sleep_a_slice(wait, deadline, driver)? {
            return Ok(Outcome::Ready(output));
        }
    }
}

/// Announces, looks again, sleeps.
fn sleep_a_slice<W: Wait, D: Driver>(
    wait: &mut W,
    deadline: Option<Instant>,
    driver: &mut D,
) -> Result<Option<W::Output>, D::Error> {
    let place = wait.bell().announce();
    let outcome = wait.poll(driver).and_then(|output| {
        if output.is_none() {
            driver.park(&nap(wait, place.expected(), deadline))?;
        }
        Ok(output)
    });
    wait.bell().withdraw(place);
    outcome
}

fn nap<W: Wait>(wait: &W, expected: u64, deadline: Option<Instant>) -> Nap<'_> {
    Nap {
        word: wait.bell().sequence(),
        expected,
        until: end_of_slice(deadline),
        reason: W::REASON,
        holder: wait.holder(),
        has_timeout: deadline.is_some(),
    }
}

pub(crate) fn end_of_slice(deadline: Option<Instant>) -> Instant {
    let end = Instant::now().after(SLICE);
    deadline.map_or(end, |deadline| deadline.min(end))
}

/// A driver whose signal handler always raises, for tests.
#[cfg(test)]
pub(crate) struct Interrupted;

#[cfg(test)]
impl Driver for Interrupted {
    type Error = ();

    fn park(&mut self, _nap: &Nap<'_>) -> Result<(), ()> {
        Err(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::limit::Limit;

    /// Something that comes after the first look and before the announcement, when nobody is there to be woken.
    struct Late {
        words: [AtomicU64; 2],
        is_there: AtomicU64,
    }

    impl Wait for Late {
        type Output = ();

        const REASON: Reason = Reason::Other;

        fn bell(&self) -> Bell<'_> {
            self.is_there.store(1, Ordering::Relaxed);
            Bell::new(&self.words)
        }

        fn is_promising(&self) -> bool {
            false
        }

        fn poll<D: Driver>(&mut self, _driver: &mut D) -> Result<Option<()>, D::Error> {
            Ok((self.is_there.load(Ordering::Relaxed) == 1).then_some(()))
        }
    }

    #[test]
    fn what_came_before_the_announcement_is_found_after_it() {
        let _limit = Limit::seconds(30);
        let mut late = Late { words: Default::default(), is_there: AtomicU64::new(0) };
        assert_eq!(block(&mut late, None, &mut Interrupted), Ok(Outcome::Ready(())));
        assert_eq!(late.bell().sleeper_count(), 0);
    }

    #[test]
    fn a_wait_that_is_given_up_takes_its_announcement_back() {
        let semaphore = crate::Semaphore::create(crate::Home::test(4096), 0, 1).unwrap();
        assert_eq!(semaphore.acquire(None, &mut Interrupted), Err(()));
        assert_eq!(semaphore.bell().sleeper_count(), 0);
    }
}
