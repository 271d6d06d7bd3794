//! The maps of a dispatcher: where their items come from, and where their results go.

use pyo3::prelude::*;
use pyo3::types::{PyList, PySlice};
use threefold_pool::{JobId, MapCause, MapEnd, MapId, SourceEnd};
use threefold_sys::clock::Instant;

use super::commands::Command;
use super::state::{Function, Items, Job, State, Work};

pub(super) struct Map {
    pub(super) ticket: Py<PyAny>,
    pub(super) function: Function,
    pub(super) is_star: bool,
    /// Seconds that a chunk may take.
    pub(super) limit_s: Option<f64>,
    pub(super) source: Source,
    pub(super) chunk_size: usize,
    /// The list of a collected map.
    pub(super) results: Option<Py<PyList>>,
    /// The first error of a collected map.
    pub(super) failure: Option<Py<PyAny>>,
    /// Items that are over, if the ticket wants to know.
    pub(super) done_count: Option<usize>,
    pub(super) consumer: Consumer,
}

/// Who takes a map's results one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consumer {
    /// Somebody who has not begun.
    Waits,
    /// Somebody who has taken some.
    Reads,
    /// Nobody any more.
    Gone,
}

pub(super) enum Source {
    /// A sequence, read up to `next`.
    Sequence { object: Py<PyAny>, next: usize, len: usize },
    /// A thread reads it, and takes from this queue how many chunks it shall read.
    Reader { wanted: Option<Py<PyAny>>, chunk_count: u64 },
}

impl State {
    /// Does [`threefold_pool::Action::Pull`].
    pub(super) fn pull(&mut self, py: Python<'_>, id: MapId, chunk_count: u64) {
        let Some(map) = self.maps.get_mut(&id) else { return };
        match &mut map.source {
            Source::Sequence { .. } => self.pull_sequence(id, chunk_count),
            Source::Reader { wanted: None, chunk_count: pending } => *pending += chunk_count,
            Source::Reader { wanted: Some(wanted), .. } => {
                let wanted = wanted.clone_ref(py);
                self.commands.push(Command::Read { wanted, chunk_count: Some(chunk_count) });
            }
        }
    }

    fn pull_sequence(&mut self, id: MapId, chunk_count: u64) {
        for _ in 0..chunk_count {
            let Some(map) = self.maps.get_mut(&id) else { return };
            let Source::Sequence { next, len, .. } = &mut map.source else { return };
            let start = *next;
            let stop = start.saturating_add(map.chunk_size).min(*len);
            if start < stop {
                *next = stop;
                self.add_chunk(id, Items::Range(start, stop));
            }
            if self.maps.get(&id).is_some_and(Map::is_exhausted) {
                let _over = self.scheduler.end_source(Instant::now(), id, SourceEnd::Exhausted);
                return;
            }
        }
    }

    pub(super) fn note_reader(&mut self, id: MapId) {
        if let Some(map) = self.maps.get_mut(&id) {
            map.consumer = Consumer::Reads;
        }
    }

    /// Adds a chunk that was asked for; returns whether the map still takes it.
    pub(super) fn add_chunk(&mut self, map: MapId, items: Items) -> bool {
        let limit_s = self.maps.get(&map).and_then(|map| map.limit_s);
        let work = Work::Chunk { map, items };
        let job = Job { work, value: None, line: None, limit_s, is_condemned: false };
        match self.scheduler.add_chunk(Instant::now(), map) {
            Ok(id) => {
                self.jobs.insert(id, job);
                true
            }
            Err(_refused) => {
                self.discard_job(job);
                false
            }
        }
    }

    /// Does [`threefold_pool::Action::Deliver`].
    pub(super) fn deliver(&mut self, py: Python<'_>, id: MapId, job: JobId) {
        let (Some(map), Some(mut job)) = (self.maps.get(&id), self.jobs.remove(&job)) else { return };
        let ticket = map.ticket.clone_ref(py);
        if let (Work::Chunk { items, .. }, Some(value)) = (&job.work, job.value.take()) {
            let item_count = items.count();
            let (is_success, value) = (value.is_success, value.object);
            self.commands.push(Command::Add { ticket, is_success, value, item_count });
        }
        self.discard_job(job);
    }

    /// Forgets what was resolved and will never be delivered.
    pub(super) fn drop_undelivered(&mut self, id: MapId) {
        let is_undelivered =
            |job: &Job| job.value.is_some() && matches!(&job.work, Work::Chunk { map, .. } if *map == id);
        let dropped: Vec<JobId> = self
            .jobs
            .iter()
            .filter(|(job, kept)| is_undelivered(kept) && !self.scheduler.is_open(**job))
            .map(|(&job, _)| job)
            .collect();
        for job in dropped {
            if let Some(job) = self.jobs.remove(&job) {
                self.discard_job(job);
            }
        }
    }

    /// Does [`threefold_pool::Action::EndMap`], with the error that stands for a cause other than its source's end.
    pub(super) fn end_map(&mut self, py: Python<'_>, id: MapId, end: &MapEnd, error: Option<Py<PyAny>>) {
        self.drop_undelivered(id);
        let Some(map) = self.maps.remove(&id) else { return };
        if let Source::Reader { wanted: Some(wanted), .. } = &map.source {
            self.commands.push(Command::Read { wanted: wanted.clone_ref(py), chunk_count: None });
        }
        let Map { ticket, function, source, results, failure, .. } = map;
        self.forget_function(function.number);
        self.commands.push(match (results, failure.or(error)) {
            (Some(results), failure) => {
                let is_success = failure.is_none();
                Command::End { ticket, is_success, value: failure.unwrap_or_else(|| results.into_any()) }
            }
            (None, error) => Command::EndMap { ticket, error: error.filter(|_| end.cause != MapCause::Exhausted) },
        });
        self.discard(function.object);
        self.discard(function.blob.into_any());
        match source {
            Source::Sequence { object, .. } => self.discard(object),
            Source::Reader { wanted, .. } => wanted.into_iter().for_each(|wanted| self.discard(wanted)),
        }
    }
}

impl Map {
    /// Whether somebody began to take its results, and its items come from an iterator.
    pub(super) fn is_half_read(&self) -> bool {
        self.consumer == Consumer::Reads && self.has_reader()
    }

    pub(super) fn has_reader(&self) -> bool {
        matches!(self.source, Source::Reader { .. })
    }

    pub(super) fn is_exhausted(&self) -> bool {
        matches!(self.source, Source::Sequence { next, len, .. } if next == len)
    }

    /// The items of a chunk, as a list.
    pub(super) fn items<'py>(source: &Bound<'py, PyAny>, start: usize, stop: usize) -> PyResult<Bound<'py, PyAny>> {
        let py = source.py();
        if let Ok(list) = source.cast_exact::<PyList>() {
            return Ok(list.get_slice(start, stop).into_any());
        }
        let (start, stop) = (isize::try_from(start)?, isize::try_from(stop)?);
        let items = source.get_item(PySlice::new(py, start, stop, 1))?;
        py.get_type::<PyList>().call1((items,))
    }
}
