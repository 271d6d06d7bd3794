//! What the sentry does attached: asks Python what a loop is at, and what its tasks await.

use std::sync::atomic::Ordering;

use pyo3::prelude::*;
use pyo3::types::PyList;
use threefold_sys::slot;
use threefold_trace::{LoopTold, Owner, TaskTold, Told};

use super::super::state::EventLoopCore;
use super::looking::{Findings, LIMIT, Looking};
use super::{IS_WANTED, Post};
use crate::kept::Kept;

static DESCRIBE_BLOCK: Kept<PyAny> = Kept::new();
static DESCRIBE_TASKS: Kept<PyAny> = Kept::new();

/// Tells what was found: a loop that is blocked to the program's user, and tasks to whoever asked.
pub(super) fn tell(py: Python<'_>, looking: &mut Looking, findings: &Findings) {
    for &place in &findings.blocked {
        if let Err(error) = tell_of_block(py, looking, place) {
            error.write_unraisable(py, None);
        }
    }
    if let Some(question) = findings.question {
        // Who asked finds out that there is no answer.
        let _unanswered = describe_all(py, &findings.posts).map(|told| threefold_trace::answer(question, &told));
    }
}

/// A task's name and address, or none, and a line of the program.
type Block = (Option<String>, usize, Option<String>);

fn tell_of_block(py: Python<'_>, looking: &mut Looking, place: usize) -> PyResult<()> {
    let Some(sight) = looking.sight(place) else { return Ok(()) };
    let Some(event_loop) = sight.post.event_loop(py) else { return Ok(()) };
    let describe =
        DESCRIBE_BLOCK.get_or_find(py, || py.import("threefold.asyncio._visible")?.getattr("describe_block"))?;
    // What holds the interpreter lets nobody look. If the callback is over by now, its name is gone with it.
    let handle = if sight.stands_still() { sight.post.mark.handle(py) } else { None };
    let seconds = threefold_sys::clock::Instant::now().since(sight.since).as_secs_f64();
    let identifier = slot::identifier(sight.slot());
    let arguments = (event_loop, identifier, handle, seconds, sight.stands_still());
    let (name, address, site): Block = describe.call1(arguments)?.extract()?;
    if sight.stands_still() {
        let owner = if address == 0 { sight.owner() } else { Owner::task_of(sight.slot(), address) };
        let text = |text: Option<String>| threefold_trace::intern(&text.unwrap_or_default());
        sight.show(owner, text(name), text(site));
    }
    Ok(())
}

fn describe_all(py: Python<'_>, posts: &[std::sync::Arc<Post>]) -> PyResult<Told> {
    let describe =
        DESCRIBE_TASKS.get_or_find(py, || py.import("threefold.asyncio._visible")?.getattr("describe_tasks"))?;
    let mut told = Told::default();
    for post in posts {
        let Some(event_loop) = post.event_loop(py) else { continue };
        let slot = post.slot.load(Ordering::Relaxed);
        let before = told.tasks.len();
        let described = describe.call1((&event_loop,))?;
        let described = described.cast::<PyList>()?;
        let mut task_count = 0;
        for task in described {
            let (address, name, awaits, awaited, site): (usize, String, String, usize, String) = task.extract()?;
            told.tasks.push(TaskTold { slot, address, name, awaits, awaited, site });
            task_count += 1;
        }
        debug_assert_eq!(told.tasks.len() - before, task_count);
        let core = event_loop.cast::<EventLoopCore>()?.get();
        let (ready_count, timer_count, descriptor_count) = core.counts(py);
        told.loops.push(LoopTold {
            slot,
            task_count: task_count as u64,
            ready_count: ready_count as u64,
            timer_count: timer_count as u64,
            descriptor_count: descriptor_count as u64,
            is_asleep: post.mark.seen().is_asleep(),
        });
    }
    Ok(told)
}

/// Sets after how many seconds a callback is said to block its loop; 0 looks after no loop at all.
#[pyfunction]
#[pyo3(name = "_look_after_loops")]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "milliseconds, not negative")]
fn look_after_loops(seconds: f64) {
    let milliseconds = (seconds.clamp(0.0, 1e9) * 1e3).ceil() as u64;
    LIMIT.store(milliseconds, Ordering::Relaxed);
    IS_WANTED.store(milliseconds > 0, Ordering::Relaxed);
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(look_after_loops, module)?)
}
