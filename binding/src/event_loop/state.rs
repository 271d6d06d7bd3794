//! What an event loop keeps: callbacks that are ready, timers, the inbox, and who hears of which descriptor.

use std::collections::VecDeque;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use pyo3::prelude::*;
use pyo3::types::PyType;
use threefold_event_loop::watch::Side;
use threefold_event_loop::{Inbox, Timers, Watch};
use threefold_sys::clock::Instant;
use threefold_sys::epoll::{Epoll, Events};
use threefold_wait::Latch;

use super::hearer::Hearer;
use super::mark::Mark;
use super::sentry::Post;
use super::sockets::{Sockets, os_error};
use crate::convert::Constructed;
use crate::ffi::attached::Attached;
use crate::ffi::futures;
use crate::ffi::handles::{self, Scheduler, SharedContext};
use crate::ffi::tasks::{self, TaskMaker};

/// From how many callbacks on they are a crowd: fewer contexts than the interpreter keeps for use again.
const CROWD: usize = 200;
/// How many futures are kept for waits to come: tasks go on one behind the other, and most wait again at once.
const MOST_SPARE: usize = 16;

/// The native part of `threefold.asyncio.EventLoop`.
#[pyclass(subclass, frozen, name = "EventLoopCore", module = "threefold._threefold")]
pub(crate) struct EventLoopCore {
    constructed: Constructed,
    /// Handles to be run in the next turn.
    pub(super) ready: Attached<VecDeque<Py<PyAny>>>,
    pub(super) timers: Latch<Timers<Py<PyAny>>>,
    /// In a block of its own: it begins on a cache line, which the memory of Python's objects does not.
    pub(super) inbox: Box<Inbox<Py<PyAny>>>,
    pub(super) watch: Latch<Watch<Hearer>>,
    pub(super) epoll: Epoll,
    pub(super) events: Latch<Events>,
    /// Of the last look: whose natives act when the callbacks that were ready before have run.
    pub(super) waiting_natives: Latch<Vec<(u64, Side)>>,
    /// Memory into which connections receive, when nobody has it.
    pub(super) receiving: Latch<Box<[MaybeUninit<u8>]>>,
    /// Memory into which TLS connections decrypt, when nobody has it.
    pub(super) decrypting: Latch<Box<[MaybeUninit<u8>]>>,
    /// Memory into which TLS connections encrypt, when nobody has it.
    pub(super) encrypting: Latch<Vec<u8>>,
    /// When descriptors were last asked for news: nanoseconds of the monotonic clock.
    pub(super) looked_at: AtomicU64,
    pub(super) is_stopping: AtomicBool,
    pub(super) is_debugging: AtomicBool,
    pub(super) is_closed: AtomicBool,
    /// How many callbacks were scheduled since the last turn, each in a copy of the current context.
    copy_count: AtomicUsize,
    /// The context in which they were scheduled, when they are a crowd.
    crowds_context: SharedContext,
    /// Whether a task factory was set.
    has_task_factory: AtomicBool,
    pub(super) sockets: Sockets,
    pub(super) datagrams: super::datagrams::Spare,
    /// Futures for waits to come.
    pub(super) spare_futures: Attached<Vec<Py<PyAny>>>,
    /// For those who look at it from outside.
    pub(super) mark: Arc<Mark>,
    pub(super) post: OnceLock<Arc<Post>>,
}

// Python's objects begin at multiples of 16 bytes.
const _: () = assert!(align_of::<EventLoopCore>() <= 16);

