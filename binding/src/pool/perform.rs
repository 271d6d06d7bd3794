//! Doing what the scheduler decided.

use pyo3::prelude::*;
use threefold_pool::{Action, JobId, KillReason, MapCause, MapEnd, MapId, Outcome, WorkerEvent, WorkerId};

use super::commands::Command;
use super::dispatcher::Dispatcher;
use super::exceptions::Description;
use super::frames;
use super::state::{State, Step, Value};

impl Dispatcher {
    /// Does what the scheduler has decided, unless another thread is about it, which then does this too.
    pub(super) fn perform(&self, py: Python<'_>) {
        if !self.with(State::begin_performing) {
            return;
        }
        while let Some(step) = self.with(State::next_step) {
            match step {
                Step::Act(action) => self.act(py, action),
                Step::Pump => self.pump(py),
            }
        }
    }

    fn act(&self, py: Python<'_>, action: Action) {
        match action {
            Action::StartWorker { worker } => self.with(|state| state.commands.push(Command::Start(worker))),
            Action::FinishWorker { worker } => self.with(|state| state.finish(worker)),
            Action::KillWorker { worker, reason, .. } => self.with(|state| state.kill(worker, reason)),
            Action::Send { worker, job } => self.with(|state| {
                if let Some(member) = state.crew.get_mut(&worker) {
                    member.outbox.push_back(job);
                    state.is_room_likely = true;
                }
            }),
            Action::TakeBack { worker, job } => self.with(|state| state.take_back(worker, job)),
            Action::Resolve { job, outcome } => self.resolve(py, job, &outcome),
            Action::Deliver { map, job } => self.with(|state| state.deliver(py, map, job)),
            Action::EndMap { map, end } => self.end_map(py, map, &end),
            Action::Pull { map, chunk_count } => self.with(|state| state.pull(py, map, chunk_count)),
            Action::Broken(_) => {}
            Action::Finished => self.with(|state| state.commands.push(Command::Finished)),
        }
    }

    fn resolve(&self, py: Python<'_>, id: JobId, outcome: &Outcome) {
        if self.with(|state| state.jobs.get(&id).is_some_and(|job| job.value.is_none())) {
            let error = self.exception(py, Some(id), outcome);
            self.with(|state| state.put_value(id, Value { is_success: false, object: error }));
        }
        let Some(value) = self.with(|state| state.close_job(py, id)) else { return };
        // A chunk of a collected map.
        if let Err(error) = value.store(py) {
            self.with(|state| state.fail_map(value.map, error.into_value(py).into_any()));
        }
    }

    fn end_map(&self, py: Python<'_>, id: MapId, end: &MapEnd) {
        let error = match end.cause {
            MapCause::Exhausted | MapCause::Cut => None,
            MapCause::Terminated => Some(self.exception(py, None, &Outcome::Terminated)),
            MapCause::NoWorker(failure) => Some(self.exception(py, None, &Outcome::NoWorker(failure))),
        };
        self.with(|state| state.end_map(py, id, end, error));
    }

    /// The exception that says what became of a job that did not return.
    pub(super) fn exception(&self, py: Python<'_>, job: Option<JobId>, outcome: &Outcome) -> Py<PyAny> {
        let description = Description::of(outcome);
        let (task, limit_s, line, cause) = self.with(|state| {
            let job = job.and_then(|job| state.jobs.get(&job));
            let task = job.and_then(|job| state.task(py, job));
            let limit_s = job.and_then(|job| job.limit_s);
            let line = job.and_then(|job| Some(job.line.as_ref()?.clone_ref(py)));
            (task, limit_s, line, state.start_error.as_ref().map(|error| error.clone_ref(py)))
        });
        let Description { kind, pid, code, is_out_of_memory } = description;
        let arguments = (kind, pid, code, is_out_of_memory, task, limit_s, line, cause);
        match self.from_outcome.call1(py, arguments) {
            Ok(error) => error,
            Err(error) => error.into_value(py).into_any(),
        }
    }
}

impl State {
    fn finish(&mut self, worker: WorkerId) {
        if let Some(member) = self.crew.get_mut(&worker) {
            // A link that is damaged leaves a worker that is killed when its grace is over.
            let _damaged = member.link.send(frames::EXIT, 0, None, &[]);
            member.link.wake();
        }
    }

    fn kill(&mut self, worker: WorkerId, reason: KillReason) {
        let dump = self.crew.get(&worker).and_then(|member| member.dump);
        self.commands.push(Command::Kill { worker, reason, dump });
    }

    fn take_back(&mut self, worker: WorkerId, job: JobId) {
        let Some(member) = self.crew.get_mut(&worker) else { return };
        let unsent_count = member.outbox.len();
        member.outbox.retain(|&unsent| unsent != job);
        let is_back = member.outbox.len() < unsent_count || member.link.take_back(job.0);
        self.tell(worker, if is_back { WorkerEvent::JobTakenBack(job) } else { WorkerEvent::JobNotTakenBack(job) });
    }
}
