//! What Lock, RLock and the semaphores have in common: to be acquired and released, by threads and by tasks.

use pyo3::prelude::*;
use threefold_trace::{Owner, Reason};
use threefold_wait::{Ticket, Wait, Withdrawal};

use crate::blocking::{self, Subject};
use crate::convert::Patience;
use crate::operation::Operation;
use crate::wait::{self, PyWait};

/// A class whose instances are acquired and released.
pub(crate) trait Acquirable: pyo3::PyClass<Frozen = pyo3::pyclass::boolean_struct::True> + Send + Sync {
    /// Acquires it if that needs no waiting.
    fn try_acquire(&self, owner: Owner) -> bool;

    /// Releases it on behalf of the calling thread; false = the complete method must say what is wrong.
    fn try_release(&self) -> bool;

    /// As whom the calling thread acquires it: itself, or the task that it runs and that has it already.
    fn owner_for(&self, _py: Python<'_>) -> Owner {
        Owner::thread()
    }

    /// Waits to acquire it.
    fn waiting(&self) -> impl Wait<Output = ()>;

    /// What the wait table says of such a wait.
    fn subject(&self) -> Subject;
}

/// Acquires it on this thread; returns whether that succeeded.
pub(crate) fn acquire<C: Acquirable>(this: &C, py: Python<'_>, patience: Patience) -> PyResult<bool> {
    let owner = this.owner_for(py);
    if this.try_acquire(owner) {
        return Ok(true);
    }
    if matches!(patience, Patience::None) {
        return Ok(false);
    }
    Ok(blocking::wait(py, &mut this.waiting(), owner, patience, || this.subject())?.is_some())
}

/// The awaitable of `acquire_async`.
pub(crate) fn acquire_async<C: Acquirable>(this: Py<C>, patience: Patience) -> PyWait {
    PyWait::new(Acquire { object: this, is_entering: false }, patience)
}

/// The awaitable of `__aenter__`.
pub(crate) fn enter_async<C: Acquirable>(this: Py<C>) -> PyWait {
    PyWait::new(Acquire { object: this, is_entering: true }, Patience::Endless)
}

/// The awaitable of `__aexit__`: done at once, but when it is awaited.
pub(crate) fn leave_async(leaving: impl FnMut(Python<'_>) -> PyResult<()> + Send + Sync + 'static) -> PyWait {
    PyWait::new(Leave(Box::new(leaving)), Patience::None)
}

/// A task's wait to acquire something.
struct Acquire<C> {
    object: Py<C>,
    /// Whether it is `async with`, which yields nothing.
    is_entering: bool,
}

impl<C> Acquire<C> {
    fn acquired(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if self.is_entering { Ok(py.None()) } else { boolean(py, true) }
    }
}

/// `True` or `False`.
pub(crate) fn boolean(py: Python<'_>, value: bool) -> PyResult<Py<PyAny>> {
    Ok(value.into_pyobject(py)?.to_owned().into_any().unbind())
}

impl<C: Acquirable> Operation for Acquire<C> {
    fn try_now(&mut self, py: Python<'_>) -> Option<PyResult<Py<PyAny>>> {
        self.object.get().try_acquire(wait::caller(py)).then(|| self.acquired(py))
    }

    fn poll(&mut self, py: Python<'_>, ticket: &mut Ticket) -> Option<PyResult<Py<PyAny>>> {
        self.object.get().waiting().poll(ticket).map(|()| self.acquired(py))
    }

    fn withdraw(&mut self, py: Python<'_>, ticket: &mut Ticket, how: Withdrawal) -> Option<PyResult<Py<PyAny>>> {
        self.object.get().waiting().withdraw(ticket, how).map(|()| self.acquired(py))
    }

    fn timed_out(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        boolean(py, false)
    }

    fn subject(&self, _py: Python<'_>) -> Subject {
        self.object.get().subject()
    }

    fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.object)
    }
}

type Leaving = Box<dyn FnMut(Python<'_>) -> PyResult<()> + Send + Sync>;

struct Leave(Leaving);

impl Operation for Leave {
    fn try_now(&mut self, py: Python<'_>) -> Option<PyResult<Py<PyAny>>> {
        Some((self.0)(py).map(|()| py.None()))
    }

    fn poll(&mut self, py: Python<'_>, _ticket: &mut Ticket) -> Option<PyResult<Py<PyAny>>> {
        self.try_now(py)
    }

    fn withdraw(&mut self, _py: Python<'_>, _ticket: &mut Ticket, _how: Withdrawal) -> Option<PyResult<Py<PyAny>>> {
        None
    }

    fn timed_out(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(py.None())
    }

    fn subject(&self, _py: Python<'_>) -> Subject {
        Subject::unheld(Reason::Other, self)
    }

    fn traverse(&self, _visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        Ok(())
    }
}

/// Declares and installs the fast forms of `acquire`, `release`, `__enter__` and `__exit__` of an [`Acquirable`].
macro_rules! install_fast_acquire {
    ($py:expr, $class:ty) => {{
        use $crate::acquire::Acquirable as _;
        use $crate::ffi::{Fast, Singleton, fast_method, install};

        fast_method!(FastAcquire, $class, c"acquire", |this, arguments| {
            if arguments.is_empty() || arguments.is_only(Singleton::True) {
                if this.try_acquire(threefold_trace::Owner::thread()) { Fast::Bool(true) } else { Fast::Slow }
            } else if arguments.is_only(Singleton::False) {
                Fast::Bool(this.try_acquire(threefold_trace::Owner::thread()))
            } else {
                Fast::Slow
            }
        });
        fast_method!(FastEnter, $class, c"__enter__", |this, arguments| {
            let is_acquired = arguments.is_empty() && this.try_acquire(threefold_trace::Owner::thread());
            if is_acquired { Fast::Bool(true) } else { Fast::Slow }
        });
        fast_method!(FastRelease, $class, c"release", |this, arguments| {
            if arguments.is_empty() && this.try_release() { Fast::Nothing } else { Fast::Slow }
        });
        fast_method!(FastExit, $class, c"__exit__", |this, _arguments| {
            if this.try_release() { Fast::Nothing } else { Fast::Slow }
        });
        install::<FastAcquire>($py)?;
        install::<FastEnter>($py)?;
        install::<FastRelease>($py)?;
        install::<FastExit>($py)?;
    }};
}
pub(crate) use install_fast_acquire;
