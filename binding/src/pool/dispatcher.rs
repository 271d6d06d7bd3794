//! A pool's centre in the parent process: what its callers, its supervisor and its readers call.

use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use threefold_pool::local::{Attention, Doorbell, DoorbellRinger, ParentEnd, default_capacity_bytes};
use threefold_pool::{
    Cancel, Cancellation, Delivery, JobId, Leave, MapId, Outcome, Refused, Scheduler, SourceEnd, WorkerEvent, WorkerId,
};
use threefold_sys::clock::Instant;
use threefold_sys::death::Watch;

use super::commands::{self, Command};
use super::exceptions::{link_error, refused};
use super::maps::{Consumer, Map, Source};
use super::options;
use super::reports::exit;
use super::state::{Function, Items, Job, Member, State, Value, Work};

/// Reports that come sooner after one another are a stream, which is left to itself for so long as the workers have more
/// jobs: to be woken by each report would cost more than all else that is done for it.
const NAP: Duration = Duration::from_micros(200);

/// After this time a supervisor looks again while jobs are out: a worker that lost its descriptors cannot ring.
const SLICE: Duration = Duration::from_millis(500);

/// Decides which worker does which job, and carries jobs and results.
#[pyclass(frozen, module = "threefold._threefold")]
pub(crate) struct Dispatcher {
    state: Mutex<State>,
    doorbell: Doorbell,
    ringer: DoorbellRinger,
    worker_count: usize,
    /// How much may be on the way to a worker, or from it.
    capacity_bytes: usize,
    /// The process whose children the workers are.
    process: u32,
    pub(super) from_outcome: Py<PyAny>,
}

impl Dispatcher {
    /// Runs a piece of work under the lock, then drops what it left.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut state);
        let garbage = state.take_garbage();
        drop(state);
        drop(garbage);
        result
    }

    fn check(&self) -> PyResult<()> {
        if self.is_ours() {
            return Ok(());
        }
        Err(PyRuntimeError::new_err(format!("this pool's workers are those of process {}", self.process)))
    }

    fn refused(&self, py: Python<'_>, error: &Refused) -> PyErr {
        let failure = match error {
            Refused::Broken(failure) => Some(self.exception(py, None, &Outcome::NoWorker(*failure))),
            _ => None,
        };
        refused(py, error, failure)
    }

    /// Does what was decided and has the supervisor do its part.
    fn go_on(&self, py: Python<'_>) {
        self.perform(py);
        self.call_supervisor();
    }

    fn call_supervisor(&self) {
        if self.with(|state| state.is_asleep && !state.commands.is_empty()) {
            // A full pipe is as good, and a broken one is noticed at the end of the supervisor's slice.
            let _rung = self.ringer.ring();
        }
    }

    /// Sleeps until a worker reports something, dies, `patience` is over, or it is time for something.
    fn sleep(&self, py: Python<'_>, is_stream: bool, patience: Option<Duration>) {
        let is_stream = is_stream && self.with(|state| state.is_work_left());
        let attention = if is_stream { Attention::Napping } else { Attention::Asleep };
        let Some((watches, wake, looks_again)) = self.with(|state| state.fall_asleep(attention)) else { return };
        let until_wake = wake.map(|wake| wake.since(Instant::now()));
        let limits = [patience, until_wake, is_stream.then_some(NAP), looks_again.then_some(SLICE)];
        let limit = limits.into_iter().flatten().min();
        let descriptors: Vec<BorrowedFd<'_>> = std::iter::once(self.doorbell.read_descriptor())
            .chain(watches.iter().map(|(_, watch)| watch.as_fd()))
            .collect();
        let ready = py.detach(|| threefold_sys::death::wait_readable(&descriptors, limit)).unwrap_or_default();
        let _rung = self.doorbell.drain();
        let dead = watches.iter().zip(ready.iter().skip(1)).filter(|(_, is_ready)| **is_ready);
        let is_quiet = !is_stream && !ready.contains(&true);
        self.with(|state| {
            state.wake_up();
            if is_quiet {
                state.tidy();
            }
            dead.for_each(|((worker, _), _)| state.note_death(*worker));
        });
    }
}

