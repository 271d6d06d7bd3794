//! The names under which threads and tasks appear in the wait table.

use std::cell::{Cell, RefCell};

use pyo3::prelude::*;
use threefold_trace::{ObjectRow, Owner, Text};

use crate::kept::intern;
use crate::python;

/// How many task names each thread remembers.
const REMEMBERED: usize = 16;

type TaskName = Option<(u32, Py<PyAny>, Text)>;

thread_local! {
    static TASK_NAMES: RefCell<[TaskName; REMEMBERED]> = const { RefCell::new([const { None }; REMEMBERED]) };
    /// This thread's name, once known, and the fork generation whose wait table knows it.
    static NAME: Cell<Option<(u32, Text)>> = const { Cell::new(None) };
}

/// The calling thread's name; looked up at its first wait.
pub(crate) fn current_thread(py: Python<'_>) -> Text {
    let generation = threefold_sys::fork::generation();
    match NAME.get() {
        Some((known_in, name)) if known_in == generation => name,
        _ => {
            let name = name_of(py, threefold_sys::slot::identifier(threefold_sys::slot::current()));
            let name = name.map_or_else(|| threefold_trace::intern("thread"), |name| threefold_trace::intern(&name));
            threefold_trace::name_thread(Owner::thread(), name);
            NAME.set(Some((generation, name)));
            name
        }
    }
}

/// Gives a holder that has never waited its name, so that those who wait for it can show it.
pub(crate) fn name_holder(py: Python<'_>, holder: Owner, row: Option<&ObjectRow>) {
    let holder = row.map_or(holder, ObjectRow::holder).its_thread();
    if holder.is_nobody() || threefold_trace::is_thread_named(holder) {
        return;
    }
    if let Some(name) = name_of(py, threefold_sys::slot::identifier(holder.slot())) {
        threefold_trace::name_thread(holder, threefold_trace::intern(&name));
    }
}

/// The name of the `threading.Thread` with this identifier.
pub(crate) fn name_of(py: Python<'_>, identifier: u64) -> Option<String> {
    let thread = python::active_threads(py).ok()?.get_item(identifier).ok()?;
    thread.getattr(intern!(py, "_name")).ok()?.extract().ok()
}

/// A task's name.
pub(crate) fn task(task: &Bound<'_, PyAny>) -> Text {
    let Ok(name) = task.call_method0(intern!(task.py(), "get_name")) else {
        return threefold_trace::intern("task");
    };
    // Tasks take turns: the names of the last few are remembered, each with its text object, whose address is its own
    // as long as it is held.
    let address = name.as_ptr().addr();
    let place = (address >> 4) % REMEMBERED;
    let generation = threefold_sys::fork::generation();
    let known = TASK_NAMES.with_borrow(|names| match &names[place] {
        Some((known_in, known, text)) if *known_in == generation && known.as_ptr().addr() == address => Some(*text),
        _ => None,
    });
    known.unwrap_or_else(|| {
        let text = name.extract::<String>().map_or_else(|_odd| Text::NONE, |name| threefold_trace::intern(&name));
        let forgotten = TASK_NAMES.with_borrow_mut(|names| names[place].replace((generation, name.unbind(), text)));
        drop(forgotten);
        text
    })
}
