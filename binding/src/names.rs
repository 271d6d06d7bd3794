//! The names under which threads and tasks appear in the wait table.

use std::cell::Cell;

use pyo3::prelude::*;
use threefold_trace::{ObjectRow, Owner, Text};

use crate::python;

thread_local! {
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
    thread.getattr("_name").ok()?.extract().ok()
}

/// A task's name.
pub(crate) fn task(task: &Bound<'_, PyAny>) -> Text {
    let name = task.call_method0("get_name").and_then(|name| name.extract::<String>());
    name.map_or_else(|_unnamed| threefold_trace::intern("task"), |name| threefold_trace::intern(&name))
}
