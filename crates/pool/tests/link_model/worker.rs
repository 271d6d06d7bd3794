//! The worker's steps.

use super::memory::{Side, Word};
use super::parent::Activity;
use super::state::{ASLEEP, AWAKE, Entry, Fault, NAPPING, SENT, STARTED, State, WITHDRAWN, Wrong, mark};

const ME: Side = Side::Worker;

/// What the worker will do next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Spot {
    #[default]
    Takes,
    /// Whether the parent naps; where it does, and there is no further frame, it rings.
    Glances,
    /// Back from the bell with a frame.
    Withdraws,
    Begins,
    /// Writes what an exchange should have.
    BeginsBlindly {
        found: u8,
    },
    Runs,
    /// After it said that it is through.
    Reports,
    AfterReport,
    ReadsSequence,
    Announces {
        expected: u8,
    },
    TakesAgain,
    BeforeSleep,
    FallsAsleep,
    Sleeps,
    Returns,
    /// The parent naps: whether there is a further frame.
    LooksForMore {
        then: Then,
    },
    Exchanges {
        then: Then,
    },
    Rings {
        then: Then,
    },
    Dead,
    /// The parent is gone.
    Ended,
}

/// What it goes on with when it has rung, or need not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Then {
    Withdraw,
    Finish,
    Sleep,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Worker {
    pub(crate) spot: Spot,
    /// The announcement at the bell: the sequence and the epoch that it found.
    place: Option<(u8, u8)>,
    pub(crate) taken_count: u8,
    finished_count: u8,
    reported_count: u8,
    has_begun: bool,
    has_skipped: bool,
}

impl Worker {
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.spot, Spot::Dead | Spot::Ended)
    }

    /// Whether it compares what it read of the bell with what it will read.
    pub(crate) fn knows_bell(&self) -> bool {
        self.place.is_some() || matches!(self.spot, Spot::Announces { .. })
    }

    /// Of the frame that was taken last.
    fn sequence(&self) -> u8 {
        self.taken_count - 1
    }
}

impl State {
    /// Takes the worker's next step, if it has one.
    pub(crate) fn step_worker(&mut self, fault: Fault) -> bool {
        self.worker.spot = match self.worker.spot {
            Spot::Takes => self.take(Spot::ReadsSequence),
            Spot::Glances => match self.memory.load(ME, Word::Attention) {
                NAPPING => Spot::LooksForMore { then: Then::Withdraw },
                _ => self.go_on(Then::Withdraw, fault),
            },
            Spot::Withdraws => {
                self.withdraw_place();
                first_of_job(fault)
            }
            Spot::Begins => self.begin(fault),
            Spot::BeginsBlindly { found } => {
                let job = self.ledger[usize::from(self.worker.sequence())].job;
                self.memory.exchange(ME, Word::Mark(self.worker.sequence()), None, mark(job, STARTED));
                self.note_begin(job, found, fault)
            }
            Spot::Runs => self.run(fault),
            Spot::Reports => self.report(),
            Spot::AfterReport => self.look_at_attention(fault, Then::Finish),
            Spot::ReadsSequence => Spot::Announces { expected: self.bell.sequence },
            Spot::Announces { expected } => {
                self.memory.fence(ME);
                self.worker.place = Some((expected, self.bell.epoch));
                self.bell.count += 1;
                self.bell.announced += 1;
                if fault == Fault::NoSecondTake { Spot::BeforeSleep } else { Spot::TakesAgain }
            }
            Spot::TakesAgain => self.take(Spot::BeforeSleep),
            Spot::BeforeSleep => self.look_at_attention(fault, Then::Sleep),
            Spot::FallsAsleep => {
                let is_calm = self.worker.place.is_some_and(|(expected, _)| expected == self.bell.sequence);
                if is_calm { Spot::Sleeps } else { Spot::Returns }
            }
            // It looks once a slice whether the parent lives.
            Spot::Sleeps if self.parent.activity == Activity::Dead => Spot::Ended,
            Spot::Sleeps | Spot::Dead | Spot::Ended => return false,
            Spot::Returns => {
                self.withdraw_place();
                Spot::Takes
            }
            Spot::LooksForMore { then } if self.has_frame() => self.go_on(then, fault),
            Spot::LooksForMore { then } => first_of_ring(fault, then),
            Spot::Exchanges { then } => {
                let found = self.memory.exchange(ME, Word::Attention, None, AWAKE);
                if found != AWAKE && fault != Fault::RingsBeforeExchange {
                    Spot::Rings { then }
                } else {
                    self.go_on(then, fault)
                }
            }
            Spot::Rings { then } => self.ring(fault, then),
        };
        true
    }

    /// What it has stored stays, and nothing else.
    pub(crate) fn kill_worker(&mut self) {
        self.memory.fence(ME);
        self.worker = Worker { spot: Spot::Dead, ..Worker::default() };
    }

    fn has_frame(&self) -> bool {
        self.memory.load(ME, Word::JobTail) > self.worker.taken_count
    }

