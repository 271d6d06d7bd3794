//! Drives a wait on a thread: poll, park, poll again.

use threefold_sys::clock::Instant;

use crate::ticket::{Ticket, Wait, Withdrawal};
use crate::waiter::{Parked, Waiter};

/// How a blocking wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// With what was waited for.
    Ready(T),
    /// The deadline passed.
    TimedOut,
}

/// Parks a thread in its surroundings: with an interpreter to let go of, signals to handle, a wait table to fill in.
pub trait Driver {
    /// What can end a wait from outside: a signal handler that raised.
    type Error;

    /// Parks until told or `deadline`; handles interrupts itself, and may return `Woken` for nothing.
    ///
    /// # Errors
    /// When the wait must be given up.
    fn park(&mut self, waiter: &Waiter, deadline: Option<Instant>) -> Result<Parked, Self::Error>;
}

/// Parks a thread that has no interpreter around it; interrupts are waited through.
#[derive(Debug, Default)]
pub struct Plain;

impl Driver for Plain {
    type Error = std::convert::Infallible;

    fn park(&mut self, waiter: &Waiter, deadline: Option<Instant>) -> Result<Parked, Self::Error> {
        Ok(waiter.park(deadline))
    }
}

/// Waits on the calling thread until `wait` is ready, `deadline` passes, or the driver gives up. The ticket is a
/// thread's; it may be queued already.
///
/// # Blocking
/// Until then. `None` means no deadline.
///
/// # Errors
/// The driver's; the wait has been withdrawn then, and what it had been granted was handed on.
pub fn block<W: Wait, D: Driver>(
    wait: &mut W,
    ticket: &mut Ticket,
    deadline: Option<Instant>,
    driver: &mut D,
) -> Result<Outcome<W::Output>, D::Error> {
    loop {
        if let Some(output) = wait.poll(ticket) {
            return Ok(Outcome::Ready(output));
        }
        let Some(waiter) = ticket.waiter().cloned() else { continue };
        match driver.park(&waiter, deadline) {
            Ok(Parked::Woken | Parked::Seen | Parked::Interrupted) => {}
            Ok(Parked::TimedOut) => {
                let output = wait.withdraw(ticket, Withdrawal::Keep);
                return Ok(output.map_or(Outcome::TimedOut, Outcome::Ready));
            }
            Err(error) => {
                let _handed_on = wait.withdraw(ticket, Withdrawal::HandOn);
                return Err(error);
            }
        }
    }
}
