//! What the pool has promised: each action is checked against all that came before it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use threefold_pool::{Action, Delivery, JobId, MapEnd, MapId, Outcome, WorkerEvent, WorkerId};

#[derive(Debug)]
pub struct MapRecord {
    pub delivery: Delivery,
    pub retry_count: u32,
    /// Chunks that may still be added.
    pub asked_count: u64,
    pub jobs: Vec<JobId>,
    pub delivered: Vec<JobId>,
    pub taken_count: u64,
    pub is_silent: bool,
    pub is_unbounded: bool,
    first_failure: Option<JobId>,
    pub end: Option<MapEnd>,
}

/// A worker as the pool has been told of it.
#[derive(Debug, Default)]
struct WorkerRecord {
    standing: Standing,
    held: BTreeSet<JobId>,
}

/// The last that the pool was told of a worker, or decided for it; it only ever goes up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    #[default]
    Asked,
    Started,
    Ready,
    AskedToFinish,
    Killed,
}

impl WorkerRecord {
    fn rise(&mut self, standing: Standing) {
        self.standing = self.standing.max(standing);
    }
}

/// Everything that was decided and told.
#[derive(Debug, Default)]
pub struct Ledger {
    pub worker_count: usize,
    pub depth: usize,
    pub added: HashMap<JobId, u32>,
    pub cancelled: BTreeSet<JobId>,
    pub resolved: BTreeMap<JobId, Outcome>,
    pub maps: BTreeMap<MapId, MapRecord>,
    workers: BTreeMap<WorkerId, WorkerRecord>,
    last_worker: u64,
    pub is_finished: bool,
}

impl Ledger {
    pub fn new(worker_count: usize, depth: usize) -> Self {
        Self { worker_count, depth, ..Self::default() }
    }

    pub fn add_map(&mut self, map: MapId, delivery: Delivery, retry_count: u32) {
        let record = MapRecord {
            delivery,
            retry_count,
            asked_count: 0,
            jobs: Vec::new(),
            delivered: Vec::new(),
            taken_count: 0,
            is_silent: false,
            is_unbounded: delivery == Delivery::Collected,
            first_failure: None,
            end: None,
        };
        self.maps.insert(map, record);
    }

    /// The pool is about to be told this.
    pub fn hear(&mut self, worker: WorkerId, event: WorkerEvent) {
        if matches!(event, WorkerEvent::Exited(_) | WorkerEvent::NotStarted { .. }) {
            self.workers.remove(&worker);
        }
        let Some(record) = self.workers.get_mut(&worker) else { return };
        match event {
            WorkerEvent::Started { .. } => record.rise(Standing::Started),
            WorkerEvent::Ready => record.rise(Standing::Ready),
            WorkerEvent::JobReturned(job) | WorkerEvent::JobRaised(job) | WorkerEvent::JobTakenBack(job) => {
                record.held.remove(&job);
            }
            _ => {}
        }
    }