#[pymethods]
impl EventLoopCore {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords))]
    fn new(_arguments: &Bound<'_, PyAny>, _keywords: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let epoll = Epoll::create().map_err(|error| os_error(&error))?;
        Ok(Self {
            constructed: Constructed::YES,
            ready: Attached::default(),
            timers: Latch::default(),
            inbox: Box::default(),
            watch: Latch::new(Watch::new(epoll.clone())),
            epoll,
            events: Latch::default(),
            waiting_natives: Latch::default(),
            receiving: Latch::default(),
            decrypting: Latch::default(),
            encrypting: Latch::default(),
            looked_at: AtomicU64::new(0),
            is_stopping: AtomicBool::new(false),
            is_debugging: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            copy_count: AtomicUsize::new(0),
            crowds_context: SharedContext::default(),
            has_task_factory: AtomicBool::new(false),
            sockets: Sockets::default(),
            datagrams: Latch::default(),
            spare_futures: Attached::default(),
            mark: Arc::default(),
            post: OnceLock::new(),
        })
    }

    /// Runs turns until `stop`.
    fn _run_once(this: &Bound<'_, Self>) -> PyResult<()> {
        super::turn::run_until_stopped(this)
    }

    /// Ends `_run_once` after this turn.
    fn _end_turns(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// The time of the monotonic clock, in seconds.
    fn time(&self) -> f64 {
        Scheduler::time(self)
    }

    /// Takes a handle to be run in the next turn.
    #[pyo3(name = "_take_soon")]
    fn take_handle_soon(&self, py: Python<'_>, handle: Py<PyAny>) {
        self.take_soon(py, handle);
    }

    /// Takes a handle to be run at a time.
    #[pyo3(name = "_take_at")]
    fn take_handle_at(&self, when: f64, handle: Py<PyAny>) {
        self.timers.close().add(when, handle);
    }

    /// Takes a handle from any thread, or from a signal handler.
    #[pyo3(name = "_take_threadsafe")]
    fn take_handle_threadsafe(&self, py: Python<'_>, handle: Py<PyAny>) {
        self.take_threadsafe(py, handle);
    }

    /// Wakes the loop if it sleeps.
    #[pyo3(name = "_ring")]
    fn ring(&self) {
        if self.inbox.must_ring() {
            self.epoll.ring();
        }
    }

    /// Notes that a timer was cancelled, so that it does not stay until its time.
    #[pyo3(name = "_timer_handle_cancelled")]
    fn timer_handle_cancelled(&self, _handle: &Bound<'_, PyAny>) {
        self.note_cancelled();
    }

    /// Whether calls go through the complete methods, which look at everything.
    #[pyo3(name = "_set_debugging")]
    fn set_debugging(&self, is_debugging: bool) {
        self.is_debugging.store(is_debugging, Ordering::Relaxed);
    }

    /// Whether tasks are made by a factory of the program.
    #[pyo3(name = "_set_task_factory")]
    fn set_task_factory(&self, is_set: bool) {
        self.has_task_factory.store(is_set, Ordering::Relaxed);
    }

    /// Sets the handle that hears of a descriptor; returns the one that did so far.
    #[pyo3(name = "_watch")]
    fn watch_descriptor(&self, descriptor: RawFd, is_writer: bool, handle: Py<PyAny>) -> PyResult<Option<Py<PyAny>>> {
        let previous = self.watch.close().set(descriptor, side(is_writer), Hearer::Handle(handle));
        Ok(previous.map_err(|error| os_error(&error))?.and_then(into_handle))
    }

    /// No handle hears of a descriptor any more, or not `only` this one; returns the one that did.
    #[pyo3(name = "_unwatch", signature = (descriptor, is_writer, only=None))]
    fn unwatch_descriptor(
        &self,
        descriptor: RawFd,
        is_writer: bool,
        only: Option<&Bound<'_, PyAny>>,
    ) -> Option<Py<PyAny>> {
        let mut watch = self.watch.close();
        let is_another = only.is_some_and(|only| {
            !matches!(watch.present(descriptor, side(is_writer)), Some(Hearer::Handle(handle)) if handle.is(only))
        });
        let previous = if is_another { None } else { watch.clear(descriptor, side(is_writer)) };
        drop(watch);
        previous.and_then(into_handle)
    }

    /// Whether somebody hears of a descriptor: of what can be read, and of when it can be written to.
    #[pyo3(name = "_is_watched")]
    fn is_watched(&self, descriptor: RawFd) -> (bool, bool) {
        let watch = self.watch.close();
        (watch.present(descriptor, Side::Read).is_some(), watch.present(descriptor, Side::Write).is_some())
    }

    /// The numbers of callbacks that are ready, of timers, and of descriptors that are watched.
    #[pyo3(name = "_counts")]
    pub(super) fn counts(&self, py: Python<'_>) -> (usize, usize, usize) {
        (self.ready.close(py).len() + self.inbox.len(), self.timers.close().len(), self.watch.close().len())
    }

    /// The descriptor that is readable while there is news for the loop; -1 when it is closed.
    #[pyo3(name = "_descriptor")]
    fn descriptor(&self) -> RawFd {
        self.epoll.number()
    }

    /// Drops all callbacks, and gives back descriptors and memory; no callback is taken any more.
    #[pyo3(name = "_close")]
    fn close(&self, py: Python<'_>) {
        // Whoever brings a callback from another thread looks at this afterwards, and this thread looks for it.
        self.is_closed.store(true, Ordering::SeqCst);
        self.clear(py);
        self.epoll.close();
        let receiving = std::mem::take(&mut *self.receiving.close());
        let batch = self.datagrams.close().take();
        drop((receiving, batch));
        self.sockets.give_back();
    }

    /// Leaves what the kernel knows of the descriptors to the parent, in the child of a fork.
    #[pyo3(name = "_after_fork")]
    fn after_fork(&self) -> PyResult<()> {
        if self.is_closed() {
            return Ok(());
        }
        self.inbox.wake();
        let renewed = self.watch.close().renew();
        renewed.map_err(|error| os_error(&error))
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        if !self.constructed.is_true() {
            return Ok(());
        }
        // Nobody can look into the inbox: what is there is shown among what is ready.
        while let Some(handle) = self.inbox.take() {
            self.ready.visit(&visit).push_back(handle);
        }
        self.ready.visit(&visit).iter().try_for_each(|handle| handles::traverse(handle, &visit))?;
        visit.call(&*self.crowds_context.visit(&visit))?;
        self.timers.close().values().try_for_each(|handle| handles::traverse(handle, &visit))?;
        self.spare_futures.visit(&visit).iter().try_for_each(|future| visit.call(future))?;
        self.watch.close().watchers().try_for_each(|hearer| hearer.traverse(&visit))
    }

    fn __clear__(&self, py: Python<'_>) {
        self.clear(py);
    }
}

