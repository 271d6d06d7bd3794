//! The sentry's thread: its sleep, and how it is stopped.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use threefold_sys::clock::Instant;
use threefold_sys::{fork, futex, process, signal};

use super::looking::Looking;
use super::{CALL, call, posts, telling};

/// Between two looks.
const TICK: Duration = Duration::from_millis(200);
/// From its start to the first look: what is over sooner has made no wait table.
const FIRST_TICK: Duration = Duration::from_millis(50);
/// Looks at an empty list before it rests until it is called: who runs one loop after another need not call it each time.
const LOOKS_BEFORE_REST: u32 = 5;
/// A fork waits so long at a time while it looks.
const MOMENT: Duration = Duration::from_micros(20);

/// It looks, needs nobody, and will sleep again at once.
const LOOKING: u8 = 0;
const ASLEEP: u8 = 1;
/// It is attached, or wants to be.
const TELLING: u8 = 2;
const STOPPED: u8 = 3;

#[derive(Debug, Default)]
struct Shift {
    state: AtomicU8,
    /// The kernel's number of the thread; 0 until it runs.
    kernel_id: AtomicU32,
}

impl Shift {
    fn change(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

#[derive(Debug)]
struct Present {
    generation: u32,
    shift: Arc<Shift>,
    thread: JoinHandle<()>,
}

/// Locked by threads that start or stop the sentry, which itself never asks for it.
static PRESENT: Mutex<Option<Present>> = Mutex::new(None);
/// Fork generation plus one in which there is a sentry; 0 = none.
static PRESENT_IN: AtomicU32 = AtomicU32::new(0);
/// Whether the interpreter ends.
static IS_OVER: AtomicBool = AtomicBool::new(false);

/// This process's sentry, if there is one; that of an ancestor does not exist here, and must not be touched.
fn present() -> MutexGuard<'static, Option<Present>> {
    let mut present = PRESENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(ancestor) = present.take_if(|present| present.generation != fork::generation()) {
        std::mem::forget(ancestor);
    }
    present
}

/// Starts the sentry if there is none. Without a thread to be had, loops run unseen.
#[inline]
pub(super) fn start_if_needed(py: Python<'_>) -> PyResult<()> {
    if PRESENT_IN.load(Ordering::Relaxed) == fork::generation() + 1 { Ok(()) } else { start(py) }
}

#[cold]
fn start(py: Python<'_>) -> PyResult<()> {
    if IS_OVER.load(Ordering::Relaxed) {
        return Ok(());
    }
    set_hooks(py)?;
    let mut place = present();
    if place.is_none() {
        let shift = Arc::new(Shift::default());
        let its_own = Arc::clone(&shift);
        let builder = std::thread::Builder::new().name("threefold-loops".to_owned()).stack_size(STACK_BYTES);
        let Ok(thread) = signal::with_all_blocked(|| builder.spawn(move || keep_watch(&its_own))) else {
            return Ok(());
        };
        *place = Some(Present { generation: fork::generation(), shift, thread });
    }
    PRESENT_IN.store(fork::generation() + 1, Ordering::Relaxed);
    Ok(())
}

/// How long the end of the interpreter waits for the sentry.
const ENDING: Duration = Duration::from_secs(1);

/// As much as Python's own threads may use when they describe what they find.
const STACK_BYTES: usize = 4 * 1024 * 1024;

fn keep_watch(shift: &Shift) {
    shift.kernel_id.store(process::thread_id(), Ordering::Release);
    let mut looking = Looking::default();
    let mut empty_looks = 0;
    let mut tick = FIRST_TICK;
    loop {
        let seen_call = CALL.load(Ordering::SeqCst);
        let is_empty = {
            let mut posts = posts();
            posts.is_resting = posts.all.is_empty() && empty_looks >= LOOKS_BEFORE_REST;
            posts.all.is_empty()
        };
        empty_looks = if is_empty { empty_looks + 1 } else { 0 };
        let until = (empty_looks <= LOOKS_BEFORE_REST).then(|| Instant::now().after(tick));
        tick = TICK;
        if !shift.change(LOOKING, ASLEEP) {
            return;
        }
        let _look_again = futex::wait(&CALL, seen_call, until);
        if !shift.change(ASLEEP, LOOKING) {
            return;
        }
        let Some(findings) = looking.look(TICK) else { continue };
        if !shift.change(LOOKING, TELLING) {
            return;
        }
        // Not any more when the interpreter ends.
        let _ending = Python::try_attach(|py| telling::tell(py, &mut looking, &findings));
        drop(findings);
        if !shift.change(TELLING, LOOKING) {
            return;
        }
    }
}

fn set_hooks(py: Python<'_>) -> PyResult<()> {
    static ARE_SET: AtomicBool = AtomicBool::new(false);
    if ARE_SET.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let hooks = PyDict::new(py);
    hooks.set_item("before", pyo3::wrap_pyfunction!(before_fork, py)?)?;
    hooks.set_item("after_in_parent", pyo3::wrap_pyfunction!(after_fork_in_parent, py)?)?;
    py.import("os")?.getattr("register_at_fork")?.call((), Some(&hooks))?;
    py.import("atexit")?.call_method1("register", (pyo3::wrap_pyfunction!(stop, py)?,))?;
    Ok(())
}

/// Stops the sentry if it sleeps, since Python warns when a process with more than one thread forks.
///
/// Attached all the while: a fork lets no other thread run before the child is there. While the sentry looks it may hold
/// locks that the child would find closed, so that is waited for; while it tells it wants to attach, and is left alone.
#[pyfunction]
#[pyo3(name = "_before_fork")]
fn before_fork() {
    let mut place = present();
    let Some(sentry) = place.as_ref() else { return };
    while !sentry.shift.change(ASLEEP, STOPPED) {
        match sentry.shift.state.load(Ordering::SeqCst) {
            LOOKING => futex::pause(MOMENT),
            ASLEEP => {}
            _ => return,
        }
    }
    let Some(stopped) = place.take() else { return };
    drop(place);
    PRESENT_IN.store(0, Ordering::Relaxed);
    call();
    let _never_panics = stopped.thread.join();
    process::await_end_of_thread(stopped.shift.kernel_id.load(Ordering::Acquire));
    WAS_STOPPED.store(true, Ordering::Relaxed);
}

/// Whether the sentry was stopped for a fork and not started again yet.
static WAS_STOPPED: AtomicBool = AtomicBool::new(false);

/// Starts the sentry again in the turn after a fork.
#[inline]
pub(in super::super) fn go_on_after_fork(py: Python<'_>) -> PyResult<()> {
    if WAS_STOPPED.load(Ordering::Relaxed) { go_on(py) } else { Ok(()) }
}

#[cold]
fn go_on(py: Python<'_>) -> PyResult<()> {
    WAS_STOPPED.store(false, Ordering::Relaxed);
    // Without a loop it starts with the next one that runs.
    if posts().all.is_empty() { Ok(()) } else { start(py) }
}

/// Goes on after a fork.
#[pyfunction]
#[pyo3(name = "_after_fork_in_parent")]
fn after_fork_in_parent(py: Python<'_>) -> PyResult<()> {
    // 3.13 counts the threads only after this hook: there it goes on in the loop's next turn.
    if cfg!(all(Py_3_13, not(Py_3_14))) { Ok(()) } else { go_on_after_fork(py) }
}

/// Stops the sentry before the interpreter ends.
#[pyfunction]
#[pyo3(name = "_stop")]
fn stop(py: Python<'_>) {
    IS_OVER.store(true, Ordering::Relaxed);
    let Some(stopped) = present().take() else { return };
    PRESENT_IN.store(0, Ordering::Relaxed);
    stopped.shift.state.store(STOPPED, Ordering::SeqCst);
    call();
    // It may be at a stderr that nobody reads: then it is left to the end of the process.
    py.detach(|| {
        let patience = Instant::now().after(ENDING);
        while !stopped.thread.is_finished() && Instant::now() < patience {
            futex::pause(MOMENT);
        }
    });
}
