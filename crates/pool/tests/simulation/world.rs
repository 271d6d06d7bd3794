//! A pool, its processes and its callers: one step at a time, with every promise checked after each.

use std::num::NonZeroUsize;
use std::time::Duration;

use threefold_pool::{
    Action, Cancel, Delivery, JobId, JobOptions, Leave, MapId, MapOptions, PoolOptions, Scheduler, SourceEnd, Unread,
    WorkerEvent, WorkerId,
};
use threefold_sys::clock::Instant;

use super::ledger::Ledger;
use super::processes::{Processes, Turn};
use super::step::Step;

pub struct World {
    pub scheduler: Scheduler,
    pub processes: Processes,
    pub ledger: Ledger,
    now: Instant,
    /// What was told of workers before, to be told again.
    past: Vec<(WorkerId, WorkerEvent)>,
    /// Whether what is decided is done at once.
    is_prompt: bool,
}

impl World {
    pub fn new(options: PoolOptions, is_prompt: bool) -> Self {
        let now = Instant::from_nanos(1);
        let ledger = Ledger::new(options.worker_count.get(), options.depth.get());
        let scheduler = Scheduler::new(options, now);
        let mut world = Self { scheduler, processes: Processes::default(), ledger, now, past: Vec::new(), is_prompt };
        world.look();
        world
    }

    pub fn take(&mut self, step: Step) {
        match step {
            Step::Obey(count) => (0..count).for_each(|_| {
                self.processes.obey();
            }),
            Step::ObeyInVain => self.processes.obey_in_vain(),
            Step::Make(pick, turn) => self.make(pick, turn),
            Step::Run(pick, turn, count) => {
                if let Some(worker) = self.processes.pick(pick) {
                    (1..count).for_each(|_| {
                        self.processes.run(worker, Turn::Good);
                    });
                    self.processes.run(worker, turn);
                }
            }
            Step::Crash(pick) => {
                if let Some(worker) = self.processes.pick(pick) {
                    self.processes.crash(worker);
                }
            }
            Step::CrashAtWork(pick) => {
                if let Some(worker) = self.processes.pick_at_work(pick) {
                    self.processes.crash(worker);
                }
            }
            Step::Hear(pick, count) => (0..count).for_each(|_| {
                self.hear(pick);
                self.look();
            }),
            Step::Answer => {
                self.answer();
            }
            Step::Repeat(pick) => self.repeat(pick),
            Step::Pass(milliseconds) => self.pass(Duration::from_millis(milliseconds)),
            Step::Bustle(count) => (0..count).for_each(|_| {
                self.move_on();
            }),
            Step::Add(options, count) => (0..count).for_each(|_| self.add(options)),
            Step::Cancel(pick, cancel) => self.cancel(pick, cancel),
            Step::CancelUnstarted => {
                self.ledger.cancelled.extend(self.ledger.added.keys());
                self.scheduler.cancel_unstarted(self.now);
            }
            Step::Retire(pick) => {
                if let Some(worker) = self.processes.pick(pick) {
                    self.tell(worker, WorkerEvent::Retire);
                }
            }
            Step::TooLarge(pick) => {
                if let Some(worker) = self.processes.pick(pick) {
                    self.tell(worker, WorkerEvent::TooLarge);
                }
            }
            Step::Resize(worker_count) => self.resize(worker_count),
            Step::AddMap(delivery, job) => self.add_map(delivery, job),
            Step::Chunk(pick) => self.add_chunk(pick),
            Step::BadChunk(pick) => self.add_bad_chunk(pick),
            Step::EndSource(pick, end) => self.end_source(pick, end),
            Step::Took(pick) => self.took(pick),
            Step::Leave(pick, leave) => self.leave(pick, leave),
            Step::Close => self.scheduler.close(self.now),
            Step::Terminate => self.scheduler.terminate(self.now),
        }
        self.look();
    }

    /// Notes and checks what was decided, and checks the invariants.
    fn look(&mut self) {
        assert_eq!(self.scheduler.broken_invariant(), None);
        while let Some(action) = self.scheduler.next_action() {
            self.ledger.enter(action);
            if let Action::Resolve { job, outcome } = action {
                let begun_count = self.processes.begun.get(&job).copied().unwrap_or(0);
                self.ledger.check_outcome(job, outcome, begun_count, self.processes.ended.get(&job));
            }
            self.processes.orders.push_back(action);
        }
        while self.is_prompt && self.processes.obey() {}
        for (job, &begun_count) in &self.processes.begun {
            assert!(begun_count <= self.ledger.added[job] + 1, "{job} was begun {begun_count} times");
        }
        for process in self.processes.alive.values() {
            assert!(process.ring.len() + usize::from(process.current.is_some()) <= self.ledger.depth);
        }
    }

    fn tell(&mut self, worker: WorkerId, event: WorkerEvent) {
        self.ledger.hear(worker, event);
        self.scheduler.worker_event(self.now, worker, event);
    }

    fn add(&mut self, options: JobOptions) {
        if let Ok(job) = self.scheduler.add_job(self.now, options) {
            self.ledger.added.insert(job, options.retry_count);
            // Who adds a job without a time limit has to know that it ends.
            if options.timeout.is_some() && job.0 % 3 == 0 {
                self.processes.endless.insert(job);
            }
        }
    }

    fn make(&mut self, pick: usize, turn: Turn) {
        if let Some((worker, event)) = self.processes.make(pick, turn) {
            self.past.push((worker, event));
            self.tell(worker, event);
        }
    }

    fn hear(&mut self, pick: usize) -> bool {
        let Some(worker) = self.processes.pick(pick) else { return false };
        let Some(event) = self.processes.hear(worker) else { return false };
        self.past.push((worker, event));
        self.tell(worker, event);
        true
    }

