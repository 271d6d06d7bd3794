//! The awaitable that every `*_async` method returns: drives one operation from a task of any asyncio loop.
//!
//! | state | next step |
//! |---|---|
//! | new | poll; if there is nothing yet, queue with a waker and yield a future to the loop |
//! | waiting | the future has a result: poll again; a deadline or a cancellation withdraws |
//! | over | raises `RuntimeError`, as a coroutine that is awaited twice |

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use pyo3::exceptions::{PyRuntimeError, PyStopIteration, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};
use threefold_trace::{Owner, Wait as Shown, WaitRow};
use threefold_wait::{Instant, Ticket, Withdrawal};

use crate::convert::Patience;
use crate::ffi::{self, Awaitable};
use crate::kept::intern;
use crate::operation::Operation;
use crate::waker::TaskWaker;
use crate::{names, python, sites};

/// A wait as a value: await it once, in a task of any asyncio event loop.
#[pyclass(frozen, module = "threefold", name = "Wait", weakref)]
pub(crate) struct PyWait(Mutex<Progress>);

/// How far the wait has come.
struct Progress {
    /// None once it is over, or has been abandoned.
    operation: Option<Box<dyn Operation>>,
    is_over: bool,
    patience: Patience,
    waiting: Option<Box<Waiting>>,
}

/// What there is only while the task sleeps.
struct Waiting {
    ticket: Ticket,
    waker: TaskWaker,
    event_loop: Py<PyAny>,
    timer: Option<Py<PyAny>>,
    /// A cancellation that must wait for the operation's cleanup.
    kept: Option<PyErr>,
    is_expired: bool,
    row: WaitRow,
}

type Step = PyResult<Result<Py<PyAny>, Py<PyAny>>>;

impl PyWait {
    pub(crate) fn new(operation: impl Operation + 'static, patience: Patience) -> Self {
        Self(Mutex::new(Progress { operation: Some(Box::new(operation)), is_over: false, patience, waiting: None }))
    }

    /// Refused while a step is under way: whatever that step calls must not take another one.
    fn progress(&self) -> PyResult<MutexGuard<'_, Progress>> {
        match self.0.try_lock() {
            Ok(progress) => Ok(progress),
            Err(TryLockError::Poisoned(progress)) => Ok(progress.into_inner()),
            Err(TryLockError::WouldBlock) => Err(PyRuntimeError::new_err("Wait is already being awaited")),
        }
    }
}

impl Progress {
    /// One step: `Ok(Ok(future))` to be yielded, `Ok(Err(value))` when it is over.
    fn step(&mut self, py: Python<'_>) -> Step {
        let Some(operation) = self.operation.as_mut().filter(|_| !self.is_over) else {
            return Err(PyRuntimeError::new_err("cannot reuse already awaited Wait"));
        };
        let Some(waiting) = self.waiting.as_mut() else { return self.begin(py) };
        if let Some(result) = operation.poll(py, &mut waiting.ticket) {
            return self.finish(py, result);
        }
        // What must be had in any case has no deadline.
        let may_expire = !waiting.is_expired && !operation.must_finish();
        let has_passed = may_expire && self.patience.seconds_left().is_some_and(|seconds| seconds <= 0.000_5);
        if has_passed {
            waiting.is_expired = true;
            if let Some(result) = operation.withdraw(py, &mut waiting.ticket, Withdrawal::Keep) {
                return self.finish(py, result);
            }
            if !operation.must_finish() {
                let result = operation.timed_out(py);
                return self.finish(py, result);
            }
            return self.step(py);
        }
        self.sleep(py)
    }

    fn begin(&mut self, py: Python<'_>) -> Step {
        if let Some(result) = self.operation.as_mut().and_then(|operation| operation.try_now(py)) {
            return self.finish(py, result);
        }
        let event_loop = python::running_loop(py)?.call0()?;
        let task = python::current_task(py)?.call1((&event_loop,))?;
        let task = (!task.is_none()).then_some(task);
        let owner = task.as_ref().map_or_else(Owner::thread, owner_of);
        let waker = TaskWaker::new(&event_loop)?;
        let Some(operation) = self.operation.as_mut() else {
            return Err(PyRuntimeError::new_err("cannot reuse already awaited Wait"));
        };
        let future = waker.new_future(&event_loop)?;
        let mut ticket = Ticket::task(owner, waker.waker());
        if let Some(result) = operation.poll(py, &mut ticket) {
            return self.finish(py, result);
        }
        let row = show(py, operation.as_ref(), &ticket, task.as_ref(), self.patience);
        let waiting =
            Waiting { ticket, waker, event_loop: event_loop.unbind(), timer: None, kept: None, is_expired: false, row };
        self.waiting = Some(Box::new(waiting));
        self.set_timer(py, &future)?;
        Ok(Ok(future.unbind()))
    }

