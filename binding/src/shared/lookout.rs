//! The thread that waits for the tasks of this process: started by the first wait that must wait, stopped around `fork`
//! and at the end of the program. README of crates/shared_memory, section "Tasks".

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use threefold_shared_memory::lookout::{Chosen, Lookout, Shift};
use threefold_sys::{fork, process, signal};

/// Locked by threads that start or stop the thread, which itself never asks for it.
static PRESENT: Mutex<Option<Present>> = Mutex::new(None);

#[derive(Debug)]
struct Present {
    generation: u32,
    shift: Arc<Shift>,
    thread: JoinHandle<()>,
}

/// This process's thread, if there is one; that of an ancestor does not exist here, and must not be touched.
fn present() -> MutexGuard<'static, Option<Present>> {
    let mut present = PRESENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(ancestor) = present.take_if(|present| present.generation != fork::generation()) {
        std::mem::forget(ancestor);
    }
    present
}

/// Starts the thread.
///
/// # Errors
/// When the system gives none.
pub(super) fn start(py: Python<'_>) -> PyResult<()> {
    let started = set_hooks(py).and_then(|()| spawn());
    if started.is_err() {
        Lookout::current().forget_watch();
    }
    started
}

fn spawn() -> PyResult<()> {
    let shift = Arc::new(Shift::default());
    let its_own = Arc::clone(&shift);
    let builder = std::thread::Builder::new().name("threefold-tasks".to_owned());
    let spawned = signal::with_all_blocked(|| builder.spawn(move || Lookout::current().keep_watch(&its_own, fire)));
    let thread = spawned.map_err(|error| PyRuntimeError::new_err(format!("can't start new thread: {error}")))?;
    let previous = present().replace(Present { generation: fork::generation(), shift, thread });
    drop(previous);
    Ok(())
}

/// Wakes tasks; not any more when the interpreter ends, since nobody is left to run them.
fn fire(chosen: Chosen) {
    let _ending = Python::try_attach(|_py| chosen.wake());
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

/// Stops the thread if it sleeps, since Python warns when a process with more than one thread forks.
///
/// Attached all the while: a fork lets no other thread run before the child is there. A thread that is just waking tasks
/// wants to attach, and is left alone.
#[pyfunction]
#[pyo3(name = "_before_fork")]
fn before_fork() {
    let lookout = Lookout::current();
    let Some(stopped) = present().take_if(|present| present.shift.stop_if_asleep(lookout)) else { return };
    let _never_panics = stopped.thread.join();
    process::await_end_of_thread(stopped.shift.kernel_id());
    WAS_STOPPED.store(true, Ordering::Relaxed);
}

/// Whether a thread was stopped for the fork that is under way.
static WAS_STOPPED: AtomicBool = AtomicBool::new(false);

/// Goes on after a fork.
#[pyfunction]
#[pyo3(name = "_after_fork_in_parent")]
fn after_fork_in_parent(py: Python<'_>) -> PyResult<()> {
    if !WAS_STOPPED.swap(false, Ordering::Relaxed) {
        return Ok(());
    }
    let lookout = Lookout::current();
    lookout.forget_watch();
    if cfg!(all(Py_3_13, not(Py_3_14))) {
        // 3.13 counts the threads only after this hook: the tasks start one when they look for themselves.
        lookout.wake_all();
        return Ok(());
    }
    if lookout.needs_watch() { start(py) } else { Ok(()) }
}

/// Stops the thread before the interpreter ends.
#[pyfunction]
#[pyo3(name = "_stop")]
fn stop(py: Python<'_>) {
    let lookout = Lookout::current();
    let Some(stopped) = present().take() else { return };
    stopped.shift.stop(lookout);
    py.detach(|| {
        let _never_panics = stopped.thread.join();
    });
    lookout.forget_watch();
}