    /// The pool has decided this.
    pub fn enter(&mut self, action: Action) {
        assert!(!self.is_finished, "{action:?} after the end");
        match action {
            Action::StartWorker { worker } => {
                assert!(worker.0 > self.last_worker, "{worker} is not new");
                self.last_worker = worker.0;
                self.workers.insert(worker, WorkerRecord::default());
                assert!(self.workers.len() <= self.worker_count, "too many workers");
            }
            Action::FinishWorker { worker } => {
                let record = self.workers.get_mut(&worker).expect("a live worker");
                assert!(matches!(record.standing, Standing::Started | Standing::Ready) && record.held.is_empty());
                record.rise(Standing::AskedToFinish);
            }
            Action::KillWorker { worker, .. } => {
                let record = self.workers.get_mut(&worker).expect("a live worker");
                assert!(!matches!(record.standing, Standing::Asked | Standing::Killed));
                record.rise(Standing::Killed);
            }
            Action::Send { worker, job } => {
                assert!(!self.resolved.contains_key(&job), "{job} is sent and over");
                let is_held = self.workers.values().any(|record| record.held.contains(&job));
                assert!(!is_held, "{job} is with two workers");
                let depth = self.depth;
                let record = self.workers.get_mut(&worker).expect("a live worker");
                assert_eq!(record.standing, Standing::Ready);
                record.held.insert(job);
                assert!(record.held.len() <= depth, "{worker} has too many jobs");
            }
            Action::TakeBack { worker, job } => {
                assert!(self.workers[&worker].held.contains(&job), "{worker} does not have {job}");
            }
            Action::Resolve { job, outcome } => {
                assert_eq!(self.resolved.insert(job, outcome), None, "{job} is resolved twice");
                self.workers.values_mut().for_each(|record| {
                    record.held.remove(&job);
                });
                let owner = self.maps.values_mut().find(|map| map.jobs.contains(&job));
                if let Some(map) = owner.filter(|map| outcome != Outcome::Returned && map.first_failure.is_none()) {
                    map.first_failure = Some(job);
                }
            }
            Action::Deliver { map, job } => self.deliver(map, job),
            Action::EndMap { map, end } => self.end_map(map, end),
            Action::Pull { map, chunk_count } => self.pull(map, chunk_count),
            Action::Broken(_) => {}
            Action::Finished => {
                assert!(self.workers.is_empty(), "the pool is finished and has workers");
                self.is_finished = true;
            }
        }
    }

    fn deliver(&mut self, id: MapId, job: JobId) {
        assert!(self.resolved.contains_key(&job), "{job} is delivered and not over");
        let map = self.maps.get_mut(&id).expect("a map");
        assert!(map.end.is_none() && !map.is_silent && map.delivery != Delivery::Collected);
        match map.delivery {
            Delivery::Ordered => assert_eq!(map.jobs.get(map.delivered.len()), Some(&job), "out of order"),
            _ => assert!(map.jobs.contains(&job) && !map.delivered.contains(&job)),
        }
        map.delivered.push(job);
    }

    fn end_map(&mut self, id: MapId, end: MapEnd) {
        let map = self.maps.get_mut(&id).expect("a map");
        assert_eq!(map.end.replace(end), None, "{id} ends twice");
        assert_eq!(end.job_count, map.jobs.len() as u64);
        assert_eq!(end.first_failure, map.first_failure);
        assert!(map.jobs.iter().all(|job| self.resolved.contains_key(job)), "{id} ends with open jobs");
        let is_delivered =
            map.is_silent || map.delivery == Delivery::Collected || map.delivered.len() == map.jobs.len();
        assert!(is_delivered, "{id} ends without having delivered everything");
    }

    fn pull(&mut self, id: MapId, chunk_count: u64) {
        let limit = 2 * self.worker_count as u64;
        let map = self.maps.get_mut(&id).expect("a map");
        assert!(map.end.is_none() && map.asked_count == 0 && chunk_count > 0);
        map.asked_count = chunk_count;
        let ahead_count = map.jobs.len() as u64 - map.taken_count;
        assert!(map.is_unbounded || ahead_count + chunk_count <= limit, "{id} is read too far ahead");
    }

    /// Whether an outcome is true to what happened in the processes.
    pub fn check_outcome(&self, job: JobId, outcome: Outcome, begun_count: u32, ended: Option<&WorkerEvent>) {
        let is_ended_by = |expected: WorkerEvent| ended == Some(&expected);
        let is_true = match outcome {
            Outcome::Returned => is_ended_by(WorkerEvent::JobReturned(job)),
            Outcome::Raised => is_ended_by(WorkerEvent::JobRaised(job)),
            Outcome::SourceFailed => begun_count == 0,
            Outcome::TimedOut(_) => begun_count > 0 && ended.is_none(),
            Outcome::WorkerDied(_) => begun_count == self.added[&job] + 1 && ended.is_none(),
            Outcome::Cancelled => self.cancelled.contains(&job) && ended.is_none(),
            Outcome::NoWorker(_) | Outcome::Unsendable => begun_count <= self.added[&job] && ended.is_none(),
            Outcome::Terminated => true,
        };
        assert!(is_true, "{job} is {outcome:?}, begun {begun_count} times, ended by {ended:?}");
    }
}