    /// Yields a fresh future, for a wake that led to nothing.
    fn sleep(&mut self, py: Python<'_>) -> Step {
        let Some(waiting) = self.waiting.as_mut() else { return self.begin(py) };
        let future = waiting.waker.new_future(waiting.event_loop.bind(py))?;
        // A wake between the poll and this line found the old future; look once more now that the new one is in place.
        let ticket = &mut waiting.ticket;
        if let Some(result) = self.operation.as_mut().and_then(|operation| operation.poll(py, ticket)) {
            return self.finish(py, result);
        }
        self.show_holder(py);
        self.set_timer(py, &future)?;
        Ok(Ok(future.unbind()))
    }

    /// After a wake that led to nothing somebody else may have what is waited for.
    fn show_holder(&self, py: Python<'_>) {
        let (Some(operation), Some(waiting)) = (&self.operation, &self.waiting) else { return };
        let subject = operation.subject(py);
        if subject.row.is_none() {
            names::name_holder(py, subject.holder, None);
            waiting.row.set_holder(subject.holder);
        }
    }

    fn set_timer(&mut self, py: Python<'_>, future: &Bound<'_, PyAny>) -> PyResult<()> {
        let Some(waiting) = self.waiting.as_mut() else { return Ok(()) };
        if waiting.is_expired || self.operation.as_ref().is_some_and(|operation| operation.must_finish()) {
            return Ok(());
        }
        let Some(seconds) = self.patience.seconds_left() else { return Ok(()) };
        let expire = pyo3::wrap_pyfunction!(crate::waker::expire, py)?;
        let timer = waiting.event_loop.bind(py).call_method1(intern!(py, "call_later"), (seconds, expire, future))?;
        if let Some(previous) = waiting.timer.replace(timer.unbind()) {
            previous.call_method0(py, "cancel")?;
        }
        Ok(())
    }

    fn finish(&mut self, py: Python<'_>, result: PyResult<Py<PyAny>>) -> Step {
        self.is_over = true;
        self.operation = None;
        let Some(waiting) = self.waiting.take() else { return result.map(Err) };
        waiting.waker.clear();
        if let Some(timer) = waiting.timer {
            timer.call_method0(py, "cancel")?;
        }
        match waiting.kept {
            Some(error) => Err(python::in_view_of(py, error, result.as_ref().err())),
            None => result.map(Err),
        }
    }

    /// Nobody will ever ask for the result: leaves the queue, and lets go of everything.
    fn abandon(&mut self, py: Python<'_>) {
        if let (Some(operation), Some(waiting)) = (self.operation.as_mut(), self.waiting.as_mut()) {
            let handed_on = operation.withdraw(py, &mut waiting.ticket, Withdrawal::HandOn);
            drop(handed_on);
            waiting.waker.clear();
        }
        self.operation = None;
        self.waiting = None;
    }

    /// The task was cancelled, or closed: what it was granted goes to the next one.
    fn cancel(&mut self, py: Python<'_>, error: PyErr) -> Step {
        let (Some(operation), Some(waiting)) = (self.operation.as_mut(), self.waiting.as_mut()) else {
            self.is_over = true;
            self.operation = None;
            return Err(error);
        };
        if operation.must_finish() {
            waiting.kept.get_or_insert(error);
            return self.step(py);
        }
        let handed_on = operation.withdraw(py, &mut waiting.ticket, Withdrawal::HandOn);
        drop(handed_on);
        if operation.must_finish() {
            waiting.kept = Some(error);
            return self.step(py);
        }
        self.finish(py, Err(error))
    }
}

fn show(
    py: Python<'_>,
    operation: &dyn Operation,
    ticket: &Ticket,
    task: Option<&Bound<'_, PyAny>>,
    patience: Patience,
) -> WaitRow {
    let subject = operation.subject(py);
    names::current_thread(py);
    names::name_holder(py, subject.holder, subject.row.as_deref());
    threefold_trace::begin(&Shown {
        owner: ticket.owner(),
        name: task.map_or_else(|| names::current_thread(py), names::task),
        reason: subject.reason,
        object: subject.object as u64,
        object_row: subject.row.as_deref(),
        holder: subject.holder,
        site: sites::current(py),
        since: ticket.waiter().map_or_else(Instant::now, |waiter| waiter.since()),
        has_timeout: patience.is_limited(),
    })
}

/// The task that runs on this thread, if any.
pub(crate) fn current_task(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let task = python::current_task(py)?.call0()?;
    Ok((!task.is_none()).then_some(task))
}

/// A task as an owner.
pub(crate) fn owner_of(task: &Bound<'_, PyAny>) -> Owner {
    Owner::task(task.as_ptr().addr())
}

/// Who is calling: the task that runs on this thread, or the thread.
pub(crate) fn caller(py: Python<'_>) -> Owner {
    current_task(py).ok().flatten().as_ref().map_or_else(Owner::thread, owner_of)
}

/// Whether `owner` is the calling thread, or the task that it runs now.
pub(crate) fn is_caller(py: Python<'_>, owner: Owner) -> bool {
    if owner == Owner::thread() {
        return true;
    }
    if owner.task_address() == 0 || owner.its_thread() != Owner::thread() {
        return false;
    }
    let has_loop = python::maybe_running_loop(py).and_then(PyAnyMethods::call0).is_ok_and(|running| !running.is_none());
    has_loop && matches!(current_task(py), Ok(Some(task)) if owner_of(&task) == owner)
}