    fn take(&mut self, otherwise: Spot) -> Spot {
        if !self.has_frame() {
            return otherwise;
        }
        self.worker.taken_count += 1;
        Spot::Glances
    }

    fn withdraw_place(&mut self) {
        let place = self.worker.place.take();
        if place.is_some_and(|(_, epoch)| epoch == self.bell.epoch) {
            self.bell.count = self.bell.count.saturating_sub(1);
        }
    }

    fn begin(&mut self, fault: Fault) -> Spot {
        let sequence = self.worker.sequence();
        let (job, word) = (self.ledger[usize::from(sequence)].job, Word::Mark(sequence));
        if fault == Fault::BeginsBlindly {
            return Spot::BeginsBlindly { found: self.memory.load(ME, word) };
        }
        let found = self.memory.exchange(ME, word, Some(mark(job, SENT)), mark(job, STARTED));
        self.note_begin(job, found, fault)
    }

    fn note_begin(&mut self, job: u8, found: u8, fault: Fault) -> Spot {
        let entry = &mut self.ledger[usize::from(self.worker.taken_count - 1)];
        self.worker.has_begun = found == mark(job, SENT);
        entry.has_begun = self.worker.has_begun;
        let wrong = match (found == mark(job, WITHDRAWN), *entry) {
            (false, entry) if !entry.has_begun => Some(Wrong::Damaged),
            (_, entry) if entry.has_begun && entry.is_withdrawn => Some(Wrong::BothWon),
            (_, entry) if !entry.has_begun && !entry.is_withdrawn => Some(Wrong::NobodyWon),
            _ => None,
        };
        self.wrong = self.wrong.or(wrong);
        match self.worker.has_begun {
            false => self.finish(fault),
            true if fault == Fault::RunsBeforeBegin => self.report(),
            true => Spot::Runs,
        }
    }

    fn run(&mut self, fault: Fault) -> Spot {
        let entry = &mut self.ledger[usize::from(self.worker.sequence())];
        entry.has_run = true;
        let Entry { job, is_withdrawn, .. } = *entry;
        if is_withdrawn {
            self.fail(Wrong::RanWithdrawn);
        }
        if self.ledger.iter().filter(|other| other.has_run && other.job == job).count() > 1 {
            self.fail(Wrong::RanTwice);
        }
        match fault {
            Fault::RunsBeforeBegin => Spot::Begins,
            // And then it reports.
            Fault::FinishesBeforeReport => self.finish(fault),
            _ => self.report(),
        }
    }

    fn report(&mut self) -> Spot {
        self.reports[usize::from(self.worker.reported_count)] = self.worker.sequence();
        self.worker.reported_count += 1;
        self.memory.store(ME, Word::ReportTail, self.worker.reported_count);
        Spot::AfterReport
    }

    fn finish(&mut self, fault: Fault) -> Spot {
        if self.worker.finished_count == self.worker.taken_count {
            // It was said before the report.
            return Spot::Takes;
        }
        self.worker.has_skipped |= !self.worker.has_begun;
        self.worker.finished_count += 1;
        self.memory.store(ME, Word::Finished, self.worker.finished_count);
        let is_early = fault == Fault::FinishesBeforeReport && self.worker.has_begun;
        if is_early { Spot::Reports } else { Spot::Takes }
    }

    fn look_at_attention(&mut self, fault: Fault, then: Then) -> Spot {
        if fault != Fault::NoFenceAfterReport {
            self.memory.fence(ME);
        }
        match (self.memory.load(ME, Word::Attention), then) {
            (NAPPING, Then::Finish) => Spot::LooksForMore { then },
            (ASLEEP, Then::Finish) => first_of_ring(fault, then),
            (NAPPING, _) if fault != Fault::NoRingWhenDry => first_of_ring(fault, then),
            (ASLEEP, _) if self.worker.has_skipped && fault != Fault::NoRingAfterSkips => first_of_ring(fault, then),
            _ => self.go_on(then, fault),
        }
    }

    fn go_on(&mut self, then: Then, fault: Fault) -> Spot {
        match then {
            Then::Withdraw if self.worker.place.is_some() => Spot::Withdraws,
            Then::Withdraw => first_of_job(fault),
            Then::Finish => self.finish(fault),
            Then::Sleep => Spot::FallsAsleep,
        }
    }

    fn ring(&mut self, fault: Fault, then: Then) -> Spot {
        if self.rings_due == 0 {
            self.fail(Wrong::RangForNothing);
        }
        self.rings_due = self.rings_due.saturating_sub(1);
        self.worker.has_skipped = false;
        self.is_doorbell_rung = true;
        if fault == Fault::RingsBeforeExchange { Spot::Exchanges { then } } else { self.go_on(then, fault) }
    }
}

fn first_of_job(fault: Fault) -> Spot {
    if fault == Fault::RunsBeforeBegin { Spot::Runs } else { Spot::Begins }
}

fn first_of_ring(fault: Fault, then: Then) -> Spot {
    match fault {
        Fault::NoExchange | Fault::RingsBeforeExchange => Spot::Rings { then },
        _ => Spot::Exchanges { then },
    }
}