impl EventLoopCore {
    /// Makes ready what other threads brought.
    pub(super) fn empty_inbox(&self, py: Python<'_>) {
        while let Some(handle) = self.inbox.take() {
            self.ready.close(py).push_back(handle);
        }
    }

    fn drop_inbox(&self) {
        while let Some(handle) = self.inbox.take() {
            drop(handle);
        }
    }

    /// Whether everything is looked at, and told.
    pub(super) fn is_in_debug_mode(&self) -> bool {
        self.is_debugging.load(Ordering::Relaxed)
    }

    /// Whether nothing is taken any more.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    /// Ends the wait of a task for a future that is nobody else's matter: it goes on when all that is ready has run. False, and
    /// nothing has changed, if the future's own methods must end it.
    #[inline]
    pub(super) fn finish(&self, future: &Bound<'_, PyAny>) -> bool {
        let is_finished = Scheduler::is_plain(self) && futures::finish(future);
        if is_finished {
            self.take_soon(future.py(), future.clone().unbind());
        }
        is_finished
    }

    /// A future that has served and is pending again.
    #[inline]
    pub(super) fn take_spare_future(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        if Scheduler::is_plain(self) { self.spare_futures.close(py).pop() } else { None }
    }

    /// Keeps a future for a wait to come, if nobody else has it.
    #[inline]
    pub(super) fn keep_future(&self, future: Bound<'_, PyAny>) {
        let py = future.py();
        let Some(future) = futures::reuse(future) else { return };
        let mut spare = self.spare_futures.close(py);
        if spare.len() < MOST_SPARE {
            spare.push(future);
        }
    }

    /// A turn is over: no context is kept for a crowd that was.
    #[inline]
    pub(super) fn note_turn(&self, py: Python<'_>) {
        let count = self.copy_count.load(Ordering::Relaxed);
        if count != 0 {
            self.copy_count.store(0, Ordering::Relaxed);
        }
        if count > CROWD {
            let context = self.crowds_context.close(py).take();
            drop(context);
        }
    }

    /// Drops all callbacks, outside the latches: their ends may run any code.
    fn clear(&self, py: Python<'_>) {
        let ready = std::mem::take(&mut *self.ready.close(py));
        let timers = self.timers.close().take_all();
        let watchers = self.watch.close().take_all();
        let context = self.crowds_context.close(py).take();
        let futures = std::mem::take(&mut *self.spare_futures.close(py));
        drop((ready, timers, watchers, context, futures));
        self.drop_inbox();
    }
}

