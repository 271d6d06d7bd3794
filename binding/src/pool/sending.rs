//! Jobs on their way to workers: pickled, and written to the links as far as there is room.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyFunction, PyList, PyTuple, PyType};
use threefold_pool::{JobId, WorkerEvent, WorkerId};

use super::dispatcher::Dispatcher;
use super::exceptions::link_error;
use super::frames;
use super::maps::Map;
use super::payload::with_parts;
use super::state::{Function, State, Value, Work};
use crate::shared::pickle::{self, Packed};

/// Jobs that are written to one worker before the next one has its turn.
const BURST: usize = 32;

/// A job on its way into a link.
struct Draft<'py> {
    kind: u8,
    flags: u16,
    function: Option<Function>,
    packed: Packed<'py, 'py>,
}

/// What a draft is made of.
enum Payload {
    Call(Py<PyTuple>),
    Chunk { function: Function, is_star: bool, items: Py<PyAny>, range: Option<(usize, usize)> },
}

impl Dispatcher {
    /// Writes jobs to the links, as far as there is room, to all workers in turn.
    pub(super) fn pump(&self, py: Python<'_>) {
        let mut workers: Vec<WorkerId> = self.with(|state| {
            state.crew.iter().filter(|(_, member)| !member.outbox.is_empty()).map(|(&worker, _)| worker).collect()
        });
        // First one for each: nobody stands idle while others get more than they can begin.
        let mut burst = 1;
        while !workers.is_empty() {
            workers.retain(|&worker| {
                let is_room_left = (0..burst).all(|_| self.send_next(py, worker));
                self.with(|state| state.crew.get(&worker).inspect(|member| member.link.wake()).is_some())
                    && is_room_left
            });
            burst = BURST;
        }
    }

    /// Writes one job to a worker's link; returns whether there was one, and room for it.
    fn send_next(&self, py: Python<'_>, worker: WorkerId) -> bool {
        let Some((job, payload, is_announced)) = self.with(|state| state.next_to_send(py, worker)) else {
            return false;
        };
        let draft = payload.and_then(|payload| self.draft(py, payload));
        let sent = draft.and_then(|mut draft| {
            if is_announced {
                draft.flags |= frames::ANNOUNCED;
            }
            self.with(|state| state.send(py, worker, job, &draft))
        });
        if let Err(error) = sent {
            let object = error.into_value(py).into_any();
            self.with(|state| {
                state.put_value(job, Value { is_success: false, object });
                state.tell(worker, WorkerEvent::JobUnsendable(job));
            });
        }
        true
    }

    fn draft<'py>(&self, py: Python<'py>, payload: Payload) -> PyResult<Draft<'py>> {
        match payload {
            Payload::Chunk { function, is_star, items, range } => {
                let source = items.into_bound(py);
                let items = range.map_or(Ok(source.clone()), |(start, stop)| Map::items(&source, start, stop))?;
                let flags = if is_star { frames::STAR } else { 0 };
                Ok(Draft { kind: frames::CHUNK, flags, function: Some(function), packed: pack(&items)? })
            }
            Payload::Call(call) => {
                let (function, arguments, keywords): (Bound<'py, PyAny>, Bound<'py, PyTuple>, Bound<'py, PyDict>) =
                    call.bind(py).extract()?;
                let function = self.known_function(&function);
                let packed = match &function {
                    None => pack(call.bind(py).as_any())?,
                    Some(_) if keywords.is_empty() => pack(arguments.as_any())?,
                    Some(_) => pack(PyList::new(py, [arguments.into_any(), keywords.into_any()])?.as_any())?,
                };
                Ok(Draft { kind: frames::CALL, flags: 0, function, packed })
            }
        }
    }

    /// A function whose pickle is the same each time: the name of a function or class.
    fn known_function(&self, object: &Bound<'_, PyAny>) -> Option<Function> {
        let py = object.py();
        if !object.is_exact_instance_of::<PyFunction>() && !object.is_instance_of::<PyType>() {
            return None;
        }
        if let Some(function) = self.with(|state| state.function(py, object)) {
            return Some(function);
        }
        let blob = pickle::dumps(py).ok()?.call1((object, 5)).ok()?.cast_into::<PyBytes>().ok()?;
        self.with(|state| state.keep_function(py, object.clone().unbind(), blob.unbind()))
    }
}

/// Pickles, by value what cannot be pickled by name, where that is possible.
fn pack<'py>(object: &Bound<'py, PyAny>) -> PyResult<Packed<'py, 'py>> {
    Packed::pickle(object).or_else(|error| {
        let py = object.py();
        let module = py.import("threefold._pool.functions")?;
        let blob = module.call_method1("dumps_by_value", (object, error.into_value(py)))?;
        Ok(Packed::of_stream(blob.cast_into::<PyBytes>()?))
    })
}

impl State {
    /// The next job of a worker's outbox, if the link has room for it.
    fn next_to_send(&mut self, py: Python<'_>, worker: WorkerId) -> Option<(JobId, PyResult<Payload>, bool)> {
        let member = self.crew.get_mut(&worker)?;
        loop {
            let &job = member.outbox.front()?;
            if !member.link.has_room().unwrap_or(true) {
                return None;
            }
            member.outbox.pop_front();
            let Some(kept) = self.jobs.get(&job) else { continue };
            let payload = match &kept.work {
                Work::Call { call, .. } => Payload::Call(call.clone_ref(py)),
                Work::Chunk { map, items } => {
                    let Some(map) = self.maps.get(map) else { continue };
                    let (Some(source), range) = map.part(py, items) else { continue };
                    let function = map.function.clone_ref(py);
                    Payload::Chunk { function, is_star: map.is_star, items: source, range }
                }
            };
            return Some((job, Ok(payload), kept.limit_s.is_some()));
        }
    }

    fn send(&mut self, py: Python<'_>, worker: WorkerId, job: JobId, draft: &Draft<'_>) -> PyResult<()> {
        // Its worker has died, or the job was taken back, while it was pickled.
        if self.scheduler.worker_of(job) != Some(worker) {
            return Ok(());
        }
        self.is_tidy = false;
        let Some(member) = self.crew.get_mut(&worker) else { return Ok(()) };
        if let Some(function) = &draft.function {
            if member.known.insert(function.number) {
                let number = function.number.to_le_bytes();
                let parts = [number[..].into(), function.blob.as_bytes(py).into()];
                member.link.send(frames::FUNCTION, 0, None, &parts).map_err(|error| link_error(&error))?;
            }
        }
        let head = draft.function.as_ref().map_or(0, |function| function.number);
        let sent = with_parts(head, &draft.packed, |flags, parts| {
            member.link.send(draft.kind, draft.flags | flags, Some(job.0), parts)
        });
        sent?.map_err(|error| link_error(&error))
    }

    pub(super) fn forget_function(&mut self, number: u64) {
        for member in self.crew.values_mut() {
            if member.known.remove(&number) {
                // A damaged link shows itself when the next job is sent.
                let _damaged = member.link.send(frames::FORGET, 0, None, &[number.to_le_bytes()[..].into()]);
            }
        }
    }
}
