//! What the dispatcher wants done in Python, as the tuples that its supervisor takes.

use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use threefold_pool::{KillReason, WorkerId};

use crate::kept::intern;

/// Something to be done in Python, outside of all locks.
pub(super) enum Command {
    /// Start a process.
    Start(WorkerId),
    /// End a process by force; `dump` is the descriptor to which it writes where it is.
    Kill { worker: WorkerId, reason: KillReason, dump: Option<i32> },
    /// Find out how a process ended.
    Exited(WorkerId),
    /// A call or a collected map is over.
    End { ticket: Py<PyAny>, is_success: bool, value: Py<PyAny> },
    /// The next chunk of a map.
    Add { ticket: Py<PyAny>, is_success: bool, value: Py<PyAny>, item_count: usize },
    /// A map gives no more.
    EndMap { ticket: Py<PyAny>, error: Option<Py<PyAny>> },
    /// So many items of a collected map are over.
    Progress { ticket: Py<PyAny>, done_count: usize },
    /// So many chunks are wanted of a map's source; `None`: no more.
    Read { wanted: Py<PyAny>, chunk_count: Option<u64> },
    /// All is over.
    Finished,
}

impl Command {
    fn into_tuple(self, py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
        match self {
            Self::Start(worker) => (intern!(py, "start"), worker.0).into_pyobject(py),
            Self::Kill { worker, reason, dump } => {
                let name = match reason {
                    KillReason::TimedOut(_) => "timed_out",
                    KillReason::Cancelled(_) => "cancelled",
                    KillReason::TooLarge => "too_large",
                    KillReason::GraceOver => "grace_over",
                    KillReason::Terminated => "terminated",
                };
                (intern!(py, "kill"), worker.0, name, reason.job().map(|job| job.0), dump).into_pyobject(py)
            }
            Self::Exited(worker) => (intern!(py, "exited"), worker.0).into_pyobject(py),
            Self::End { ticket, is_success, value } => {
                (intern!(py, "end"), ticket, is_success, value).into_pyobject(py)
            }
            Self::Add { ticket, is_success, value, item_count } => {
                (intern!(py, "add"), ticket, is_success, value, item_count).into_pyobject(py)
            }
            Self::EndMap { ticket, error } => (intern!(py, "end_map"), ticket, error).into_pyobject(py),
            Self::Progress { ticket, done_count } => (intern!(py, "progress"), ticket, done_count).into_pyobject(py),
            Self::Read { wanted, chunk_count } => (intern!(py, "read"), wanted, chunk_count).into_pyobject(py),
            Self::Finished => (intern!(py, "finished"),).into_pyobject(py),
        }
    }
}

pub(super) fn to_list(py: Python<'_>, commands: Vec<Command>) -> PyResult<Py<PyList>> {
    let list = PyList::empty(py);
    for command in commands {
        list.append(command.into_tuple(py)?)?;
    }
    Ok(list.unbind())
}
