//! What an awaitable waits for: one operation on one primitive, behind one face.

use pyo3::prelude::*;
use threefold_wait::{Ticket, Withdrawal};

use crate::blocking::Subject;

/// An operation that a task can wait for. `poll` and `withdraw` are those of `threefold_wait::Wait`, with Python results.
pub(crate) trait Operation: Send + Sync {
    /// The whole operation, if it needs no waiting; leaves nothing queued.
    fn try_now(&mut self, py: Python<'_>) -> Option<PyResult<Py<PyAny>>>;

    /// Goes on as far as possible without waiting; `None` = the ticket is queued.
    fn poll(&mut self, py: Python<'_>, ticket: &mut Ticket) -> Option<PyResult<Py<PyAny>>>;

    /// Gives up; returns a result that was there all the same and that `withdrawal` wants kept.
    fn withdraw(&mut self, py: Python<'_>, ticket: &mut Ticket, withdrawal: Withdrawal) -> Option<PyResult<Py<PyAny>>>;

    /// What a wait that timed out returns or raises.
    fn timed_out(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>>;

    /// What the wait table says of it.
    fn subject(&self, py: Python<'_>) -> Subject;

    /// Whether, after it was withdrawn, something must still be had before the task may be told of it.
    fn must_finish(&self) -> bool {
        false
    }

    /// Shows the Python objects it holds to the garbage collector.
    fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError>;
}
