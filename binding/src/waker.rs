//! Wakes a task through its event loop. README of crates/wait, section 5.
//!
//! A task that waits has yielded an asyncio future to its loop; waking it means giving that future a result:
//! at once, when a task of the same loop is running here; else through the loop's inbox, which holds any number of
//! wakes for one `call_soon_threadsafe`.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use pyo3::prelude::*;
use pyo3::types::PyWeakrefReference;

use crate::kept::intern;
use crate::{guests, interrupt, python};

/// How often a loop is told of wakes when signal handlers raise each time, before that is taken for its own error.
const ATTEMPTS: u32 = 100;

/// Wakes on their way to one event loop.
#[derive(Debug)]
struct Inbox {
    event_loop: Py<PyWeakrefReference>,
    wakes: Mutex<Vec<Py<PyAny>>>,
    /// The thread in which a task last began to wait. Another thread is not inside the loop, or has to be asked no more
    /// than to tell the loop from outside, which is always right.
    slot: AtomicU32,
    /// Whether the loop's futures are asyncio's own, which cost less when they are made directly.
    has_own_futures: bool,
    /// Whether the loop has been asked to empty the inbox and has not begun yet.
    is_announced: AtomicBool,
}

impl Inbox {
    fn wakes(&self) -> MutexGuard<'_, Vec<Py<PyAny>>> {
        self.wakes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Delivers a wake from anywhere: another thread, a signal handler, a callback of the loop itself.
    ///
    /// # Errors
    /// What a signal handler raised meanwhile; the wake is delivered all the same.
    fn deliver(self: &Arc<Self>, py: Python<'_>, future: Py<PyAny>) -> PyResult<()> {
        self.wakes().push(future);
        // Empty before read: the loop takes the flag down before it looks into the inbox, so either it sees this wake
        // or we see the flag down and announce it.
        if self.is_announced.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let Some(event_loop) = self.event_loop.bind(py).upgrade() else { return Ok(()) };
        let mut raised = Ok(());
        for _attempt in 0..ATTEMPTS {
            match self.announce(&event_loop) {
                Ok(()) => return raised,
                Err(_closed) if event_loop.call_method0(intern!(py, "is_closed"))?.is_truthy()? => {
                    // Its tasks are gone with it.
                    self.wakes().clear();
                    self.is_announced.store(false, Ordering::Release);
                    return raised;
                }
                // A signal handler ran inside `call_soon_threadsafe`, which is Python: the loop may or may not have
                // been told. Telling it twice does no harm.
                Err(error) => raised = Err(error),
            }
        }
        self.is_announced.store(false, Ordering::Release);
        raised
    }

    fn announce(self: &Arc<Self>, event_loop: &Bound<'_, PyAny>) -> PyResult<()> {
        let drain = Bound::new(event_loop.py(), Drain(Arc::clone(self)))?;
        event_loop.call_method1(intern!(event_loop.py(), "call_soon_threadsafe"), (drain,)).map(drop)
    }
}

/// What the loop calls to empty an inbox.
#[pyclass(frozen, module = "threefold._threefold")]
struct Drain(Arc<Inbox>);

#[pymethods]
impl Drain {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        self.0.is_announced.store(false, Ordering::Release);
        let wakes = std::mem::take(&mut *self.0.wakes());
        // All of them, whatever a signal handler raises in between.
        wakes.into_iter().map(|future| finish(future.bind(py))).fold(Ok(()), Result::and)
    }
}

/// Gives a future its result, unless it has been cancelled meanwhile.
pub(crate) fn finish(future: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = future.py();
    match future.call_method1(intern!(py, "set_result"), (py.None(),)) {
        Err(error) if error.is_instance(py, python::invalid_state_error(py)?) => Ok(()),
        result => result.map(drop),
    }
}

/// What a deadline's timer calls: `call_later(seconds, expire, future)`.
#[pyfunction]
#[pyo3(name = "_expire")]
pub(crate) fn expire(future: &Bound<'_, PyAny>) -> PyResult<()> {
    finish(future)
}

/// One sleeping task.
#[derive(Debug)]
struct Sleeper {
    inbox: Arc<Inbox>,
    /// What it waits for now; taken by whoever wakes it.
    future: Mutex<Option<Py<PyAny>>>,
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        guests::attach(|py| {
            let future = self.future.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(future) = future else { return };
            let result = if self.is_loop_running_a_task_here(py) {
                finish(future.bind(py))
            } else {
                self.inbox.deliver(py, future)
            };
            if let Err(error) = result {
                // Whoever wakes others has done its own work and must return. The exception comes up in the main
                // thread, where signal handlers run, as soon as that is over.
                interrupt::raise_soon(py, error);
            }
        });
    }
}