impl TaskMaker for EventLoopCore {
    #[inline]
    fn is_debugging(&self) -> bool {
        self.is_debugging.load(Ordering::Relaxed)
    }

    #[inline]
    fn makes_plain_tasks(&self) -> bool {
        Scheduler::is_plain(self) && !self.has_task_factory.load(Ordering::Relaxed)
    }
}

impl Scheduler for EventLoopCore {
    #[inline]
    fn is_plain(&self) -> bool {
        !self.is_debugging.load(Ordering::Relaxed) && !self.is_closed.load(Ordering::Relaxed)
    }

    /// What other threads brought before comes before it.
    #[inline]
    fn take_soon(&self, py: Python<'_>, handle: Py<PyAny>) {
        if !self.inbox.is_empty() {
            self.empty_inbox(py);
        }
        self.ready.close(py).push_back(handle);
    }

    fn take_at(&self, when: f64, handle: Py<PyAny>) {
        self.timers.close().add(when, handle);
    }

    fn take_threadsafe(&self, _py: Python<'_>, handle: Py<PyAny>) {
        if self.inbox.put(handle) {
            self.epoll.ring();
        }
        // It has come too late for `close` to drop it.
        if self.is_closed.load(Ordering::SeqCst) {
            Python::attach(|_py| self.drop_inbox());
        }
    }

    #[inline]
    fn crowd(&self) -> Option<&SharedContext> {
        // Not counted exactly, where several threads schedule.
        let count = self.copy_count.load(Ordering::Relaxed) + 1;
        self.copy_count.store(count, Ordering::Relaxed);
        (count > CROWD).then_some(&self.crowds_context)
    }

    fn note_cancelled(&self) {
        // Dropped outside the latch, and inside PyO3's bookkeeping.
        let mut timers = self.timers.close();
        let cancelled = if timers.note_cancelled() { timers.take_cancelled(handles::is_cancelled) } else { Vec::new() };
        drop(timers);
        if !cancelled.is_empty() {
            Python::attach(|_py| drop(cancelled));
        }
    }

    /// As the standard library's: nanoseconds as a float, and that divided.
    #[inline]
    #[allow(
        clippy::cast_precision_loss,
        reason = "2^53 ns are a hundred days; the standard library rounds the same way"
    )]
    fn time(&self) -> f64 {
        Instant::now().as_nanos() as f64 / 1e9
    }
}

/// The handle that is to be told that it no longer hears; parts of the engine know by themselves.
fn into_handle(hearer: Hearer) -> Option<Py<PyAny>> {
    match hearer {
        Hearer::Handle(handle) => Some(handle),
        Hearer::Future(_) | Hearer::Native(_) => None,
    }
}

fn side(is_writer: bool) -> Side {
    if is_writer { Side::Write } else { Side::Read }
}

/// Makes two subclasses of the standard library's handles those of our event loop.
///
/// Args:
///     plain: a subclass of `asyncio.Handle`, without slots of its own.
///     timer: a subclass of `asyncio.TimerHandle`, likewise.
///     threadsafe: a subclass of the handle of `call_soon_threadsafe`, likewise; before Python 3.14 it is `plain`.
///     complete: a class with the complete methods `call_soon` and so on.
#[pyfunction]
fn install_handles(
    plain: &Bound<'_, PyType>,
    timer: &Bound<'_, PyType>,
    threadsafe: &Bound<'_, PyType>,
    complete: &Bound<'_, PyType>,
) -> PyResult<()> {
    handles::install::<EventLoopCore>(plain, timer, threadsafe, complete)?;
    tasks::install::<EventLoopCore>(complete)?;
    super::sockets::install(complete)
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<EventLoopCore>()?;
    module.add_function(wrap_pyfunction!(handles::args_of_handle, module)?)?;
    module.add_function(wrap_pyfunction!(handles::context_of_handle, module)?)?;
    module.add_function(wrap_pyfunction!(handles::lock_of_handle, module)?)?;
    module.add_function(wrap_pyfunction!(install_handles, module)?)
}
