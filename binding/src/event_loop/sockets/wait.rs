//! The awaitable of an operation on a socket.
//!
//! | state | next step |
//! |---|---|
//! | new | an attempt, unless the socket is known to have nothing; then yields a future to the loop |
//! | waiting | the future has a result: an attempt; a cancellation leaves the watch |
//! | over | raises `RuntimeError`, as a coroutine that is awaited twice |

use std::os::fd::RawFd;

use pyo3::exceptions::{PyRuntimeError, PyRuntimeWarning, PyValueError};
use pyo3::prelude::*;
use threefold_event_loop::watch::Side;
use threefold_wait::Latch;

use super::super::hearer::Hearer;
use super::super::state::EventLoopCore;
use super::attempt::{Attempt, Outcome, Place, descriptor_of, os_error};
use super::known::Kind;
use crate::convert::Constructed;
use crate::ffi::{self, Awaitable};
use crate::kept::intern;

/// An operation on a socket as a value: await it once, in a task of its loop.
#[pyclass(frozen, module = "threefold._threefold", name = "SocketWait", weakref)]
pub(in super::super) struct SocketWait {
    constructed: Constructed,
    progress: Latch<Progress>,
    name: &'static str,
}

enum Progress {
    New(Request),
    Waiting(Request, Waiting),
    /// A step is under way.
    Stepping,
    Over,
}

struct Request {
    event_loop: Py<EventLoopCore>,
    socket: Py<PyAny>,
    attempt: Attempt,
}

struct Waiting {
    descriptor: RawFd,
    side: Side,
    future: Py<PyAny>,
    /// Whether the socket is kept open meanwhile, should somebody close it.
    is_held: bool,
}

type Step = PyResult<Result<Py<PyAny>, Py<PyAny>>>;

impl SocketWait {
    pub(in super::super) fn new(event_loop: Py<EventLoopCore>, socket: Py<PyAny>, attempt: Attempt) -> Self {
        let name = attempt.name();
        let progress = Latch::new(Progress::New(Request { event_loop, socket, attempt }));
        Self { constructed: Constructed::YES, progress, name }
    }

    /// One step: `Ok(Ok(future))` to be yielded, `Ok(Err(value))` when it is over.
    fn go_on(&self, py: Python<'_>) -> Step {
        let progress = std::mem::replace(&mut *self.progress.close(), Progress::Stepping);
        let (mut request, is_held) = match progress {
            Progress::New(request) => (request, false),
            Progress::Waiting(request, waiting) => {
                request.withdraw(&waiting);
                (request, waiting.is_held)
            }
            Progress::Stepping => return Err(PyValueError::new_err("coroutine already executing")),
            Progress::Over => return self.refuse(),
        };
        let stepped = request.step(py);
        if is_held {
            // Not before: the attempt is made on the socket that was waited for, even if it was closed meanwhile.
            release(request.socket.bind(py));
        }
        match stepped {
            Ok(Ok(waiting)) => {
                let future = waiting.future.clone_ref(py);
                *self.progress.close() = Progress::Waiting(request, waiting);
                Ok(Ok(future))
            }
            Ok(Err(value)) => {
                *self.progress.close() = Progress::Over;
                Ok(Err(value))
            }
            Err(error) => {
                *self.progress.close() = Progress::Over;
                Err(error)
            }
        }
    }

    fn refuse<T>(&self) -> PyResult<T> {
        *self.progress.close() = Progress::Over;
        Err(PyRuntimeError::new_err("cannot reuse already awaited coroutine"))
    }

    /// Leaves the watch, if it waits; says whether it was new.
    fn give_up(&self, py: Python<'_>) -> bool {
        let progress = std::mem::replace(&mut *self.progress.close(), Progress::Over);
        if let Progress::Waiting(request, waiting) = &progress {
            request.withdraw(waiting);
            if waiting.is_held {
                release(request.socket.bind(py));
            }
        }
        matches!(progress, Progress::New(_))
    }
}

impl Request {
    fn step(&mut self, py: Python<'_>) -> PyResult<Result<Waiting, Py<PyAny>>> {
        let core = self.event_loop.get();
        let socket = self.socket.bind(py);
        let descriptor = descriptor_of(socket)?;
        let side = self.attempt.side();
        let known = core.sockets.known(py, descriptor, &self.socket);
        if known.is_none() || core.watch.close().may(descriptor, side) {
            let place = Place { py, core, socket, descriptor, ends_short: known.is_some_and(|kind| kind.ends_short) };
            loop {
                match self.attempt.make(&place) {
                    Outcome::Done(result) => return result.map(Err),
                    Outcome::MustWait => break core.watch.close().note_exhausted(descriptor, side),
                    Outcome::Interrupted => {}
                }
            }
        }
        self.wait(py, descriptor, side, known).map(Ok)
    }

    fn wait(&self, py: Python<'_>, descriptor: RawFd, side: Side, known: Option<Kind>) -> PyResult<Waiting> {
        let event_loop = self.event_loop.bind(py);
        let core = event_loop.get();
        let registered = known.filter(|_| core.watch.close().is_edge(descriptor));
        let kind = if let Some(kind) = registered {
            kind
        } else {
            event_loop.call_method0(intern!(py, "_check_closed"))?;
            event_loop.call_method1(intern!(py, "_ensure_fd_no_transport"), (descriptor,))?;
            Kind::of(self.socket.bind(py))?
        };
        let future = event_loop.call_method0(intern!(py, "create_future"))?;
        let hearer = Hearer::Future(future.clone().unbind());
        let mut watch = core.watch.close();
        let previous = if kind.is_told_by_edge(side) {
            watch.set_edge(descriptor, side, hearer, registered.is_some())
        } else {
            watch.set(descriptor, side, hearer)
        };
        drop(watch);
        let previous = previous.map_err(|error| os_error(&error))?;
        if registered.is_none() {
            core.sockets.remember(descriptor, self.socket.bind(py), kind)?;
        }
        if let Some(Hearer::Handle(handle)) = previous {
            handle.call_method0(py, intern!(py, "cancel"))?;
        }
        future.setattr(intern!(py, "_asyncio_future_blocking"), true)?;
        // A listening socket that is closed gives its port back at once, and who waits for a datagram waits for any.
        let is_held = !matches!(self.attempt, Attempt::Accept | Attempt::Call(..));
        if is_held {
            hold(self.socket.bind(py))?;
        }
        Ok(Waiting { descriptor, side, future: future.unbind(), is_held })
    }

