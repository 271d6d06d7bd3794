//! What came of jobs, on its way to their tickets.

use pyo3::prelude::*;
use pyo3::types::PyList;
use threefold_pool::{JobId, MapId};

use super::commands::Command;
use super::maps::{Consumer, Map, Source};
use super::state::{Items, Job, State, Value, Work};

/// A job as `errors.from_outcome` takes it: the tuple of function, arguments and keyword arguments; or a function, its items,
/// which of them, and whether an item is the tuple of its arguments.
type Task = (Py<PyAny>, Option<Py<PyAny>>, Option<(usize, usize)>, bool);

/// A chunk's results on their way into the list of their map.
pub(super) struct Stored {
    pub(super) map: MapId,
    results: Py<PyList>,
    start: usize,
    stop: usize,
    values: Py<PyAny>,
}

impl Stored {
    pub(super) fn store(&self, py: Python<'_>) -> PyResult<()> {
        let (results, values) = (self.results.bind(py), self.values.bind(py));
        if self.stop - self.start == 1 {
            return results.set_item(self.start, values.get_item(0)?);
        }
        results.set_slice(self.start, self.stop, values)
    }
}

impl State {
    pub(super) fn put_value(&mut self, job: JobId, value: Value) {
        match self.jobs.get_mut(&job) {
            Some(job) => {
                if let Some(before) = job.value.replace(value) {
                    self.discard(before.object);
                }
            }
            // It is over already: it was cancelled, say.
            None => self.discard(value.object),
        }
    }

    /// A job has its value. What remains to be done for one of a collected map is returned.
    pub(super) fn close_job(&mut self, py: Python<'_>, id: JobId) -> Option<Stored> {
        let job = self.jobs.get(&id)?;
        if let Work::Chunk { map, .. } = &job.work {
            let map = self.maps.get(map);
            if map.is_some_and(|map| map.results.is_none() && map.consumer != Consumer::Gone) {
                // It is delivered in its turn.
                return None;
            }
        }
        let mut job = self.jobs.remove(&id)?;
        let value = job.value.take()?;
        let stored = match &job.work {
            Work::Call { ticket, .. } => {
                let (ticket, is_success) = (ticket.clone_ref(py), value.is_success);
                self.commands.push(Command::End { ticket, is_success, value: value.object });
                None
            }
            Work::Chunk { map, items } => self.collect(py, *map, items, value),
        };
        self.discard_job(job);
        stored
    }

    fn collect(&mut self, py: Python<'_>, id: MapId, items: &Items, value: Value) -> Option<Stored> {
        let Some(map) = self.maps.get_mut(&id) else {
            self.discard(value.object);
            return None;
        };
        if let Some(done_count) = &mut map.done_count {
            *done_count += items.count();
            let (ticket, done_count) = (map.ticket.clone_ref(py), *done_count);
            self.commands.push(Command::Progress { ticket, done_count });
        }
        let map = self.maps.get_mut(&id)?;
        match (&map.results, items) {
            (Some(results), Items::Range(start, stop)) if value.is_success => {
                let results = results.clone_ref(py);
                Some(Stored { map: id, results, start: *start, stop: *stop, values: value.object })
            }
            _ if value.is_success => {
                self.discard(value.object);
                None
            }
            _ => {
                self.fail_map(id, value.object);
                None
            }
        }
    }

    pub(super) fn fail_map(&mut self, id: MapId, error: Py<PyAny>) {
        match self.maps.get_mut(&id) {
            Some(map) if map.failure.is_none() => map.failure = Some(error),
            _ => self.discard(error),
        }
    }

    /// What a job was to do.
    pub(super) fn task(&self, py: Python<'_>, job: &Job) -> Option<Task> {
        match &job.work {
            Work::Call { call, .. } => Some((call.clone_ref(py).into_any(), None, None, false)),
            Work::Chunk { map, items } => {
                let map = self.maps.get(map)?;
                let (items, range) = map.part(py, items);
                Some((map.function.object.clone_ref(py), Some(items?), range, map.is_star))
            }
        }
    }
}

impl Map {
    /// The object that holds the items of a chunk, and their positions in it.
    pub(super) fn part(&self, py: Python<'_>, items: &Items) -> (Option<Py<PyAny>>, Option<(usize, usize)>) {
        match (items, &self.source) {
            (Items::List(list, _), _) => (Some(list.clone_ref(py)), None),
            (Items::Range(start, stop), Source::Sequence { object, .. }) => {
                (Some(object.clone_ref(py)), Some((*start, *stop)))
            }
            (Items::Range(..), Source::Reader { .. }) => (None, None),
        }
    }
}
