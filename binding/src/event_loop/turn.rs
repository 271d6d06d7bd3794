//! A turn of an event loop: news of descriptors, timers, the inbox, and then the callbacks that are ready.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use threefold_event_loop::Watch;
use threefold_event_loop::watch::Side;
use threefold_sys::clock::Instant;
use threefold_sys::epoll::Event;
use threefold_sys::slot;

use super::hearer::Hearer;
use super::sentry;
use super::sockets::os_error;
use super::state::EventLoopCore;
use super::stream::leaves_loop;
use crate::ffi::futures;
use crate::ffi::handles::{self, Ran, Scheduler};
use crate::interrupt::SLICE;
use crate::kept::intern;

/// While callbacks are ready, descriptors are asked for news no more often than this: a look costs as much as several
/// callbacks.
const LOOK_EVERY: u64 = 50_000; // nanoseconds
/// The longest sleep in one piece.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// What the clock may be late by when a timer is due.
const RESOLUTION: f64 = 1e-9; // seconds

/// Runs turns until the loop is told to stop.
///
/// # Errors
/// `KeyboardInterrupt` and `SystemExit` from a callback; what a signal handler raises.
pub(super) fn run_until_stopped(this: &Bound<'_, EventLoopCore>) -> PyResult<()> {
    let core = this.get();
    core.looked_at.store(0, Ordering::Relaxed);
    let _on_post = sentry::begin(this)?;
    loop {
        let earlier_count = take_news(this)?;
        run_ready(this, earlier_count)?;
        core.note_turn(this.py());
        if core.is_stopping.load(Ordering::Relaxed) {
            core.is_stopping.store(false, Ordering::Relaxed);
            return Ok(());
        }
    }
}

/// Makes ready what the kernel, the clock and other threads bring; sleeps while nothing is ready.
///
/// Returns how many callbacks were ready before: they run before anybody hears of the news.
fn take_news(this: &Bound<'_, EventLoopCore>) -> PyResult<usize> {
    let (py, core) = (this.py(), this.get());
    sentry::go_on_after_fork(py)?;
    let earlier_count = core.ready.close(py).len();
    let is_idle = earlier_count == 0 && !core.is_stopping.load(Ordering::Relaxed);
    let limit = if is_idle { until_first_timer(core) } else { Some(Duration::ZERO) };
    if limit == Some(Duration::ZERO) {
        let now = Instant::now().as_nanos();
        if now.saturating_sub(core.looked_at.load(Ordering::Relaxed)) >= LOOK_EVERY {
            // Callbacks that are no Python code would never let a signal through.
            py.check_signals()?;
            look(py, core, Duration::ZERO)?;
            core.looked_at.store(now, Ordering::Relaxed);
        }
    } else {
        sleep(py, core, limit)?;
        core.looked_at.store(Instant::now().as_nanos(), Ordering::Relaxed);
    }
    make_due_ready(py, core);
    if !core.inbox.is_empty() {
        core.empty_inbox(py);
    }
    Ok(earlier_count)
}

/// How long the loop may sleep; `None` is for ever.
fn until_first_timer(core: &EventLoopCore) -> Option<Duration> {
    loop {
        // Dropped outside the latch.
        let cancelled = core.timers.close().pop_cancelled(handles::is_cancelled);
        if cancelled.is_none() {
            break;
        }
    }
    let first = core.timers.close().first()?;
    let left = first - Scheduler::time(core);
    Some(Duration::try_from_secs_f64(left.max(0.0)).unwrap_or(LONGEST).min(LONGEST))
}

fn make_due_ready(py: Python<'_>, core: &EventLoopCore) {
    if core.timers.close().is_empty() {
        return;
    }
    let now = Scheduler::time(core) + RESOLUTION;
    loop {
        let Some(handle) = core.timers.close().pop_due(now) else { return };
        core.ready.close(py).push_back(handle);
    }
}