#[pymethods]
impl Dispatcher {
    #[new]
    #[pyo3(signature = (worker_count, on_demand, max_jobs_per_worker, from_outcome))]
    fn new(
        worker_count: usize,
        on_demand: bool,
        max_jobs_per_worker: Option<u64>,
        from_outcome: Py<PyAny>,
    ) -> PyResult<Self> {
        let count = NonZeroUsize::new(worker_count)
            .ok_or_else(|| PyValueError::new_err("Number of processes must be at least 1"))?;
        let options = options::pool_options(count, on_demand, max_jobs_per_worker);
        let doorbell = Doorbell::create()?;
        let ringer = DoorbellRinger::attach(doorbell.write_descriptor().as_raw_fd())?;
        let state = Mutex::new(State::new(Scheduler::new(options, Instant::now())));
        let process = std::process::id();
        let capacity_bytes = default_capacity_bytes();
        Ok(Self { state, doorbell, ringer, worker_count, capacity_bytes, process, from_outcome })
    }

    /// Adds a call, the tuple of a function, its arguments and its keyword arguments; returns the job's number.
    fn add_call(
        &self,
        py: Python<'_>,
        ticket: Py<PyAny>,
        call: Py<PyTuple>,
        timeout: Option<f64>,
        retries: u32,
    ) -> PyResult<u64> {
        self.check()?;
        let options = options::job_options(timeout, retries)?;
        let job =
            Job { work: Work::Call { ticket, call }, value: None, line: None, limit_s: timeout, is_condemned: false };
        let added = self.with(|state| match state.scheduler.add_job(Instant::now(), options) {
            Ok(id) => {
                state.jobs.insert(id, job);
                Ok(id)
            }
            Err(error) => {
                state.discard_job(job);
                Err(error)
            }
        });
        self.go_on(py);
        added.map(|id| id.0).map_err(|error| self.refused(py, &error))
    }

    /// Adds a map; returns its number.
    #[allow(clippy::too_many_arguments, reason = "each is an argument of Pool.map or Pool.imap")]
    fn add_map(
        &self,
        py: Python<'_>,
        ticket: &Bound<'_, PyAny>,
        function: Py<PyAny>,
        blob: Py<PyBytes>,
        source: Option<&Bound<'_, PyAny>>,
        chunk_size: usize,
        is_star: bool,
        delivery: &str,
        read_ahead: Option<usize>,
        timeout: Option<f64>,
        retries: u32,
    ) -> PyResult<u64> {
        self.check()?;
        let job = options::job_options(timeout, retries)?;
        let delivery = options::delivery(delivery)?;
        let len = source.map(PyAnyMethods::len).transpose()?;
        let results = match (delivery, len) {
            (Delivery::Collected, Some(len)) => Some(PyList::new(py, (0..len).map(|_| py.None()))?.unbind()),
            _ => None,
        };
        let wants_progress = ticket.getattr_opt("_progress")?.is_some_and(|progress| !progress.is_none());
        let options = options::map_options(job, delivery, read_ahead, len.map(|_| self.worker_count));
        let source = match (source, len) {
            (Some(source), Some(len)) => Source::Sequence { object: source.clone().unbind(), next: 0, len },
            _ => Source::Reader { wanted: None, chunk_count: 0 },
        };
        let ticket = ticket.clone().unbind();
        let added = self.with(|state| {
            let id = state.scheduler.add_map(Instant::now(), options)?;
            let function = Function { object: function, number: state.function_number(), blob };
            let map = Map {
                ticket,
                function,
                is_star,
                limit_s: timeout,
                source,
                chunk_size: chunk_size.max(1),
                results,
                failure: None,
                done_count: wants_progress.then_some(0),
                consumer: Consumer::Waits,
            };
            let is_empty = map.is_exhausted();
            state.maps.insert(id, map);
            if is_empty {
                let _over = state.scheduler.end_source(Instant::now(), id, SourceEnd::Exhausted);
            }
            Ok(id)
        });
        self.go_on(py);
        added.map(|id| id.0).map_err(|error| self.refused(py, &error))
    }

    /// Says who reads a map's source: `wanted.put(n)` asks for n chunks, `wanted.put(None)` for no more.
    fn set_reader(&self, py: Python<'_>, map: u64, wanted: Py<PyAny>) {
        self.with(|state| match state.maps.get_mut(&MapId(map)) {
            Some(Map { source: Source::Reader { wanted: place, chunk_count }, .. }) => {
                let count = std::mem::take(chunk_count);
                *place = Some(wanted.clone_ref(py));
                state.commands.push(Command::Read { wanted, chunk_count: Some(count) });
            }
            // The pool was terminated in the meantime.
            _ => state.commands.push(Command::Read { wanted, chunk_count: None }),
        });
        self.call_supervisor();
    }

