//! What a dispatcher keeps: the jobs with their payloads, the maps, the workers; and the scheduler that decides.
//!
//! All of it is behind one lock, under which no Python code runs: what would, is put into `commands` and `garbage`.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use threefold_pool::local::ParentEnd;
use threefold_pool::{Action, IdMap, JobId, MapId, Scheduler, WorkerEvent, WorkerId};
use threefold_sys::clock::Instant;
use threefold_sys::death::Watch;

use super::commands::Command;
use super::maps::Map;

/// So many functions of single calls are remembered.
const MOST_FUNCTIONS: usize = 32;

#[allow(
    clippy::struct_excessive_bools,
    reason = "each is another one's state: who performs, the links, the supervisor"
)]
pub(super) struct State {
    pub(super) scheduler: Scheduler,
    pub(super) jobs: IdMap<JobId, Job>,
    pub(super) maps: IdMap<MapId, Map>,
    pub(super) crew: IdMap<WorkerId, Member>,
    pub(super) commands: Vec<Command>,
    /// Why the last worker that did not begin did not: what its initializer raised, or its start.
    pub(super) start_error: Option<Py<PyAny>>,
    /// Whether a thread does the scheduler's actions; no other does then, so that they are done in order.
    pub(super) is_performing: bool,
    /// Whether there may be room for jobs that were not written yet.
    pub(super) is_room_likely: bool,
    /// Whether the supervisor sleeps, and hears the doorbell only.
    pub(super) is_asleep: bool,
    /// No job was sent since memory was last given back.
    pub(super) is_tidy: bool,
    functions: Vec<Function>,
    function_count: u64,
    garbage: Vec<Py<PyAny>>,
}

/// A function that calls were made of; its pickle is sent once to each worker.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) object: Py<PyAny>,
    pub(super) number: u64,
    pub(super) blob: Py<PyBytes>,
}

impl Function {
    pub(super) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self { object: self.object.clone_ref(py), number: self.number, blob: self.blob.clone_ref(py) }
    }
}

pub(super) struct Job {
    pub(super) work: Work,
    /// What came of it, or what will be said when it is resolved.
    pub(super) value: Option<Value>,
    /// Where it was when it had run for as long as it may.
    pub(super) line: Option<Py<PyAny>>,
    /// Seconds that it may take; where there is such a limit, its worker says when it begins it.
    pub(super) limit_s: Option<f64>,
    /// It has run for too long, and what its worker says of it does not count any more.
    pub(super) is_condemned: bool,
}

pub(super) enum Work {
    /// A call: its ticket, and the tuple of function, arguments and keyword arguments.
    Call { ticket: Py<PyAny>, call: Py<PyTuple> },
    /// A chunk of a map.
    Chunk { map: MapId, items: Items },
}

pub(super) enum Items {
    /// These positions of the map's sequence.
    Range(usize, usize),
    /// This list, and how many it has.
    List(Py<PyAny>, usize),
}

impl Items {
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Range(start, stop) => stop - start,
            Self::List(_, count) => *count,
        }
    }
}

pub(super) struct Value {
    pub(super) is_success: bool,
    pub(super) object: Py<PyAny>,
}

/// A worker process that was asked for.
pub(super) struct Member {
    pub(super) link: ParentEnd,
    /// Jobs that the scheduler has given it and that are not in the link yet.
    pub(super) outbox: VecDeque<JobId>,
    /// The functions whose pickles it was sent.
    pub(super) known: HashSet<u64>,
    pub(super) watch: Option<Arc<Watch>>,
    /// The descriptor to which it writes where it is.
    pub(super) dump: Option<i32>,
    /// Its death was seen.
    pub(super) is_dead: bool,
}

/// What is to be done next.
pub(super) enum Step {
    Act(Action),
    /// Write jobs to the links.
    Pump,
}

impl State {
    pub(super) fn new(scheduler: Scheduler) -> Self {
        Self {
            scheduler,
            jobs: IdMap::default(),
            maps: IdMap::default(),
            crew: IdMap::default(),
            commands: Vec::new(),
            start_error: None,
            is_performing: false,
            is_room_likely: false,
            is_asleep: false,
            is_tidy: true,
            functions: Vec::new(),
            function_count: 0,
            garbage: Vec::new(),
        }
    }

    /// Has an object dropped after the lock was let go.
    pub(super) fn discard(&mut self, object: Py<PyAny>) {
        self.garbage.push(object);
    }

    pub(super) fn discard_job(&mut self, job: Job) {
        self.garbage.extend(job.value.map(|value| value.object));
        self.garbage.extend(job.line);
        match job.work {
            Work::Call { ticket, call } => self.garbage.extend([ticket, call.into_any()]),
            Work::Chunk { items: Items::List(list, _), .. } => self.garbage.push(list),
            Work::Chunk { .. } => {}
        }
    }

    /// Keeps why the last worker did not begin, for those who hear that there is none.
    pub(super) fn note_start_error(&mut self, error: Py<PyAny>) {
        if let Some(before) = self.start_error.replace(error) {
            self.discard(before);
        }
    }

    pub(super) fn take_garbage(&mut self) -> Vec<Py<PyAny>> {
        std::mem::take(&mut self.garbage)
    }

    /// Whether the caller is to do the actions now; nobody else does until [`State::next_step`] has no more.
    pub(super) fn begin_performing(&mut self) -> bool {
        !std::mem::replace(&mut self.is_performing, true)
    }

    pub(super) fn next_step(&mut self) -> Option<Step> {
        let action = self.scheduler.next_action();
        let pump = || std::mem::take(&mut self.is_room_likely).then_some(Step::Pump);
        let step = action.map(Step::Act).or_else(pump);
        self.is_performing = step.is_some();
        step
    }

    pub(super) fn tell(&mut self, worker: WorkerId, event: WorkerEvent) {
        self.scheduler.worker_event(Instant::now(), worker, event);
    }

    pub(super) fn function_number(&mut self) -> u64 {
        self.function_count += 1;
        self.function_count
    }

    /// A function that calls were made of before.
    pub(super) fn function(&self, py: Python<'_>, object: &Bound<'_, PyAny>) -> Option<Function> {
        self.functions.iter().find(|function| function.object.is(object)).map(|function| function.clone_ref(py))
    }

    /// Remembers a function, if there is room.
    pub(super) fn keep_function(&mut self, py: Python<'_>, object: Py<PyAny>, blob: Py<PyBytes>) -> Option<Function> {
        if self.functions.len() == MOST_FUNCTIONS {
            return None;
        }
        let function = Function { object, number: self.function_number(), blob };
        let copy = function.clone_ref(py);
        self.functions.push(function);
        Some(copy)
    }
}
