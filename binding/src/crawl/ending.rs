//! The end of a crawl, which threads and tasks wait for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use pyo3::prelude::*;
use threefold_crawl::engine::Crawl;
use threefold_sync::Event;
use threefold_trace::{Owner, Reason};
use threefold_wait::{Ticket, Wait, Withdrawal};

use super::json;
use crate::blocking::{self, Subject};
use crate::convert::Patience;
use crate::operation::Operation;
use crate::wait::PyWait;

/// The report, once it is there.
pub(super) struct Ending {
    report: OnceLock<String>,
    is_over: Event,
    /// Whether a thread waits for the crawl's end.
    is_watched: AtomicBool,
}

impl Ending {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { report: OnceLock::new(), is_over: Event::new(), is_watched: AtomicBool::new(false) })
    }

    /// Starts the thread that learns of the end: the engine knows nothing of our waits.
    fn watch(self: &Arc<Self>, crawl: &Arc<Crawl>) -> PyResult<()> {
        if self.is_watched.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let (ending, crawl) = (Arc::clone(self), Arc::clone(crawl));
        let started = std::thread::Builder::new().name("crawl-end".to_owned()).spawn(move || {
            if let Some(report) = crawl.wait(None) {
                let _first = ending.report.set(json(&report).unwrap_or_default());
            }
            drop(crawl);
            ending.is_over.set();
        });
        if started.is_err() {
            self.is_watched.store(false, Ordering::Release);
        }
        started.map(drop).map_err(PyErr::from)
    }

    fn report(&self) -> Option<String> {
        self.report.get().cloned()
    }

    fn subject(&self) -> Subject {
        Subject::unheld(Reason::Crawl, self)
    }

    /// Waits on this thread; the report as JSON, or `None` when the patience was at an end.
    pub(super) fn wait(
        self: &Arc<Self>,
        py: Python<'_>,
        crawl: &Arc<Crawl>,
        patience: Patience,
    ) -> PyResult<Option<String>> {
        self.watch(crawl)?;
        blocking::wait(py, &mut self.is_over.wait(), Owner::thread(), patience, || self.subject())?;
        Ok(self.report())
    }

    /// The same for a task.
    pub(super) fn wait_async(self: &Arc<Self>, crawl: &Arc<Crawl>, patience: Patience) -> PyResult<PyWait> {
        self.watch(crawl)?;
        Ok(PyWait::new(WaitForEnd(Arc::clone(self)), patience))
    }
}

struct WaitForEnd(Arc<Ending>);

impl WaitForEnd {
    fn object(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.0.report().into_pyobject(py)?.unbind())
    }
}

impl Operation for WaitForEnd {
    fn try_now(&mut self, py: Python<'_>) -> Option<PyResult<Py<PyAny>>> {
        self.0.is_over.is_set().then(|| self.object(py))
    }

    fn poll(&mut self, py: Python<'_>, ticket: &mut Ticket) -> Option<PyResult<Py<PyAny>>> {
        self.0.is_over.wait().poll(ticket).map(|()| self.object(py))
    }

    fn withdraw(&mut self, py: Python<'_>, ticket: &mut Ticket, how: Withdrawal) -> Option<PyResult<Py<PyAny>>> {
        self.0.is_over.wait().withdraw(ticket, how).map(|()| self.object(py))
    }

    fn timed_out(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(py.None())
    }

    fn subject(&self, _py: Python<'_>) -> Subject {
        self.0.subject()
    }

    fn traverse(&self, _visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        Ok(())
    }
}