    /// Adds a chunk that was asked for; returns whether the map still takes it.
    fn add_chunk(&self, py: Python<'_>, map: u64, items: &Bound<'_, PyList>) -> bool {
        let chunk = Items::List(items.clone().into_any().unbind(), items.len());
        let is_taken = self.with(|state| state.add_chunk(MapId(map), chunk));
        self.go_on(py);
        is_taken
    }

    /// Says that a map's source has no more, or that it raised.
    fn end_source(&self, py: Python<'_>, map: u64, error: Option<Py<PyAny>>) {
        self.with(|state| {
            let id = MapId(map);
            let end = if error.is_some() { SourceEnd::Failed } else { SourceEnd::Exhausted };
            let failed = state.scheduler.end_source(Instant::now(), id, end);
            match (failed, error) {
                (Ok(Some(job)), Some(object)) => {
                    let items = Items::Range(0, 0);
                    let value = Some(Value { is_success: false, object });
                    let work = Work::Chunk { map: id, items };
                    state.jobs.insert(job, Job { work, value, line: None, limit_s: None, is_condemned: false });
                }
                (_, error) => error.into_iter().for_each(|error| state.discard(error)),
            }
        });
        self.go_on(py);
    }

    /// The consumer has begun to take a map's results.
    fn reads(&self, map: u64) {
        self.with(|state| state.note_reader(MapId(map)));
    }

    /// The consumer is through with the next chunk of a map.
    fn took(&self, py: Python<'_>, map: u64) {
        self.with(|state| {
            state.note_reader(MapId(map));
            state.scheduler.took(Instant::now(), MapId(map));
        });
        self.go_on(py);
    }

    /// Nobody takes a map's results any more.
    fn leave(&self, py: Python<'_>, map: u64, cancel: bool) {
        self.with(|state| {
            let id = MapId(map);
            let now = Instant::now();
            if let Some(map) = state.maps.get_mut(&id) {
                if map.is_half_read() {
                    // It may be infinite.
                    let _ended_already = state.scheduler.end_source(now, id, SourceEnd::Exhausted);
                }
                map.consumer = Consumer::Gone;
            }
            state.scheduler.leave(now, id, if cancel { Leave::Cancel } else { Leave::RunOn });
            state.drop_undelivered(id);
        });
        self.go_on(py);
    }

    /// Cancels a job; returns whether it will not be done, or, with `kill`, was ended.
    fn cancel(&self, py: Python<'_>, job: u64, kill: bool) -> bool {
        let how = if kill { Cancel::EvenIfStarted } else { Cancel::IfNotStarted };
        let cancellation = self.with(|state| state.scheduler.cancel(Instant::now(), JobId(job), how));
        self.go_on(py);
        match cancellation {
            Cancellation::Cancelled => true,
            Cancellation::Asked => kill || self.with(|state| !state.scheduler.is_open(JobId(job))),
            Cancellation::TooLate | Cancellation::Over => false,
        }
    }

