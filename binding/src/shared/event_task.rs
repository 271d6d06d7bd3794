//! A task's wait for an event that processes share.

use std::sync::Arc;

use pyo3::prelude::*;
use threefold_shared_memory::Moment;
use threefold_shared_memory::lookout::Sight;
use threefold_trace::Reason;

use super::event::SharedEvent;
use super::place::home_error;
use super::task::{Attempt, Tried};
use crate::acquire::boolean;
use crate::blocking::Subject;

/// Waiting for the flag.
pub(super) struct WaitForEvent {
    event: Py<SharedEvent>,
    /// When the wait began: being set and cleared since counts.
    began: Option<Moment>,
}

impl WaitForEvent {
    pub(super) fn new(event: Py<SharedEvent>) -> Self {
        Self { event, began: None }
    }
}

impl Attempt for WaitForEvent {
    fn again(&mut self, py: Python<'_>) -> Tried {
        let event = self.event.get().event()?;
        let began = *self.began.get_or_insert_with(|| event.moment());
        event.was_set_since(began).then(|| boolean(py, true)).transpose()
    }

    fn sight(&self) -> PyResult<Arc<dyn Sight>> {
        let event = self.event.get().event()?;
        event.sight(self.began.unwrap_or_else(|| event.moment())).map_err(home_error)
    }

    fn timed_out(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        boolean(py, false)
    }

    fn subject(&self, _py: Python<'_>) -> Subject {
        Subject::unheld(Reason::Event, self.event.get())
    }

    fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.event)
    }
}