    /// Leaves the watch, unless it was told already or somebody else hears of the socket now.
    fn withdraw(&self, waiting: &Waiting) {
        let mut watch = self.event_loop.get().watch.close();
        let is_ours = matches!(
            watch.present(waiting.descriptor, waiting.side),
            Some(Hearer::Future(future)) if future.is(&waiting.future)
        );
        let previous = if is_ours { watch.clear(waiting.descriptor, waiting.side) } else { None };
        drop(watch);
        drop(previous);
    }
}

/// Keeps a socket open, as a file of its `makefile` does.
fn hold(socket: &Bound<'_, PyAny>) -> PyResult<()> {
    let name = intern!(socket.py(), "_io_refs");
    let count: i64 = socket.getattr(name)?.extract()?;
    socket.setattr(name, count + 1)
}

/// Lets a socket go; if it was closed while it was held, it is closed now.
fn release(socket: &Bound<'_, PyAny>) {
    let py = socket.py();
    let name = intern!(py, "_io_refs");
    let closed = socket.getattr(name).and_then(|count| count.extract::<i64>()).and_then(|count| {
        socket.setattr(name, count - 1)?;
        if socket.getattr(intern!(py, "_closed"))?.is_truthy()? {
            socket.call_method0(intern!(py, "close"))?;
        }
        Ok(())
    });
    if let Err(error) = closed {
        error.write_unraisable(py, Some(socket));
    }
}

#[pymethods]
impl SocketWait {
    fn __await__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.go_on(py)?.map_err(|value| crate::wait::stop(py, value))
    }

    /// Goes on with the wait, as a coroutine's `send`; the value is ignored.
    fn send(&self, py: Python<'_>, _value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.__next__(py)
    }

    /// Ends the wait with an exception, as a coroutine's `throw`.
    #[pyo3(signature = (kind, value=None, traceback=None, /))]
    fn throw(
        &self,
        kind: &Bound<'_, PyAny>,
        value: Option<&Bound<'_, PyAny>>,
        traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let error = crate::wait::thrown(kind, value, traceback)?;
        self.give_up(kind.py());
        Err(error)
    }

    /// Gives the wait up, as a coroutine's `close`.
    fn close(&self, py: Python<'_>) {
        self.give_up(py);
    }

    #[getter]
    fn __name__(&self) -> &'static str {
        self.name
    }

    #[getter]
    fn __qualname__(&self) -> String {
        format!("EventLoop.{}", self.name)
    }

    /// Its name and its socket, for those who want to know what a task awaits.
    fn _describe<'py>(&self, py: Python<'py>) -> (String, Option<Bound<'py, PyAny>>) {
        let socket = match &*self.progress.close() {
            Progress::New(request) | Progress::Waiting(request, _) => Some(request.socket.bind(py).clone()),
            Progress::Stepping | Progress::Over => None,
        };
        (self.name.to_owned(), socket)
    }

    #[getter]
    fn cr_running(&self) -> bool {
        matches!(*self.progress.close(), Progress::Stepping)
    }

    fn __repr__(&self) -> String {
        format!("<threefold.SocketWait of EventLoop.{}>", self.name)
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        if !self.constructed.is_true() {
            return Ok(());
        }
        match &*self.progress.close() {
            Progress::New(request) => request.traverse(&visit),
            Progress::Waiting(request, waiting) => {
                visit.call(&waiting.future)?;
                request.traverse(&visit)
            }
            Progress::Stepping | Progress::Over => Ok(()),
        }
    }

    fn __clear__(&self, py: Python<'_>) {
        self.give_up(py);
    }
}

impl Request {
    fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.event_loop)?;
        visit.call(&self.socket)?;
        self.attempt.traverse(visit)
    }
}

impl Awaitable for SocketWait {
    #[inline]
    fn step_fast(&self, _py: Python<'_>) -> Option<ffi::Step> {
        None
    }

    fn step(&self, py: Python<'_>) -> ffi::Step {
        match self.go_on(py) {
            Ok(Ok(future)) => ffi::Step::Yield(future),
            Ok(Err(value)) => ffi::Step::Value(value),
            Err(error) => ffi::Step::Error(error),
        }
    }
}

impl Drop for SocketWait {
    /// Says when it was forgotten, as a coroutine does, and leaves nobody in the watch.
    fn drop(&mut self) {
        if matches!(*self.progress.close(), Progress::Over) {
            return;
        }
        Python::attach(|py| {
            let raised = PyErr::take(py);
            if self.give_up(py) {
                let warning = py.get_type::<PyRuntimeWarning>();
                let text = format!("coroutine 'EventLoop.{}' was never awaited", self.name);
                let text = std::ffi::CString::new(text).unwrap_or_default();
                if let Err(error) = PyErr::warn(py, &warning, &text, 1) {
                    error.write_unraisable(py, None);
                }
            }
            if let Some(raised) = raised {
                raised.restore(py);
            }
        });
    }
}