    /// Takes no more.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.check()?;
        self.with(|state| state.scheduler.close(Instant::now()));
        self.go_on(py);
        Ok(())
    }

    /// Somebody waits for the end of a closed pool; what nobody takes the results of is read on or not.
    fn join(&self, py: Python<'_>, reads_on: bool) -> PyResult<()> {
        self.check()?;
        self.with(|state| state.free_unread(reads_on));
        self.go_on(py);
        Ok(())
    }

    /// Ends all now.
    fn terminate(&self, py: Python<'_>) -> PyResult<()> {
        self.check()?;
        self.with(|state| state.scheduler.terminate(Instant::now()));
        self.go_on(py);
        Ok(())
    }

    /// What is to be done in Python now.
    fn commands(&self, py: Python<'_>) -> PyResult<Py<PyList>> {
        self.perform(py);
        commands::to_list(py, self.with(|state| std::mem::take(&mut state.commands)))
    }

    /// The workers that are to be started now, for a caller that starts them itself, at once.
    fn starts(&self) -> Vec<u64> {
        self.with(|state| {
            let mut starts = Vec::new();
            state.commands.retain(|command| {
                let Command::Start(worker) = command else { return true };
                starts.push(worker.0);
                false
            });
            starts
        })
    }

    /// Whether a worker is being started, here or by another thread.
    fn is_starting(&self) -> bool {
        self.with(|state| state.scheduler.workers().any(|(_, pid)| pid.is_none()))
    }

    /// Carries on until something is to be done in Python, or `patience` seconds are over; returns what is to be done.
    fn turn(&self, py: Python<'_>, patience: Option<f64>) -> PyResult<Py<PyList>> {
        let end = patience.map(|patience| Instant::now().after(Duration::from_secs_f64(patience)));
        let mut is_stream = false;
        loop {
            let now = Instant::now();
            self.with(|state| state.scheduler.tick(now));
            let is_news = self.read_reports(py) > 0;
            self.perform(py);
            let commands = self.with(|state| std::mem::take(&mut state.commands));
            if !commands.is_empty() || end.is_some_and(|end| end <= now) {
                return commands::to_list(py, commands);
            }
            let before = Instant::now();
            self.sleep(py, is_stream && is_news, end.map(|end| end.since(before)));
            is_stream = Instant::now().since(before) <= 2 * NAP;
        }
    }

    /// Makes a worker's link; returns its descriptor, its capacity in bytes, and the doorbell's descriptor.
    fn link(&self, worker: u64) -> PyResult<(i32, usize, i32)> {
        let link = ParentEnd::create(self.capacity_bytes).map_err(|error| link_error(&error))?;
        let details =
            (link.descriptor().as_raw_fd(), link.capacity_bytes(), self.doorbell.write_descriptor().as_raw_fd());
        let member = Member::new(link);
        self.with(|state| state.crew.insert(WorkerId(worker), member));
        Ok(details)
    }

    /// A worker's process exists.
    fn started(&self, py: Python<'_>, worker: u64, pid: u32) {
        let watch = Watch::of(pid).ok().map(Arc::new);
        self.with(|state| {
            let worker = WorkerId(worker);
            if let Some(member) = state.crew.get_mut(&worker) {
                member.watch.clone_from(&watch);
            }
            state.tell(worker, WorkerEvent::Started { pid });
            if watch.is_none() {
                // It is gone already.
                state.note_death(worker);
            }
        });
        self.go_on(py);
    }

    /// A worker's process could not be made.
    fn not_started(&self, py: Python<'_>, worker: u64, os_error: Option<i32>, error: Py<PyAny>) {
        self.with(|state| {
            state.crew.remove(&WorkerId(worker));
            state.note_start_error(error);
            state.tell(WorkerId(worker), WorkerEvent::NotStarted { os_error });
        });
        self.go_on(py);
    }

    /// A worker has taken more memory than it may.
    fn too_large(&self, py: Python<'_>, worker: u64) {
        self.with(|state| state.tell(WorkerId(worker), WorkerEvent::TooLarge));
        self.perform(py);
    }

    /// The wait status of a worker that somebody else has waited for; None where the kernel does not say.
    fn status_after_wait(&self, worker: u64) -> Option<i32> {
        self.with(|state| state.crew.get(&WorkerId(worker))?.watch.as_ref()?.status_after_wait())
    }

    /// A worker's process has ended with this exit code (negative: a signal; None: not known).
    fn exited(&self, py: Python<'_>, worker: u64, code: Option<i32>, is_out_of_memory: bool) {
        self.bury(py, WorkerId(worker), exit(code, is_out_of_memory));
    }

    /// Notes where a job was when it had run for as long as it may.
    fn note_line(&self, job: u64, line: Option<Py<PyAny>>) {
        self.with(|state| {
            if let Some(job) = state.jobs.get_mut(&JobId(job)) {
                job.line = line;
            }
        });
    }

    /// The worker of a job is about to be made to say where it is, which may end a call in C early: what it reports of the job
    /// from now on does not count.
    fn condemn(&self, job: u64) {
        self.with(|state| {
            if let Some(job) = state.jobs.get_mut(&JobId(job)) {
                job.is_condemned = true;
            }
        });
    }

    /// Whether a worker has begun a job that is not over.
    fn has_begun(&self, job: u64) -> bool {
        self.with(|state| {
            let worker = state.scheduler.worker_of(JobId(job));
            worker.and_then(|worker| state.crew.get(&worker)).is_some_and(|member| member.link.has_begun(job))
        })
    }

    /// Whether the workers are this process's, and not those of the one that it was forked from.
    fn is_ours(&self) -> bool {
        self.process == std::process::id()
    }

    /// In a forked child: lets go of the links, which are the parent's.
    fn abandon(&self) {
        let crew = self.with(|state| std::mem::take(&mut state.crew));
        drop(crew);
    }

    fn __repr__(&self) -> String {
        self.with(|state| {
            let (open, waiting) = (state.scheduler.open_job_count(), state.scheduler.waiting_job_count());
            format!("<Dispatcher: {open} jobs, {waiting} of them waiting, {} workers>", state.crew.len())
        })
    }
}