impl Sleeper {
    /// Whether this thread is inside a task of the loop. If it is inside the loop but in no task, the loop may be
    /// asleep in its poll with a signal handler on top, and must be woken as if from outside.
    fn is_loop_running_a_task_here(&self, py: Python<'_>) -> bool {
        if self.inbox.slot.load(Ordering::Relaxed) != threefold_sys::slot::current() {
            return false;
        }
        let running = python::maybe_running_loop(py).and_then(PyAnyMethods::call0);
        let event_loop = self.inbox.event_loop.bind(py).upgrade();
        let (Ok(running), Some(event_loop)) = (running, event_loop) else { return false };
        running.is(&event_loop)
            && python::current_task(py).and_then(|current| current.call1((running,))).is_ok_and(|task| !task.is_none())
    }
}

/// The way to wake one task, for as many waits as it makes with it.
#[derive(Debug)]
pub(crate) struct TaskWaker(Arc<Sleeper>);

impl TaskWaker {
    /// For a task of the loop that runs here.
    pub(crate) fn new(event_loop: &Bound<'_, PyAny>) -> PyResult<Self> {
        guests::let_in(event_loop.py());
        let inbox = inbox_of(event_loop)?;
        inbox.slot.store(threefold_sys::slot::current(), Ordering::Relaxed);
        Ok(Self(Arc::new(Sleeper { inbox, future: Mutex::new(None) })))
    }

    /// A future for the task to yield; the next wake goes to it.
    pub(crate) fn new_future<'py>(&self, event_loop: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = event_loop.py();
        let future = if self.0.inbox.has_own_futures {
            // Without arguments it belongs to the loop that runs here, which is this one.
            python::future_class(py)?.call0()?
        } else {
            event_loop.call_method0(intern!(py, "create_future"))?
        };
        future.setattr(intern!(py, "_asyncio_future_blocking"), true)?;
        self.set_future(&future);
        Ok(future)
    }

    fn set_future(&self, future: &Bound<'_, PyAny>) {
        let previous = self.0.future.lock().unwrap_or_else(PoisonError::into_inner).replace(future.clone().unbind());
        drop(previous);
    }

    /// As the port through which the wait protocol wakes tasks.
    pub(crate) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.0))
    }

    /// Shows the future to the garbage collector.
    pub(crate) fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        match self.0.future.try_lock() {
            Ok(future) => visit.call(&*future),
            Err(_taken_right_now) => Ok(()),
        }
    }

    /// Forgets the future: nobody is to be woken any more.
    pub(crate) fn clear(&self) {
        let future = self.0.future.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(future);
    }
}

thread_local! {
    /// The inbox of the loop that this thread runs: there is one at a time.
    static LAST: RefCell<Option<(usize, Arc<Inbox>)>> = const { RefCell::new(None) };
}

fn inbox_of(event_loop: &Bound<'_, PyAny>) -> PyResult<Arc<Inbox>> {
    let py = event_loop.py();
    let address = event_loop.as_ptr().addr();
    let known = LAST.with_borrow(|last| match last {
        Some((known, inbox)) if *known == address => Some(Arc::clone(inbox)),
        _ => None,
    });
    // An address may have been used again; the weak reference tells.
    let known = known.filter(|inbox| inbox.event_loop.bind(py).upgrade().is_some_and(|known| known.is(event_loop)));
    if let Some(inbox) = known {
        return Ok(inbox);
    }
    let inbox = Arc::new(Inbox {
        event_loop: PyWeakrefReference::new(event_loop)?.unbind(),
        slot: AtomicU32::new(0),
        has_own_futures: has_own_futures(event_loop)?,
        wakes: Mutex::new(Vec::new()),
        is_announced: AtomicBool::new(false),
    });
    let previous = LAST.replace(Some((address, Arc::clone(&inbox))));
    drop(previous);
    Ok(inbox)
}

fn has_own_futures(event_loop: &Bound<'_, PyAny>) -> PyResult<bool> {
    let create_future = event_loop.get_type().getattr(intern!(event_loop.py(), "create_future"))?;
    Ok(create_future.is(python::base_create_future(event_loop.py())?))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Drain>()?;
    module.add_function(wrap_pyfunction!(expire, module)?)
}
