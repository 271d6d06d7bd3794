//! Where the runtime leaves what a thread or a task of Python waits for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use threefold_crawl::fetch::FetchError;
use threefold_sync::Event;
use threefold_trace::{Owner, Reason};
use threefold_wait::{Ticket, Wait, Withdrawal};
use tokio::runtime::Handle;

use crate::blocking::{self, Subject};
use crate::convert::Patience;
use crate::operation::Operation;
use crate::wait::PyWait;

/// A value on its way, and the bell that tells of it.
pub(super) struct Outcome<T> {
    value: Mutex<T>,
    bell: Event,
    /// To wake a task means to attach to the interpreter, which must not keep the fetching threads.
    has_task: AtomicBool,
}

impl<T: Send + 'static> Outcome<T> {
    pub(super) fn new(value: T) -> Arc<Self> {
        Arc::new(Self { value: Mutex::new(value), bell: Event::new(), has_task: AtomicBool::new(false) })
    }

    pub(super) fn value(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another value is on its way.
    pub(super) fn silence(&self) {
        self.bell.clear();
    }

    /// The value is there.
    pub(super) fn ring(self: Arc<Self>) {
        if self.has_task.load(Ordering::SeqCst) {
            if let Ok(runtime) = Handle::try_current() {
                runtime.spawn_blocking(move || self.bell.set());
                return;
            }
        }
        self.bell.set();
    }

    /// Waits on this thread until the value is there; signal handlers run meanwhile.
    pub(super) fn wait(&self, py: Python<'_>) -> PyResult<()> {
        if !self.bell.is_set() {
            let subject = || Subject::unheld(Reason::Receive, self);
            blocking::wait(py, &mut self.bell.wait(), Owner::thread(), Patience::Endless, subject)?;
        }
        Ok(())
    }

    /// The same for a task.
    pub(super) fn wait_async(self: &Arc<Self>) -> PyWait {
        self.has_task.store(true, Ordering::SeqCst);
        PyWait::new(WaitForOutcome(Arc::clone(self)), Patience::Endless)
    }
}

struct WaitForOutcome<T>(Arc<Outcome<T>>);

impl<T: Send + 'static> Operation for WaitForOutcome<T> {
    fn try_now(&mut self, py: Python<'_>) -> Option<PyResult<Py<PyAny>>> {
        self.0.bell.is_set().then(|| Ok(py.None()))
    }

    fn poll(&mut self, py: Python<'_>, ticket: &mut Ticket) -> Option<PyResult<Py<PyAny>>> {
        self.0.bell.wait().poll(ticket).map(|()| Ok(py.None()))
    }

    fn withdraw(&mut self, py: Python<'_>, ticket: &mut Ticket, how: Withdrawal) -> Option<PyResult<Py<PyAny>>> {
        self.0.bell.wait().withdraw(ticket, how).map(|()| Ok(py.None()))
    }

    fn timed_out(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(py.None())
    }

    fn subject(&self, _py: Python<'_>) -> Subject {
        Subject::unheld(Reason::Receive, &*self.0)
    }

    fn traverse(&self, _visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        Ok(())
    }
}

/// The exception of an error: `threefold.http` knows which class it has.
pub(super) fn to_python(py: Python<'_>, error: &FetchError) -> PyErr {
    let make = || {
        let module = py.import("threefold.http._errors")?;
        module.call_method1("_of_kind", (error.kind(), error.to_string(), error.is_before_connection()))
    };
    make().map_or_else(|failed| failed, PyErr::from_value)
}

/// For whoever goes on in a forked child with what its parent began.
pub(super) fn not_ours(process: u32) -> PyErr {
    PyRuntimeError::new_err(format!("this exchange was begun by process {process}; begin one here"))
}
