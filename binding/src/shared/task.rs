//! A task's wait for something that processes share: try, stand in the lookout's line, try again, yield.

use std::sync::Arc;

use pyo3::prelude::*;
use threefold_shared_memory::lookout::{Lookout, Sight, Waiting};
use threefold_wait::{Ticket, Withdrawal};

use super::lookout;
use crate::blocking::Subject;
use crate::convert::Patience;
use crate::operation::Operation;
use crate::wait::PyWait;

/// What an attempt brought; `None`: to be waited for.
pub(super) type Tried = PyResult<Option<Py<PyAny>>>;

/// Something that a task tries, again and again.
pub(super) trait Attempt: Send + Sync {
    /// Tries it for the first time.
    fn first(&mut self, py: Python<'_>) -> Tried {
        self.again(py)
    }

    /// Tries it after it was in vain.
    fn again(&mut self, py: Python<'_>) -> Tried;

    /// What to wait for until the next attempt.
    fn sight(&self) -> PyResult<Arc<dyn Sight>>;

    /// Changes when an attempt, though in vain, led to waiting for something else.
    fn phase(&self) -> u8 {
        0
    }

    /// Gives up; returns a result that there is all the same and that is to be kept.
    fn give_up(&mut self, py: Python<'_>, how: Withdrawal) -> Tried {
        match how {
            Withdrawal::Keep => self.again(py),
            Withdrawal::HandOn => Ok(None),
        }
    }

    /// Whether, after it was given up, something must still be had.
    fn must_finish(&self) -> bool {
        false
    }

    /// What a wait that timed out returns or raises.
    fn timed_out(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>>;

    /// What the wait table says of it.
    fn subject(&self, py: Python<'_>) -> Subject;

    /// Shows the Python objects it holds to the garbage collector.
    fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError>;
}

/// Attempts after entering a line: each but the last found that the thing had come and was gone again.
const MOST_LOOKS: usize = 100;

/// The awaitable of an attempt.
pub(super) fn awaitable(attempt: impl Attempt + 'static, patience: Patience) -> PyWait {
    PyWait::new(Patient { attempt, waiting: None, phase: 0 }, patience)
}

struct Patient<A> {
    attempt: A,
    waiting: Option<Waiting>,
    /// The attempt's when it entered the line.
    phase: u8,
}

impl<A: Attempt> Patient<A> {
    /// Whether nothing has happened that an attempt could profit from.
    fn is_asleep(&self) -> bool {
        self.phase == self.attempt.phase() && self.waiting.as_ref().is_some_and(|waiting| !waiting.is_chosen())
    }

    /// Tries, and stands in line if that is in vain.
    fn go_on(&mut self, py: Python<'_>, ticket: &Ticket) -> Tried {
        while !self.is_asleep() {
            if let Some(result) = self.try_as_chosen(py)? {
                return Ok(Some(result));
            }
            if let Some(result) = self.enter(py, ticket)? {
                return Ok(Some(result));
            }
        }
        Ok(None)
    }

    /// Tries, if it was chosen to.
    fn try_as_chosen(&mut self, py: Python<'_>) -> Tried {
        let is_chosen = self.waiting.as_ref().is_some_and(Waiting::is_chosen);
        if !is_chosen {
            return Ok(None);
        }
        let tried = self.attempt.again(py);
        self.unless_in_vain(&tried);
        tried
    }

    /// Leaves the line after an attempt that was not in vain.
    fn unless_in_vain(&mut self, tried: &Tried) {
        let lookout = Lookout::current();
        match tried {
            Ok(None) => {}
            Ok(Some(_)) => self.waiting.take().iter().for_each(|waiting| lookout.finish(waiting)),
            Err(_) => self.waiting.take().iter().for_each(|waiting| lookout.leave(waiting)),
        }
    }

    fn enter(&mut self, py: Python<'_>, ticket: &Ticket) -> Tried {
        let lookout = Lookout::current();
        let is_back = self.phase == self.attempt.phase() && self.waiting.is_some();
        if let Some(waiting) = self.waiting.take().filter(|_| !is_back) {
            // For what it waited for before, it waits no longer.
            lookout.finish(&waiting);
        }
        let (Some(waker), sight) = (ticket.waker(), self.attempt.sight()?) else { return Ok(None) };
        self.phase = self.attempt.phase();
        let (waiting, is_unwatched) = lookout.enter(&sight, waker, is_back);
        self.waiting = Some(waiting);
        let started = if is_unwatched { lookout::start(py) } else { Ok(()) };
        let tried = started.and_then(|()| self.look(py));
        self.unless_in_vain(&tried);
        tried
    }

    /// In line: tries until it is certain to be told of the next change.
    fn look(&mut self, py: Python<'_>) -> Tried {
        for _ in 0..MOST_LOOKS {
            let tried = self.attempt.again(py);
            if !matches!(tried, Ok(None)) || self.phase != self.attempt.phase() {
                return tried;
            }
            // After the attempt: who is settled will be told of whatever changed since.
            if self.waiting.as_ref().is_none_or(|waiting| Lookout::current().is_settled(waiting)) {
                break;
            }
        }
        Ok(None)
    }
}

impl<A: Attempt> Operation for Patient<A> {
    fn try_now(&mut self, py: Python<'_>) -> Option<PyResult<Py<PyAny>>> {
        self.attempt.first(py).transpose()
    }

    fn poll(&mut self, py: Python<'_>, ticket: &mut Ticket) -> Option<PyResult<Py<PyAny>>> {
        self.go_on(py, ticket).transpose()
    }

    fn withdraw(&mut self, py: Python<'_>, _ticket: &mut Ticket, how: Withdrawal) -> Option<PyResult<Py<PyAny>>> {
        let tried = self.attempt.give_up(py, how);
        if let Some(waiting) = self.waiting.take() {
            match tried {
                Ok(Some(_)) => Lookout::current().finish(&waiting),
                _ => Lookout::current().leave(&waiting),
            }
        }
        tried.transpose()
    }

    fn timed_out(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.attempt.timed_out(py)
    }

    fn subject(&self, py: Python<'_>) -> Subject {
        self.attempt.subject(py)
    }

    fn must_finish(&self) -> bool {
        self.attempt.must_finish()
    }

    fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        self.attempt.traverse(visit)
    }
}