    fn answer(&mut self) -> bool {
        let Some((worker, event)) = self.processes.answers.pop_front() else { return false };
        self.tell(worker, event);
        true
    }

    fn repeat(&mut self, pick: usize) {
        if let Some(&(worker, event)) = self.past.get(pick % self.past.len().max(1)) {
            self.scheduler.worker_event(self.now, worker, event);
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
        self.scheduler.tick(self.now);
    }

    fn cancel(&mut self, pick: usize, cancel: Cancel) {
        let is_open = |job: &&JobId| !self.ledger.resolved.contains_key(job);
        let mut jobs: Vec<JobId> = self.ledger.added.keys().filter(is_open).copied().collect();
        jobs.sort_unstable();
        if let Some(&job) = jobs.get(pick % jobs.len().max(1)) {
            self.ledger.cancelled.insert(job);
            self.scheduler.cancel(self.now, job, cancel);
        }
    }

    fn resize(&mut self, worker_count: usize) {
        self.ledger.worker_count = worker_count;
        self.scheduler.resize(self.now, NonZeroUsize::new(worker_count).unwrap());
    }

    fn add_map(&mut self, delivery: Delivery, job: JobOptions) {
        let options = MapOptions { job, ..MapOptions::new(delivery) };
        if let Ok(map) = self.scheduler.add_map(self.now, options) {
            self.ledger.add_map(map, delivery, job.retry_count);
        }
    }

    fn map(&self, pick: usize) -> Option<MapId> {
        self.ledger.maps.keys().nth(pick % self.ledger.maps.len().max(1)).copied()
    }

    fn enter_chunk(&mut self, id: MapId, job: JobId) {
        let map = self.ledger.maps.get_mut(&id).unwrap();
        assert!(map.end.is_none());
        map.asked_count = map.asked_count.checked_sub(1).expect("a chunk that was asked for");
        map.jobs.push(job);
        self.ledger.added.insert(job, map.retry_count);
    }

    fn add_chunk(&mut self, pick: usize) {
        let Some(map) = self.map(pick) else { return };
        if let Ok(job) = self.scheduler.add_chunk(self.now, map) {
            self.enter_chunk(map, job);
        }
    }

    fn add_bad_chunk(&mut self, pick: usize) {
        let Some(map) = self.map(pick) else { return };
        if let Ok(job) = self.scheduler.add_unsendable_chunk(self.now, map) {
            self.enter_chunk(map, job);
        }
    }

    fn end_source(&mut self, pick: usize, end: SourceEnd) {
        let Some(map) = self.map(pick) else { return };
        if let Ok(Some(job)) = self.scheduler.end_source(self.now, map, end) {
            self.enter_chunk(map, job);
        }
    }

    fn took(&mut self, pick: usize) {
        let Some(id) = self.map(pick) else { return };
        let map = self.ledger.maps.get_mut(&id).unwrap();
        if map.taken_count < map.delivered.len() as u64 {
            map.taken_count += 1;
            self.scheduler.took(self.now, id);
        }
    }

    fn leave(&mut self, pick: usize, leave: Leave) {
        let Some(id) = self.map(pick) else { return };
        let map = self.ledger.maps.get_mut(&id).unwrap();
        map.is_silent = true;
        map.is_unbounded = true;
        if leave == Leave::Cancel {
            self.ledger.cancelled.extend(&map.jobs);
        }
        self.scheduler.leave(self.now, id, leave);
    }

    /// Everybody does what is theirs until the pool is finished; nobody may wait for ever.
    pub fn run_to_the_end(&mut self, unread: Unread) {
        self.scheduler.close(self.now);
        self.look();
        self.ledger.maps.values_mut().for_each(|map| map.is_unbounded = true);
        self.scheduler.join(self.now, |_| unread);
        self.look();
        for _round in 0..10_000 {
            if self.ledger.is_finished {
                break;
            }
            let is_read = self.end_all_sources();
            if !self.move_on() && !is_read {
                let wake = self.scheduler.next_wake();
                let wake = wake.unwrap_or_else(|| panic!("nothing will ever happen again: {:?}", self.scheduler));
                self.pass(wake.since(self.now));
            }
            self.look();
        }
        assert!(self.ledger.is_finished, "the pool does not end: {:?}", self.scheduler);
        for job in self.ledger.added.keys() {
            assert!(self.ledger.resolved.contains_key(job), "{job} was forgotten");
        }
        assert!(self.ledger.maps.values().all(|map| map.end.is_some()), "a map was forgotten");
        assert_eq!(self.scheduler.next_wake(), None);
    }

    /// One round in which everybody does one thing; false when nobody had anything to do.
    fn move_on(&mut self) -> bool {
        let mut has_moved = (0..4).filter(|_| self.processes.obey()).count() > 0;
        has_moved |= self.answer();
        self.look();
        let asked_count = self.processes.asked.len();
        self.make(0, Turn::Good);
        self.look();
        for pick in 0..self.processes.alive.len() {
            let worker = self.processes.pick(pick).unwrap();
            has_moved |= self.processes.run(worker, Turn::Good);
        }
        for pick in 0..self.processes.alive.len() {
            has_moved |= self.hear(pick);
            self.look();
        }
        has_moved || asked_count > 0
    }

    /// Ends the sources that are still read; false when there was none.
    fn end_all_sources(&mut self) -> bool {
        let maps: Vec<MapId> = self.ledger.maps.keys().copied().collect();
        let mut is_any_ended = false;
        for map in maps {
            is_any_ended |= self.scheduler.end_source(self.now, map, SourceEnd::Exhausted).is_ok();
        }
        self.look();
        is_any_ended
    }
}
