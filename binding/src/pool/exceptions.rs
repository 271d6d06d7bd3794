//! What goes wrong with a pool, as Python exceptions.

use pyo3::exceptions::{PyMemoryError, PyOSError};
use pyo3::prelude::*;
use threefold_pool::local::LinkError;
use threefold_pool::{Death, Ended, Outcome, Refused, StartFailure, StartTrouble};
use threefold_shared_memory::ring::RingError;

use crate::kept::Kept;

pub(super) fn link_error(error: &LinkError) -> PyErr {
    match error {
        LinkError::Ring(RingError::Full { .. }) => PyMemoryError::new_err(error.to_string()),
        LinkError::System(cause) => match cause.raw_os_error() {
            Some(number) => PyOSError::new_err((number, error.to_string())),
            None => PyOSError::new_err(error.to_string()),
        },
        _ => PyOSError::new_err(error.to_string()),
    }
}

/// `threefold._pool.seam.Refused`; `failure` says why there are no workers.
pub(super) fn refused(py: Python<'_>, refused: &Refused, failure: Option<Py<PyAny>>) -> PyErr {
    static CLASS: Kept<PyAny> = Kept::new();
    let class = CLASS.get_or_find(py, || py.import("threefold._pool.seam")?.getattr("Refused"));
    match class.and_then(|class| class.call1((refused.to_string(), failure.is_some(), failure))) {
        Ok(error) => PyErr::from_value(error),
        Err(error) => error,
    }
}

/// What `errors.from_outcome` is told of a job that did not return, beside the job itself.
pub(super) struct Description {
    pub(super) kind: &'static str,
    pub(super) pid: Option<u32>,
    pub(super) code: Option<i32>,
    pub(super) is_out_of_memory: bool,
}

impl Description {
    pub(super) fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::TimedOut(death) => Self::of_death("timed_out", death),
            Outcome::WorkerDied(death) => Self::of_death("worker_died", death),
            Outcome::NoWorker(failure) => Self::of_failure(failure),
            Outcome::Cancelled => Self::plain("cancelled"),
            Outcome::Terminated => Self::plain("terminated"),
            Outcome::Returned | Outcome::Raised | Outcome::Unsendable | Outcome::SourceFailed => Self::plain("failed"),
        }
    }

    fn plain(kind: &'static str) -> Self {
        Self { kind, pid: None, code: None, is_out_of_memory: false }
    }

    fn of_death(kind: &'static str, death: &Death) -> Self {
        let is_out_of_memory = death.exit.is_out_of_memory;
        Self { kind, pid: Some(death.pid), code: code(death.exit.ended), is_out_of_memory }
    }

    fn of_failure(failure: &StartFailure) -> Self {
        match failure.trouble {
            StartTrouble::InitializerFailed => Self { pid: failure.pid, ..Self::plain("initializer_failed") },
            StartTrouble::NotStarted { os_error } => Self { code: os_error, ..Self::plain("not_started") },
            StartTrouble::Died(exit) => {
                let is_out_of_memory = exit.is_out_of_memory;
                Self { kind: "died_at_start", pid: failure.pid, code: code(exit.ended), is_out_of_memory }
            }
        }
    }
}

/// As `Process.exitcode`: the code, or the negative number of the signal.
fn code(ended: Ended) -> Option<i32> {
    match ended {
        Ended::Code(code) => Some(code),
        Ended::Signal(signal) => Some(-signal),
        Ended::Unknown => None,
    }
}