/// Sleeps until there is news, the inbox has something, a signal handler has made something ready, or `limit` is over.
fn sleep(py: Python<'_>, core: &EventLoopCore, limit: Option<Duration>) -> PyResult<()> {
    let deadline = limit.map(|limit| Instant::now().after(limit));
    let is_main_thread = slot::is_main_thread();
    loop {
        py.check_signals()?;
        if !core.ready.close(py).is_empty() || core.is_stopping.load(Ordering::Relaxed) {
            return Ok(());
        }
        let left = deadline.map(|deadline| deadline.since(Instant::now()));
        // A signal that arrives just before the main thread falls asleep is seen after this time.
        let piece = if is_main_thread { left.map_or(SLICE, |left| left.min(SLICE)) } else { left.unwrap_or(LONGEST) };
        if !core.inbox.may_sleep() {
            return look(py, core, Duration::ZERO).map(drop);
        }
        if look(py, core, piece)? || !core.inbox.is_empty() || left.is_some_and(|left| left <= piece) {
            return Ok(());
        }
    }
}

/// Asks descriptors for news, for `limit` at most, and makes ready whom it concerns; says whether there was any.
fn look(py: Python<'_>, core: &EventLoopCore, limit: Duration) -> PyResult<bool> {
    let mut events = std::mem::take(&mut *core.events.close());
    let waited = if limit.is_zero() {
        core.epoll.wait(&mut events, Some(limit))
    } else {
        core.mark.fall_asleep();
        let waited = py.detach(|| core.epoll.wait(&mut events, Some(limit)));
        core.mark.step();
        core.inbox.wake();
        waited
    };
    let mut is_news = false;
    // Those that an exception has kept from acting hear by level, and so again.
    core.waiting_natives.close().clear();
    let defers = !core.ready.close(py).is_empty();
    let mut outcome = Ok(());
    match waited {
        Ok(()) => {
            for event in events.iter() {
                is_news = true;
                core.mark.step();
                let told = tell(py, core, event, defers, outcome.is_err());
                outcome = outcome.and(told);
            }
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => py.check_signals()?,
        Err(error) => return Err(os_error(&error)),
    }
    *core.events.close() = events;
    outcome.map(|()| is_news)
}

/// Tells those who hear of a descriptor. Where callbacks are ready already (`defers`), those who act at once act behind them.
///
/// When an exception leaves the loop, those who act at once do not act any more: they hear by level, and so again. Who
/// hears by edge is told in any case.
fn tell(py: Python<'_>, core: &EventLoopCore, event: Event, defers: bool, is_leaving: bool) -> PyResult<()> {
    let first = if event.readable { Side::Read } else { Side::Write };
    let mut watch = core.watch.close();
    watch.note(&event);
    let mut noted = Some(watch.watcher(event.token, first).map(|hearer| hearer.clone_ref(py)));
    drop(watch);
    let mut outcome = Ok(());
    for (is_concerned, side) in [(event.readable, Side::Read), (event.writable, Side::Write)] {
        if !is_concerned {
            continue;
        }
        // Whoever hears of the first side may have changed who hears of the second one.
        let hearer = noted
            .take()
            .unwrap_or_else(|| core.watch.close().watcher(event.token, side).map(|hearer| hearer.clone_ref(py)));
        match hearer {
            Some(Hearer::Native(_)) if is_leaving || outcome.is_err() => {}
            Some(Hearer::Native(_)) if defers => core.waiting_natives.close().push((event.token, side)),
            Some(Hearer::Native(native)) => outcome = native.ready(py, side),
            Some(Hearer::Handle(handle)) if handles::is_cancelled(&handle) => {
                let unwatched = core.watch.close().clear(Watch::<Hearer>::descriptor(event.token), side);
                drop(unwatched);
            }
            Some(Hearer::Handle(handle)) => core.ready.close(py).push_back(handle),
            Some(Hearer::Future(future)) => {
                let unwatched = core.watch.close().clear(Watch::<Hearer>::descriptor(event.token), side);
                drop(unwatched);
                let finished = crate::waker::finish(future.bind(py));
                outcome = outcome.and(finished);
            }
            None => {}
        }
    }
    outcome
}

/// Runs the callbacks that are ready now, and those who act at once behind the earlier ones; what they make ready comes in the
/// next turn.
fn run_ready(this: &Bound<'_, EventLoopCore>, earlier_count: usize) -> PyResult<()> {
    let count = this.get().ready.close(this.py()).len();
    run_first(this, earlier_count)?;
    act(this)?;
    run_first(this, count.saturating_sub(earlier_count))
}

/// Lets those act who had to wait for earlier callbacks.
fn act(this: &Bound<'_, EventLoopCore>) -> PyResult<()> {
    let (py, core) = (this.py(), this.get());
    if core.waiting_natives.close().is_empty() {
        return Ok(());
    }
    let mut waiting = std::mem::take(&mut *core.waiting_natives.close());
    let outcome = waiting.iter().try_for_each(|&(token, side)| {
        core.mark.step();
        // Nobody: a callback has ended it meanwhile.
        let hearer = core.watch.close().watcher(token, side).map(|hearer| hearer.clone_ref(py));
        if let Some(Hearer::Native(native)) = hearer { native.ready(py, side) } else { Ok(()) }
    });
    waiting.clear();
    *core.waiting_natives.close() = waiting;
    outcome
}

/// Runs the first callbacks of those that are ready.
fn run_first(this: &Bound<'_, EventLoopCore>, count: usize) -> PyResult<()> {
    let (py, core) = (this.py(), this.get());
    for _ in 0..count {
        // None: a callback has closed the loop.
        let Some(handle) = core.ready.close(py).pop_front() else { return Ok(()) };
        let handle = handle.into_bound(py);
        core.mark.runs(&handle);
        let ran = if core.is_debugging.load(Ordering::Relaxed) { Ran::Foreign } else { handles::run(&handle) };
        core.mark.has_run();
        match ran {
            Ran::Done => handles::release(handle),
            Ran::Raised(error) => report(this, &handle, error)?,
            Ran::Foreign if futures::is_known(&handle) => resume(this, handle)?,
            Ran::Foreign => {
                core.mark.runs(&handle);
                let outcome = this.call_method1(intern!(py, "_run_handle"), (&handle,));
                core.mark.has_run();
                drop(outcome?);
            }
        }
    }
    Ok(())
}

/// Goes on with a task that waited for a future.
fn resume(this: &Bound<'_, EventLoopCore>, future: Bound<'_, PyAny>) -> PyResult<()> {
    let core = this.get();
    core.mark.runs(&future);
    let outcome = futures::resume(&future);
    core.mark.has_run();
    core.keep_future(future);
    outcome.or_else(|error| report_of_task(this, error))
}

/// A task tells of what its coroutine raised; this would be the interpreter's own.
#[cold]
fn report_of_task(this: &Bound<'_, EventLoopCore>, error: PyErr) -> PyResult<()> {
    let py = this.py();
    if leaves_loop(py, &error) {
        return Err(error);
    }
    let context = PyDict::new(py);
    context.set_item("message", "Exception while a task was resumed")?;
    context.set_item("exception", error.into_value(py))?;
    this.call_method1(intern!(py, "call_exception_handler"), (context,)).map(drop)
}

/// What a callback raised goes to the loop's exception handler, or out of the loop.
#[cold]
fn report(this: &Bound<'_, EventLoopCore>, handle: &Bound<'_, PyAny>, error: PyErr) -> PyResult<()> {
    let py = this.py();
    if leaves_loop(py, &error) {
        return Err(error);
    }
    this.call_method1(intern!(py, "_report_callback"), (handle, error.into_value(py))).map(drop)
}