/// The exception that a coroutine's `throw` was given, in either of its forms.
pub(crate) fn thrown(
    kind: &Bound<'_, PyAny>,
    value: Option<&Bound<'_, PyAny>>,
    traceback: Option<&Bound<'_, PyAny>>,
) -> PyResult<PyErr> {
    let error = match (kind.cast::<PyType>(), value) {
        (Ok(class), Some(value)) if value.is_instance(class)? => PyErr::from_value(value.clone()),
        (Ok(class), Some(value)) => PyErr::from_value(class.call1((value,))?),
        (Ok(class), None) => PyErr::from_value(class.call0()?),
        (Err(_), None) => PyErr::from_value(kind.clone()),
        (Err(_), Some(_)) => return Err(PyTypeError::new_err("instance exception may not have a separate value")),
    };
    if let Some(traceback) = traceback.filter(|traceback| !traceback.is_none()) {
        error.set_traceback(kind.py(), Some(traceback.cast()?.clone()));
    }
    Ok(error)
}

/// The end of an iteration, with its value.
pub(crate) fn stop(py: Python<'_>, value: Py<PyAny>) -> PyErr {
    // A tuple or an exception as the value would be taken for the exception's arguments.
    match PyTuple::new(py, [value]) {
        Ok(arguments) => PyErr::new::<PyStopIteration, _>(arguments.unbind()),
        Err(error) => error,
    }
}

#[pymethods]
impl PyWait {
    fn __await__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.progress()?.step(py)?.map_err(|value| stop(py, value))
    }

    /// Goes on with the wait, as a coroutine's `send`; the value is ignored.
    fn send(&self, py: Python<'_>, _value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.__next__(py)
    }

    /// Ends the wait with an exception, as a coroutine's `throw`: what it was granted goes to the next waiter.
    #[pyo3(signature = (kind, value=None, traceback=None, /))]
    fn throw(
        &self,
        kind: &Bound<'_, PyAny>,
        value: Option<&Bound<'_, PyAny>>,
        traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let py = kind.py();
        let error = thrown(kind, value, traceback)?;
        self.progress()?.cancel(py, error)?.map_err(|value| stop(py, value))
    }

    /// Gives the wait up, as a coroutine's `close`.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let error = pyo3::exceptions::PyGeneratorExit::new_err(());
        let mut progress = self.progress()?;
        match progress.cancel(py, error) {
            Err(error) if error.is_instance_of::<pyo3::exceptions::PyGeneratorExit>(py) => Ok(()),
            Err(error) => Err(error),
            // A lock that must be had back first, with no loop left to wait for it in.
            Ok(_unfinished) => {
                progress.abandon(py);
                Ok(())
            }
        }
    }

    #[classmethod]
    fn __class_getitem__<'py>(class: &Bound<'py, PyType>, item: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        python::generic_alias(class, item)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let reason = self.progress().ok().and_then(|progress| {
            progress.operation.as_ref().filter(|_| !progress.is_over).map(|operation| operation.subject(py).reason)
        });
        reason.map_or_else(|| "<threefold.Wait, over>".to_owned(), |reason| format!("<threefold.Wait for {reason}>"))
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        // Not while a step is under way: what it holds is in use.
        let Ok(progress) = self.0.try_lock() else { return Ok(()) };
        progress.operation.as_ref().map_or(Ok(()), |operation| operation.traverse(&visit))?;
        if let Some(waiting) = &progress.waiting {
            visit.call(&waiting.event_loop)?;
            visit.call(&waiting.timer)?;
            waiting.waker.traverse(&visit)?;
        }
        Ok(())
    }

    fn __clear__(&self, py: Python<'_>) {
        if let Ok(mut progress) = self.0.try_lock() {
            progress.abandon(py);
        }
    }
}

impl Awaitable for PyWait {
    #[inline]
    fn step_fast(&self, py: Python<'_>) -> Option<ffi::Step> {
        let mut progress = self.0.try_lock().ok()?;
        if progress.is_over || progress.waiting.is_some() {
            return None;
        }
        let result = progress.operation.as_mut().and_then(|operation| operation.try_now(py))?;
        // The operation goes with the awaitable: nothing may be dropped here.
        progress.is_over = true;
        Some(result.map_or_else(ffi::Step::Error, ffi::Step::Value))
    }

    fn step(&self, py: Python<'_>) -> ffi::Step {
        match self.progress().and_then(|mut progress| progress.step(py)) {
            Ok(Ok(future)) => ffi::Step::Yield(future),
            Ok(Err(value)) => ffi::Step::Value(value),
            Err(error) => ffi::Step::Error(error),
        }
    }
}

impl Drop for PyWait {
    /// An awaitable that is dropped in the middle of its wait leaves no waiter behind that could swallow a wake.
    fn drop(&mut self) {
        let progress = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if progress.waiting.is_some() {
            Python::attach(|py| progress.abandon(py));
        }
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyWait>()?;
    ffi::install_awaitable::<PyWait>(module.py());
    Ok(())
}
