//! The bridge: CPython's calls in, the crates' primitives out. Conversion only; one file per word.

#![allow(
    clippy::doc_markdown,
    reason = "the comments on Python's methods are their docstrings, in Python's own markup"
)]

mod acquire;
mod barrier;
mod blocking;
mod condition;
mod condition_wait;
mod convert;
mod crawl;
mod event;
mod event_loop;
mod ffi;
mod guard;
mod guests;
mod http;
mod interrupt;
mod kept;
mod kind;
mod lock;
mod names;
mod operation;
mod pool;
mod python;
mod queue;
mod queue_blocking;
mod queue_fast;
mod queue_wait;
mod ranking;
mod rlock;
mod semaphore;
mod shared;
mod simple_queue;
mod sites;
mod trace;
mod wait;
mod waker;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
fn _threefold(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // Cells that would be filled later, while another thread may fork: see `kept`.
    threefold_trace::settle();
    let _made_for_the_first_error = module.py().get_type::<pyo3::panic::PanicException>();
    // And what could no longer be imported when it is needed.
    python::is_finalizing(module.py())?;
    python::finalization_error(module.py())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    lock::register(module)?;
    rlock::register(module)?;
    condition::register(module)?;
    semaphore::register(module)?;
    event::register(module)?;
    barrier::register(module)?;
    queue::register(module)?;
    queue_fast::register(module)?;
    kind::register(module)?;
    event_loop::register(module)?;
    shared::register(module)?;
    pool::register(module)?;
    simple_queue::register(module)?;
    http::register(module)?;
    guests::register(module)?;
    waker::register(module)?;
    trace::register(module)?;
    crawl::register(module)?;
    wait::register(module)
}
