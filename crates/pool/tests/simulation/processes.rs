//! Worker processes that are only played: rings, marks, messages on their way, deaths that nobody has noticed yet.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use threefold_pool::{Action, Ended, Exit, JobId, KillReason, WorkerEvent, WorkerId};

/// One process and the ring it shares with the pool.
#[derive(Debug, Default)]
pub struct Process {
    pub pid: u32,
    is_ready: bool,
    is_asked_to_finish: bool,
    pub exit: Option<Exit>,
    /// Jobs that were sent and not begun.
    pub ring: VecDeque<JobId>,
    /// The job it is doing.
    pub current: Option<JobId>,
    /// What it has said and nobody has heard.
    pub said: VecDeque<WorkerEvent>,
}

/// What a process does in its next turn.
#[derive(Clone, Copy, Debug)]
pub enum Turn {
    Good,
    Bad,
}

/// All processes, and what was asked for them.
#[derive(Debug, Default)]
pub struct Processes {
    pub alive: BTreeMap<WorkerId, Process>,
    /// Those that were asked for and are not made yet.
    pub asked: Vec<WorkerId>,
    /// Answers to recalls that nobody has heard.
    pub answers: VecDeque<(WorkerId, WorkerEvent)>,
    /// How often each job was begun.
    pub begun: HashMap<JobId, u32>,
    /// How each job ended in a process, if it did.
    pub ended: HashMap<JobId, WorkerEvent>,
    /// Jobs that never end by themselves.
    pub endless: HashSet<JobId>,
    pub orders: VecDeque<Action>,
    pid: u32,
}

pub const CRASH: Exit = Exit { ended: Ended::Signal(11), is_out_of_memory: false };
const KILLED: Exit = Exit { ended: Ended::Signal(9), is_out_of_memory: false };
const LEFT: Exit = Exit { ended: Ended::Code(0), is_out_of_memory: false };

impl Processes {
    /// Does the oldest thing that was asked for; false when there is none.
    pub fn obey(&mut self) -> bool {
        let Some(order) = self.orders.pop_front() else { return false };
        match order {
            Action::StartWorker { worker } => self.asked.push(worker),
            Action::FinishWorker { worker } => {
                if let Some(process) = self.alive.get_mut(&worker) {
                    process.is_asked_to_finish = true;
                }
            }
            Action::KillWorker { worker, pid, reason } => self.kill(worker, pid, reason),
            Action::Send { worker, job } => {
                if let Some(process) = self.alive.get_mut(&worker) {
                    process.ring.push_back(job);
                }
            }
            Action::TakeBack { worker, job } => self.take_back(worker, job),
            _ => {}
        }
        true
    }

    /// The same, but for a job that cannot be encoded.
    pub fn obey_in_vain(&mut self) {
        match self.orders.front() {
            Some(&Action::Send { worker, job }) if self.alive.contains_key(&worker) => {
                self.orders.pop_front();
                self.answers.push_back((worker, WorkerEvent::JobUnsendable(job)));
            }
            _ => {
                self.obey();
            }
        }
    }

    fn kill(&mut self, worker: WorkerId, pid: u32, reason: KillReason) {
        let Some(process) = self.alive.get_mut(&worker) else { return };
        assert_eq!(process.pid, pid, "{worker} has another process");
        if process.exit.is_some() {
            return;
        }
        if let Some(job) = reason.job() {
            assert!(process.current.is_none_or(|current| current == job), "{worker} is killed under an innocent job");
        }
        process.exit = Some(KILLED);
    }

    fn take_back(&mut self, worker: WorkerId, job: JobId) {
        let Some(process) = self.alive.get_mut(&worker) else { return };
        let is_there = process.ring.contains(&job);
        process.ring.retain(|&waiting| waiting != job);
        let answer = if is_there { WorkerEvent::JobTakenBack(job) } else { WorkerEvent::JobNotTakenBack(job) };
        self.answers.push_back((worker, answer));
    }

    /// Makes a process that was asked for, or fails to; returns what the pool hears of it.
    pub fn make(&mut self, pick: usize, turn: Turn) -> Option<(WorkerId, WorkerEvent)> {
        let worker = *self.asked.get(pick % self.asked.len().max(1))?;
        self.asked.retain(|&asked| asked != worker);
        if matches!(turn, Turn::Bad) {
            return Some((worker, WorkerEvent::NotStarted { os_error: Some(11) }));
        }
        self.pid += 1;
        self.alive.insert(worker, Process { pid: self.pid, ..Process::default() });
        Some((worker, WorkerEvent::Started { pid: self.pid }))
    }

    pub fn pick(&self, pick: usize) -> Option<WorkerId> {
        self.alive.keys().nth(pick % self.alive.len().max(1)).copied()
    }

    pub fn pick_at_work(&self, pick: usize) -> Option<WorkerId> {
        let at_work: Vec<_> = self.alive.iter().filter(|(_, process)| process.current.is_some()).collect();
        at_work.get(pick % at_work.len().max(1)).map(|&(&worker, _)| worker)
    }

    /// Lets a process do its next thing; false when it has nothing to do.
    pub fn run(&mut self, worker: WorkerId, turn: Turn) -> bool {
        let Some(process) = self.alive.get_mut(&worker) else { return false };
        if process.exit.is_some() {
            return false;
        }
        if !process.is_ready {
            process.is_ready = true;
            if matches!(turn, Turn::Bad) {
                process.said.push_back(WorkerEvent::InitializerFailed);
                process.exit = Some(LEFT);
            } else {
                process.said.push_back(WorkerEvent::Ready);
            }
        } else if process.current.is_some_and(|job| self.endless.contains(&job)) {
            return false;
        } else if let Some(job) = process.current.take() {
            let end =
                if matches!(turn, Turn::Bad) { WorkerEvent::JobRaised(job) } else { WorkerEvent::JobReturned(job) };
            process.said.push_back(end);
            assert_eq!(self.ended.insert(job, end), None, "{job} was done twice");
        } else if let Some(job) = process.ring.pop_front() {
            process.said.push_back(WorkerEvent::JobStarted(job));
            process.current = Some(job);
            *self.begun.entry(job).or_default() += 1;
        } else if process.is_asked_to_finish {
            process.exit = Some(LEFT);
        } else {
            return false;
        }
        true
    }

    /// A process dies for reasons of its own.
    pub fn crash(&mut self, worker: WorkerId) {
        if let Some(process) = self.alive.get_mut(&worker) {
            process.exit.get_or_insert(CRASH);
        }
    }

    /// The next thing that the pool hears of a process; its death comes after all that it has said.
    pub fn hear(&mut self, worker: WorkerId) -> Option<WorkerEvent> {
        let process = self.alive.get_mut(&worker)?;
        if let Some(event) = process.said.pop_front() {
            return Some(event);
        }
        let exit = process.exit?;
        self.alive.remove(&worker);
        Some(WorkerEvent::Exited(exit))
    }
}
