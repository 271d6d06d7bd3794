//! The threads that fetch for Python programs: started by the first request, and again by the first one in a forked child.

use std::sync::{Mutex, PoisonError};

use pyo3::PyResult;
use tokio::runtime::{Builder, Handle, Runtime};

/// With the process that it runs in: a forked child has the object, and none of its threads.
static RUNNING: Mutex<Option<(u32, Runtime)>> = Mutex::new(None);

/// One thread carries some 40,000 requests a second; a second one would be woken, for nothing, by most of them.
const THREADS: usize = 1;

/// The runtime of this process.
pub(super) fn handle() -> PyResult<Handle> {
    let process = std::process::id();
    // Nobody waits, calls Python or forks under this lock; a fork lets no other thread of Python run.
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((owner, runtime)) = running.as_ref() {
        if *owner == process {
            return Ok(runtime.handle().clone());
        }
    }
    let runtime =
        Builder::new_multi_thread().worker_threads(THREADS).thread_name("threefold-http").enable_all().build()?;
    let handle = runtime.handle().clone();
    if let Some(inherited) = running.replace((process, runtime)) {
        // Its threads are not here to be ended, and its sockets are the parent's.
        std::mem::forget(inherited);
    }
    Ok(handle)
}
