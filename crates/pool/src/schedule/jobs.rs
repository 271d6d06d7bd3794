//! The open jobs: where each is, and which goes next.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::Cancel;
use crate::id::{IdMap, JobId, MapId, WorkerId};
use crate::options::JobOptions;

/// Where an open job is (README, section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Waiting,
    Sent(WorkerId),
    Recalled(WorkerId),
    Started(WorkerId),
}

impl Place {
    pub(super) fn worker(self) -> Option<WorkerId> {
        match self {
            Self::Waiting => None,
            Self::Sent(worker) | Self::Recalled(worker) | Self::Started(worker) => Some(worker),
        }
    }

    pub(super) fn is_unstarted_at(self, worker: WorkerId) -> bool {
        matches!(self, Self::Sent(at) | Self::Recalled(at) if at == worker)
    }
}

/// An open job.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) options: JobOptions,
    /// Its map, and its number in the order of the map's source.
    pub(super) map: Option<(MapId, u64)>,
    pub(super) cancel: Option<Cancel>,
    pub(super) death_count: u32,
    place: Place,
}

impl Job {
    pub(super) fn place(&self) -> Place {
        self.place
    }
}

type Turn = (Reverse<i32>, JobId);

#[derive(Debug, Default)]
pub(super) struct Jobs {
    open: IdMap<JobId, Job>,
    waiting: BTreeSet<Turn>,
    recalled_count: usize,
    next: u64,
}

impl Jobs {
    /// The number of a job that is over as soon as it is there.
    pub(super) fn number(&mut self) -> JobId {
        self.next += 1;
        JobId(self.next)
    }

    pub(super) fn add(&mut self, options: JobOptions, map: Option<(MapId, u64)>) -> JobId {
        let id = self.number();
        self.waiting.insert((Reverse(options.priority), id));
        self.open.insert(id, Job { options, map, cancel: None, death_count: 0, place: Place::Waiting });
        id
    }

    pub(super) fn get(&self, id: JobId) -> Option<&Job> {
        self.open.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: JobId) -> Option<&mut Job> {
        self.open.get_mut(&id)
    }

    pub(super) fn place(&self, id: JobId) -> Option<Place> {
        self.open.get(&id).map(|job| job.place)
    }

    pub(super) fn put(&mut self, id: JobId, place: Place) {
        if let Some(job) = self.open.get_mut(&id) {
            let (turn, before) = ((Reverse(job.options.priority), id), job.place);
            job.place = place;
            self.count_out(before, turn);
            self.count_in(place, turn);
        }
    }

    pub(super) fn remove(&mut self, id: JobId) -> Option<Job> {
        let job = self.open.remove(&id)?;
        self.count_out(job.place, (Reverse(job.options.priority), id));
        Some(job)
    }

    fn count_out(&mut self, place: Place, turn: Turn) {
        match place {
            Place::Waiting => {
                self.waiting.remove(&turn);
            }
            Place::Recalled(_) => self.recalled_count -= 1,
            Place::Sent(_) | Place::Started(_) => {}
        }
    }

    fn count_in(&mut self, place: Place, turn: Turn) {
        match place {
            Place::Waiting => {
                self.waiting.insert(turn);
            }
            Place::Recalled(_) => self.recalled_count += 1,
            Place::Sent(_) | Place::Started(_) => {}
        }
    }

    pub(super) fn first_waiting(&self) -> Option<JobId> {
        self.waiting.first().map(|&(_, id)| id)
    }

    pub(super) fn waiting(&self) -> impl Iterator<Item = JobId> + '_ {
        self.waiting.iter().map(|&(_, id)| id)
    }

    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn recalled_count(&self) -> usize {
        self.recalled_count
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// All that are open, in the order in which they were added.
    pub(super) fn ids(&self) -> Vec<JobId> {
        let mut ids: Vec<JobId> = self.open.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (JobId, &Job)> {
        self.open.iter().map(|(&id, job)| (id, job))
    }
}
