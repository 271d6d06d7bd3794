//! The maps: reading their sources, handing out their results, ending them.

use threefold_sys::clock::Instant;

use super::{Cancel, Map, Scheduler};
use crate::action::{Action, MapCause, Outcome};
use crate::error::Refused;
use crate::id::{JobId, MapId};
use crate::options::MapOptions;

/// Why a source gives no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceEnd {
    /// It has no more items.
    Exhausted,
    /// It raised.
    Failed,
}

/// What happens to a map whose consumer has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// All of it is still done, for its effects, as `multiprocessing.Pool` does.
    RunOn,
    /// What has not begun is cancelled.
    Cancel,
}

impl Scheduler {
    /// Adds a map; [`Action::Pull`] asks for its chunks.
    ///
    /// # Errors
    /// When the pool is closed, or has no workers and cannot get any.
    pub fn add_map(&mut self, now: Instant, options: MapOptions) -> Result<MapId, Refused> {
        self.notice(now);
        self.check_open()?;
        self.next_map += 1;
        let map = MapId(self.next_map);
        self.maps.insert(map, Map::new(options));
        self.feed(map);
        Ok(map)
    }

    /// Adds the next chunk that was pulled from a map's source, as a job.
    ///
    /// # Errors
    /// When the map is over or did not ask for it; the chunk is to be dropped then.
    pub fn add_chunk(&mut self, now: Instant, id: MapId) -> Result<JobId, Refused> {
        self.notice(now);
        let map = self.maps.get_mut(&id).ok_or(Refused::MapOver)?;
        let index = map.take_in()?;
        let job = self.jobs.add(map.options.job, Some((id, index)));
        self.feed(id);
        self.settle();
        Ok(job)
    }

    /// Notes a chunk that was pulled and cannot be sent. It takes its place among the results, as a job that is resolved
    /// as [`Outcome::Unsendable`].
    ///
    /// # Errors
    /// When the map is over or did not ask for it.
    pub fn add_unsendable_chunk(&mut self, now: Instant, map: MapId) -> Result<JobId, Refused> {
        self.notice(now);
        self.add_failed_chunk(map, Outcome::Unsendable)
    }

    /// A map's source gives no more. A source that failed leaves an error in the place of its next item: the job that is
    /// returned, resolved as [`Outcome::SourceFailed`].
    ///
    /// # Errors
    /// When the map is over or, for a source that failed, did not ask.
    pub fn end_source(&mut self, now: Instant, id: MapId, end: SourceEnd) -> Result<Option<JobId>, Refused> {
        self.notice(now);
        if !self.maps.get(&id).is_some_and(Map::is_source_open) {
            return Err(Refused::MapOver);
        }
        let job = match end {
            SourceEnd::Exhausted => None,
            SourceEnd::Failed => Some(self.add_failed_chunk(id, Outcome::SourceFailed)?),
        };
        self.end_sources_of(&[id], MapCause::Exhausted);
        self.settle();
        Ok(job)
    }

    /// A map's consumer is through with the next of its results, all items of the chunk. Without effect for a map that is
    /// over or has handed out no more.
    pub fn took(&mut self, now: Instant, id: MapId) {
        self.notice(now);
        if let Some(map) = self.maps.get_mut(&id) {
            map.consume();
            self.feed(id);
        }
    }

    /// A map's consumer wants no more results; none is delivered from now on.
    pub fn leave(&mut self, now: Instant, id: MapId, leave: Leave) {
        self.notice(now);
        let Some(map) = self.maps.get_mut(&id) else { return };
        map.fall_silent();
        match leave {
            Leave::RunOn => {
                map.run_free();
                self.feed(id);
            }
            Leave::Cancel => {
                let is_of_map = |map: Option<(MapId, u64)>| map.is_some_and(|(map, _)| map == id);
                let mut jobs: Vec<JobId> =
                    self.jobs.iter().filter(|(_, job)| is_of_map(job.map)).map(|(job, _)| job).collect();
                jobs.sort_unstable();
                self.end_sources_of(&[id], MapCause::Cut);
                for job in jobs {
                    self.cancel_one(job, Cancel::IfNotStarted);
                }
            }
        }
        self.settle();
    }

    fn add_failed_chunk(&mut self, id: MapId, outcome: Outcome) -> Result<JobId, Refused> {
        let map = self.maps.get_mut(&id).ok_or(Refused::MapOver)?;
        let index = map.take_in()?;
        let job = self.jobs.number();
        self.outbox.push_back(Action::Resolve { job, outcome });
        self.note(id, index, job, outcome);
        Ok(job)
    }

    /// A job of a map is over.
    pub(super) fn note(&mut self, id: MapId, index: u64, job: JobId, outcome: Outcome) {
        let Some(map) = self.maps.get_mut(&id) else { return };
        let delivered = map.note(index, job, outcome == Outcome::Returned);
        self.outbox.extend(delivered.into_iter().map(|job| Action::Deliver { map: id, job }));
        self.feed(id);
        self.end_if_over(id);
    }

    /// Asks for as many chunks as there is room for.
    fn feed(&mut self, id: MapId) {
        let worker_count = self.options.worker_count.get();
        if let Some(chunk_count) = self.maps.get_mut(&id).and_then(|map| map.ask(worker_count)) {
            self.outbox.push_back(Action::Pull { map: id, chunk_count });
        }
    }

    pub(super) fn feed_all(&mut self) {
        for id in self.map_ids() {
            self.feed(id);
        }
    }

    /// Lets a source be read to its end, whether or not somebody takes the results.
    pub(super) fn free_source(&mut self, id: MapId) {
        if let Some(map) = self.maps.get_mut(&id) {
            map.run_free();
            self.feed(id);
        }
    }

    pub(super) fn cut_source(&mut self, id: MapId) {
        self.end_sources_of(&[id], MapCause::Cut);
    }

    pub(super) fn cut_sources(&mut self) {
        self.end_sources_of(&self.map_ids(), MapCause::Cut);
    }

    fn end_sources_of(&mut self, ids: &[MapId], cause: MapCause) {
        for &id in ids {
            if let Some(map) = self.maps.get_mut(&id) {
                map.end_source(cause);
                self.end_if_over(id);
            }
        }
    }

    /// Ends everything that is open, jobs and maps.
    pub(super) fn fail_everything(&mut self, outcome: Outcome, cause: MapCause) {
        self.maps.values_mut().for_each(|map| map.fail(cause));
        for job in self.jobs.ids() {
            self.resolve(job, outcome);
        }
        for id in self.map_ids() {
            self.end_if_over(id);
        }
    }

    fn end_if_over(&mut self, id: MapId) {
        if let Some(end) = self.maps.get(&id).and_then(Map::end) {
            self.maps.remove(&id);
            self.outbox.push_back(Action::EndMap { map: id, end });
        }
    }

    pub(super) fn map_ids(&self) -> Vec<MapId> {
        self.maps.keys().copied().collect()
    }
}
