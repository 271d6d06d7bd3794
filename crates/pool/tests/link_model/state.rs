//! What there is of a link and its two sides, and what must be true of it.

use super::memory::{Memory, Side, Word};
use super::parent::{Activity, Parent};
use super::worker::{Spot, Worker};

/// How often jobs can be sent, those that were taken back and are sent again included.
pub(crate) const MOST: usize = 6;

pub(crate) const AWAKE: u8 = 0;
pub(crate) const NAPPING: u8 = 1;
pub(crate) const ASLEEP: u8 = 2;

/// The state in a mark, below the job.
pub(crate) const SENT: u8 = 1;
pub(crate) const STARTED: u8 = 2;
pub(crate) const WITHDRAWN: u8 = 3;

pub(crate) const fn mark(job: u8, state: u8) -> u8 {
    job << 2 | state
}

/// A rule that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The parent does not look for reports once it has said that it sleeps.
    NoSecondLook,
    /// The parent looks for room before it says that it sleeps, and not after.
    LooksForRoomTooEarly,
    /// The parent looks without a fence after it has said that it sleeps.
    NoFenceAfterAttention,
    /// The parent drains the doorbell after its look.
    DrainsAfterLook,
    /// The mark is written after the frame.
    MarkAfterFrame,
    /// The frame is published by a store that is no release.
    RelaxedFrame,
    /// Taking back looks, and then writes.
    TakesBackBlindly,
    /// A mark is used again while the worker is not through with it.
    ReusesMarks,
    /// There is room for one job only.
    RoomForOne,
    /// The parent looks for sleepers without a fence after the frame.
    NoFenceBeforeBell,
    /// The parent does not wake the worker.
    NoWake,
    /// The parent does not read what a dead worker has left.
    BuriesUnread,
    /// The worker reads the attention without a fence after its report.
    NoFenceAfterReport,
    /// The worker rings and leaves the attention as it is.
    NoExchange,
    /// The worker rings, and then makes the attention awake.
    RingsBeforeExchange,
    /// The worker does not look for a frame once it has announced its sleep.
    NoSecondTake,
    /// The worker sleeps without a ring for a parent that naps.
    NoRingWhenDry,
    /// The worker sleeps without a ring after it has skipped jobs.
    NoRingAfterSkips,
    /// Beginning looks, and then writes.
    BeginsBlindly,
    /// The worker does the job, and then marks it.
    RunsBeforeBegin,
    /// The worker says that it is through, and then reports.
    FinishesBeforeReport,
}

/// What may happen in an exploration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) fault: Fault,
    pub(crate) parent_dies: bool,
    pub(crate) worker_dies: bool,
}

/// What has gone wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Wrong {
    /// The parent sleeps, and there is a report.
    ReportUnseen,
    /// The worker sleeps, and there is a frame.
    JobUnseen,
    /// Both sleep, and the parent has a job that it could send.
    RoomUnseen,
    /// A job was taken back and has begun.
    BothWon,
    /// A job was neither taken back nor begun by the one who came first.
    NobodyWon,
    /// A job that was taken back was done.
    RanWithdrawn,
    /// A job was done twice.
    RanTwice,
    /// The worker found a mark that is not that of its job.
    Damaged,
    /// A dead worker has begun a job, and the parent thinks that it has not.
    BegunUnknown,
    /// A dead worker's report was not read.
    ReportLost,
    /// The worker rang more often than the parent fell asleep.
    RangForNothing,
    /// One side has died, and the other one waits for it.
    LeftAlone,
}

/// What truly became of a job that was sent, whatever the two sides believe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    pub(crate) job: u8,
    pub(crate) is_withdrawn: bool,
    pub(crate) has_begun: bool,
    pub(crate) has_run: bool,
}

/// The worker's bell: `crates/shared_memory/README.md`, section 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Bell {
    pub(crate) sequence: u8,
    pub(crate) count: u8,
    pub(crate) epoch: u8,
    pub(crate) announced: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) memory: Memory,
    pub(crate) bell: Bell,
    pub(crate) is_doorbell_rung: bool,
    /// How often the worker may ring, as far as that matters: it can owe one ring and see another attention.
    pub(crate) rings_due: u8,
    pub(crate) parent: Parent,
    pub(crate) worker: Worker,
    /// By sequence number.
    pub(crate) ledger: [Entry; MOST],
    /// The sequence numbers of the reports.
    pub(crate) reports: [u8; MOST],
    pub(crate) wrong: Option<Wrong>,
}

/// Whether a step will be taken some time, or may as well never be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Parent,
    Worker,
    /// A store reaches memory.
    Arrival,
    /// A death, a new job, one that is taken back.
    Chance,
}

impl State {
    pub(crate) fn new(waiting_count: u8, coming_count: u8, takes_left: u8) -> Self {
        Self {
            memory: Memory::default(),
            bell: Bell::default(),
            is_doorbell_rung: false,
            rings_due: 0,
            parent: Parent::new(waiting_count, coming_count, takes_left),
            worker: Worker::default(),
            ledger: [Entry::default(); MOST],
            reports: [0; MOST],
            wrong: None,
        }
    }

    /// Makes those states the same that differ by numbers which nobody will compare any more.
    pub(crate) fn forget_numbers(&mut self) {
        if !self.parent.knows_bell() {
            self.bell.announced = 0;
            if !self.worker.knows_bell() {
                self.bell = Bell { count: self.bell.count, ..Bell::default() };
            }
        }
    }

    pub(crate) fn fail(&mut self, wrong: Wrong) {
        self.wrong = self.wrong.or(Some(wrong));
    }

    /// All states that one step leads to.
    pub(crate) fn next(&self, rules: Rules) -> Vec<(Step, Self)> {
        let mut all = Vec::new();
        for side in [Side::Parent, Side::Worker] {
            let arrivals = self.memory.arrivals(side).into_iter();
            all.extend(arrivals.map(|memory| (Step::Arrival, Self { memory, ..self.clone() })));
        }
        self.parent_steps(rules, &mut all);
        let mut next = self.clone();
        if next.step_worker(rules.fault) {
            all.push((Step::Worker, next));
        }
        if rules.worker_dies && !self.worker.is_gone() {
            let mut next = self.clone();
            next.kill_worker();
            all.push((Step::Chance, next));
        }
        for (_, next) in &mut all {
            next.forget_numbers();
        }
        all
    }

    /// What is wrong if nothing happens any more, but `steps`, one of which may never come.
    pub(crate) fn wrong_at_rest(&self, steps: &[(Step, Self)]) -> Option<Wrong> {
        let is_busy = self.worker.spot == Spot::Runs;
        let is_at_rest = steps.iter().all(|(step, _)| *step == Step::Chance || is_busy && *step == Step::Worker);
        if !is_at_rest {
            return None;
        }
        let has_report = self.memory.settled(Word::ReportTail) > self.parent.collected_count;
        match self.parent.activity {
            Activity::Dead => (!self.worker.is_gone() && !is_busy).then_some(Wrong::LeftAlone),
            Activity::Buried => None,
            _ if self.worker.is_gone() => Some(Wrong::LeftAlone),
            // It looks again soon.
            Activity::Rests { is_nap: true } if is_busy => None,
            _ if has_report => Some(Wrong::ReportUnseen),
            _ if is_busy => None,
            _ if self.memory.settled(Word::JobTail) > self.worker.taken_count => Some(Wrong::JobUnseen),
            _ if self.parent.waiting != 0 => Some(Wrong::RoomUnseen),
            _ => None,
        }
    }
}
