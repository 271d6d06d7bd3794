//! What workers report, and their deaths.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use threefold_pool::local::Frame;
use threefold_pool::{Ended, Exit, JobId, WorkerEvent, WorkerId};

use super::commands::Command;
use super::dispatcher::Dispatcher;
use super::frames;
use super::payload::{self, Parts};
use super::spares::Spares;
use super::state::{State, Value};
use crate::kept::Kept;

/// Reports that are read from one worker before the next one has its turn.
const BURST: usize = 64;

/// A frame of a worker, copied out of its link.
struct Report {
    worker: WorkerId,
    job: JobId,
    content: Content,
}

enum Content {
    Ready,
    InitializerFailed(RemoteError),
    Begun { dump: Option<i32> },
    Returned(Parts),
    Raised(RemoteError),
    Retire,
}

/// An exception's pickle, its description, and the flags of its frame.
struct RemoteError {
    pickled: Py<PyBytes>,
    description: Py<PyBytes>,
    flags: u16,
}

impl Dispatcher {
    /// Takes in what workers have reported; returns how much it was.
    pub(super) fn read_reports(&self, py: Python<'_>) -> usize {
        let workers: Vec<WorkerId> = self.with(|state| state.crew.keys().copied().collect());
        let count = workers.into_iter().map(|worker| self.read_worker(py, worker, BURST)).sum();
        if count > 0 {
            self.with(|state| state.is_room_likely = true);
        }
        count
    }

    fn read_worker(&self, py: Python<'_>, worker: WorkerId, most: usize) -> usize {
        let reports = self.with(|state| state.copy_reports(py, worker, most));
        let count = reports.len();
        for report in reports {
            self.take_in(py, report);
        }
        count
    }

    fn take_in(&self, py: Python<'_>, report: Report) {
        let Report { worker, job, content } = report;
        match content {
            Content::Ready => self.with(|state| state.tell(worker, WorkerEvent::Ready)),
            Content::Retire => self.with(|state| state.tell(worker, WorkerEvent::Retire)),
            Content::Begun { dump } => self.with(|state| {
                if let Some(member) = state.crew.get_mut(&worker) {
                    member.dump = dump;
                }
                state.tell(worker, WorkerEvent::JobStarted(job));
            }),
            Content::InitializerFailed(error) => {
                let error = error.decode(py);
                self.with(|state| {
                    state.note_start_error(error);
                    state.tell(worker, WorkerEvent::InitializerFailed);
                });
            }
            Content::Returned(parts) => {
                let size_bytes = parts.size_bytes(py);
                let (is_success, object) = match parts.into_object(py) {
                    Ok(object) => (true, object),
                    Err(error) => (false, undecodable(py, error, size_bytes)),
                };
                let event = if is_success { WorkerEvent::JobReturned(job) } else { WorkerEvent::JobRaised(job) };
                self.settle(worker, job, Value { is_success, object }, event);
            }
            Content::Raised(error) => {
                let object = error.decode(py);
                self.settle(worker, job, Value { is_success: false, object }, WorkerEvent::JobRaised(job));
            }
        }
    }

    fn settle(&self, worker: WorkerId, job: JobId, value: Value, event: WorkerEvent) {
        self.with(|state| {
            if state.jobs.get(&job).is_some_and(|job| job.is_condemned) {
                return state.discard(value.object);
            }
            // What a worker says of a job that was given to another one in the meantime does not count.
            if state.scheduler.worker_of(job) == Some(worker) {
                state.put_value(job, value);
            } else {
                state.discard(value.object);
            }
            state.tell(worker, event);
        });
    }

    /// A worker's process has ended: takes in what it left, then its end.
    pub(super) fn bury(&self, py: Python<'_>, worker: WorkerId, exit: Exit) {
        while self.read_worker(py, worker, BURST) > 0 {}
        let link = self.with(|state| {
            let begun: Vec<JobId> = state.begun_by(worker);
            for job in begun {
                state.tell(worker, WorkerEvent::JobStarted(job));
            }
            state.tell(worker, WorkerEvent::Exited(exit));
            state.crew.remove(&worker)
        });
        if let Some(member) = link {
            // The workers that were forked since have its memory mapped, too.
            let _gone = member.link.free();
        }
        self.perform(py);
    }
}

impl State {
    fn copy_reports(&mut self, py: Python<'_>, worker: WorkerId, most: usize) -> Vec<Report> {
        let mut reports = Vec::new();
        let Some(member) = self.crew.get_mut(&worker) else { return reports };
        while reports.len() < most {
            let copied = match member.link.next_report() {
                Ok(None) => break,
                Ok(Some(frame)) => Report::of(py, worker, &frame),
                Err(_damaged) => None,
            };
            let Some(report) = copied else {
                // Its memory was written over: nothing more that it says can be understood.
                self.commands.push(Command::Kill { worker, reason: threefold_pool::KillReason::GraceOver, dump: None });
                break;
            };
            reports.push(report);
        }
        reports
    }

    fn begun_by(&self, worker: WorkerId) -> Vec<JobId> {
        let Some(member) = self.crew.get(&worker) else { return Vec::new() };
        let held = self.scheduler.jobs_of(worker).iter().copied();
        held.filter(|job| !member.outbox.contains(job) && member.link.has_begun(job.0)).collect()
    }
}

impl Report {
    fn of(py: Python<'_>, worker: WorkerId, frame: &Frame) -> Option<Self> {
        let job = JobId(frame.job().unwrap_or(0));
        let error = || {
            let (pickled, description) = (payload::bytes(py, frame, 0).ok()?, payload::bytes(py, frame, 1).ok()?);
            Some(RemoteError { pickled, description, flags: frame.flags() })
        };
        let content = match frame.kind() {
            frames::READY => Content::Ready,
            frames::RETIRE => Content::Retire,
            frames::BEGUN => {
                Content::Begun { dump: payload::number(frame, 0).and_then(|dump| i32::try_from(dump).ok()) }
            }
            frames::RETURNED => Content::Returned(Parts::of(py, frame, 0, &mut Spares::default()).ok()??),
            frames::RAISED => Content::Raised(error()?),
            frames::INITIALIZER_FAILED => Content::InitializerFailed(error()?),
            _ => return None,
        };
        Some(Self { worker, job, content })
    }
}

impl RemoteError {
    fn decode(self, py: Python<'_>) -> Py<PyAny> {
        static FUNCTION: Kept<PyAny> = Kept::new();
        let decode = FUNCTION.get_or_find(py, || py.import("threefold._pool.remote_errors")?.getattr("decode"));
        let is_of_loading = self.flags & frames::LOADING != 0;
        match decode.and_then(|decode| decode.call1((self.pickled, self.description, is_of_loading))) {
            Ok(error) => error.unbind(),
            Err(error) => error.into_value(py).into_any(),
        }
    }
}

fn undecodable(py: Python<'_>, error: PyErr, size_bytes: usize) -> Py<PyAny> {
    let module = py.import("threefold._pool.remote_errors");
    let made = module.and_then(|module| module.call_method1("undecodable", (error.into_value(py), size_bytes)));
    made.map_or_else(|error| error.into_value(py).into_any(), Bound::unbind)
}

/// How a process ended, as `Process.exitcode` says it.
pub(super) fn exit(code: Option<i32>, is_out_of_memory: bool) -> Exit {
    let ended = match code {
        None => Ended::Unknown,
        Some(code) if code < 0 => Ended::Signal(-code),
        Some(code) => Ended::Code(code),
    };
    Exit { ended, is_out_of_memory }
}
