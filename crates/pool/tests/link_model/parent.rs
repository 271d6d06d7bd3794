//! The parent's steps: its sections, which its threads do one at a time under a lock, and what it does between them.

use super::memory::{SLOTS, Side, Word};
use super::state::{
    ASLEEP, AWAKE, Bell, Fault, MOST, NAPPING, Rules, SENT, STARTED, State, Step, WITHDRAWN, Wrong, mark,
};
use super::worker::Spot;

const ME: Side = Side::Parent;

/// What the thread does that waits for workers; others may send and take back meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Activity {
    Awake,
    /// Until the doorbell is rung, or the worker has died.
    Rests {
        is_nap: bool,
    },
    /// It has drained the doorbell.
    Returns,
    Dead,
    /// The worker is dead, and all is known that can be.
    Buried,
}

/// What a step does.
type Change<'a> = dyn Fn(&mut State) + 'a;

/// What goes on under the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Section {
    Free,
    ChangesSequence { seen: Bell },
    Wakes { seen: Bell },
    TakesBackBlindly { sequence: u8, found: u8 },
    LooksForReports { is_nap: bool },
    LooksForRoom { is_nap: bool },
    DrainsLate { is_nap: bool },
    SaysAwake,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Parent {
    section: Section,
    pub(crate) activity: Activity,
    /// The jobs that are with nobody, a bit each.
    pub(crate) waiting: u8,
    coming_count: u8,
    job_count: u8,
    takes_left: u8,
    sent_count: u8,
    pub(crate) collected_count: u8,
    owes_send: bool,
    owes_wake: bool,
}

impl Parent {
    pub(crate) fn new(waiting_count: u8, coming_count: u8, takes_left: u8) -> Self {
        Self {
            section: Section::Free,
            activity: Activity::Awake,
            waiting: (1 << waiting_count) - 1,
            coming_count,
            job_count: waiting_count,
            takes_left,
            sent_count: 0,
            collected_count: 0,
            owes_send: false,
            owes_wake: false,
        }
    }

    /// Whether it compares what it read of the bell with what it will read.
    pub(crate) fn knows_bell(&self) -> bool {
        matches!(self.section, Section::ChangesSequence { .. } | Section::Wakes { .. })
    }
}

impl State {
    /// Adds all states that a step of the parent leads to.
    pub(crate) fn parent_steps(&self, rules: Rules, all: &mut Vec<(Step, Self)>) {
        if matches!(self.parent.activity, Activity::Dead | Activity::Buried) {
            return;
        }
        let mut add = |step: Step, change: &Change| {
            let mut next = self.clone();
            change(&mut next);
            all.push((step, next));
        };
        if rules.parent_dies {
            add(Step::Chance, &Self::kill_parent);
        }
        if self.parent.section != Section::Free {
            add(Step::Parent, &|state| state.step_section(rules.fault));
            return;
        }
        if self.parent.coming_count > 0 {
            add(Step::Chance, &|state| {
                state.parent.coming_count -= 1;
                state.parent.waiting |= 1 << state.parent.job_count;
                state.parent.job_count += 1;
                state.parent.owes_send = true;
            });
        }
        let can_send = self.can_send(rules.fault);
        if self.parent.owes_send && !can_send {
            add(Step::Parent, &|state| state.parent.owes_send = false);
        }
        // While it rests, only who has brought a job sends.
        let is_resting = matches!(self.parent.activity, Activity::Rests { .. });
        if can_send && (self.parent.owes_send || !is_resting) {
            add(Step::Parent, &|state| state.send(rules.fault));
            if rules.parent_dies {
                add(Step::Chance, &|state| {
                    state.write_mark();
                    state.kill_parent();
                });
            }
        }
        if self.parent.owes_wake {
            add(Step::Parent, &|state| state.wake(rules.fault));
        }
        if self.parent.takes_left > 0 {
            for sequence in (0..self.parent.sent_count).filter(|&sequence| self.is_with_worker(sequence)) {
                add(Step::Chance, &|state| state.take_back(sequence, rules.fault));
            }
        }
        self.activity_steps(rules, &mut add);
    }

    fn activity_steps(&self, rules: Rules, add: &mut dyn FnMut(Step, &Change)) {
        match self.parent.activity {
            Activity::Awake => {
                if self.memory.load(ME, Word::ReportTail) > self.parent.collected_count {
                    add(Step::Parent, &Self::collect);
                }
                if self.worker.spot == Spot::Dead {
                    add(Step::Parent, &|state| state.bury(rules.fault));
                    return;
                }
                if rules.fault == Fault::LooksForRoomTooEarly && self.can_send(rules.fault) {
                    return;
                }
                add(Step::Parent, &|state| state.announce(false));
                // It looks again soon, since it has more to send.
                if self.parent.waiting != 0 {
                    add(Step::Parent, &|state| state.announce(true));
                }
            }
            Activity::Rests { .. } if self.is_doorbell_rung || self.worker.spot == Spot::Dead => {
                add(Step::Parent, &|state| {
                    state.is_doorbell_rung &= rules.fault == Fault::DrainsAfterLook;
                    state.parent.activity = Activity::Returns;
                });
            }
            Activity::Returns => add(Step::Parent, &|state| {
                state.parent.section = Section::SaysAwake;
                state.step_section(rules.fault);
            }),
            Activity::Rests { .. } | Activity::Dead | Activity::Buried => {}
        }
    }

    fn can_send(&self, fault: Fault) -> bool {
        let most = match fault {
            Fault::RoomForOne => 1,
            Fault::ReusesMarks => SLOTS + 1,
            _ => SLOTS,
        };
        self.parent.waiting != 0 && self.parent.sent_count - self.memory.load(ME, Word::Finished) < most
    }

    /// Whether this is with the worker, as far as the parent knows.
    fn is_with_worker(&self, sequence: u8) -> bool {
        let answered = &self.reports[..usize::from(self.parent.collected_count)];
        !self.ledger[usize::from(sequence)].is_withdrawn && !answered.contains(&sequence)
    }

    fn step_section(&mut self, fault: Fault) {
        self.parent.section = match self.parent.section {
            Section::Free => Section::Free,
            Section::ChangesSequence { seen } => {
                self.memory.fence(ME);
                self.bell.sequence += 1;
                Section::Wakes { seen: Bell { sequence: self.bell.sequence, ..seen } }
            }
            Section::Wakes { seen } => {
                if self.worker.spot == Spot::Sleeps {
                    self.worker.spot = Spot::Returns;
                } else if self.bell == seen {
                    self.bell = Bell { count: 0, epoch: seen.epoch + 1, ..seen };
                }
                Section::Free
            }
            Section::TakesBackBlindly { sequence, found } => {
                let job = self.ledger[usize::from(sequence)].job;
                if found == mark(job, SENT) {
                    self.memory.exchange(ME, Word::Mark(sequence), None, mark(job, WITHDRAWN));
                }
                self.note_take_back(sequence, found)
            }
            Section::LooksForReports { is_nap } => {
                if fault != Fault::NoFenceAfterAttention {
                    self.memory.fence(ME);
                }
                let has_report = self.memory.load(ME, Word::ReportTail) > self.parent.collected_count;
                match fault {
                    Fault::NoSecondLook => Section::LooksForRoom { is_nap },
                    _ if has_report => Section::SaysAwake,
                    _ if self.parent.waiting != 0 => Section::LooksForRoom { is_nap },
                    _ => self.fall_asleep(is_nap, fault),
                }
            }
            Section::LooksForRoom { is_nap } => {
                let can_send = self.can_send(fault);
                let is_seen = can_send && fault != Fault::LooksForRoomTooEarly;
                if is_seen { Section::SaysAwake } else { self.fall_asleep(is_nap, fault) }
            }
            Section::DrainsLate { is_nap } => {
                self.is_doorbell_rung = false;
                self.rest(is_nap)
            }
            Section::SaysAwake => {
                self.memory.store(ME, Word::Attention, AWAKE);
                self.memory.fence(ME);
                self.rings_due = self.rings_held();
                self.parent.activity = Activity::Awake;
                Section::Free
            }
        };
    }

    /// The stores are seen by nobody before they arrive, so that they can be one step.
    fn send(&mut self, fault: Fault) {
        if fault != Fault::MarkAfterFrame {
            self.write_mark();
        }
        let sequence = self.parent.sent_count;
        if fault == Fault::RelaxedFrame {
            self.memory.store_relaxed(ME, Word::JobTail, sequence + 1);
        } else {
            self.memory.store(ME, Word::JobTail, sequence + 1);
        }
        if fault == Fault::MarkAfterFrame {
            self.write_mark();
        }
        self.parent.waiting &= self.parent.waiting - 1;
        self.parent.sent_count += 1;
        self.parent.owes_wake = true;
        assert!(usize::from(self.parent.sent_count) <= MOST);
    }

    fn write_mark(&mut self) {
        let (job, sequence) = (self.parent.waiting.trailing_zeros().to_le_bytes()[0], self.parent.sent_count);
        self.ledger[usize::from(sequence)].job = job;
        self.memory.store(ME, Word::Mark(sequence), mark(job, SENT));
    }

    /// Looks for sleepers.
    fn wake(&mut self, fault: Fault) {
        if fault != Fault::NoFenceBeforeBell {
            self.memory.fence(ME);
        }
        let seen = self.bell;
        self.parent.owes_wake = false;
        if seen.count > 0 && fault != Fault::NoWake {
            self.parent.section = Section::ChangesSequence { seen };
        }
    }

    fn kill_parent(&mut self) {
        self.memory.fence(ME);
        self.parent = Parent { activity: Activity::Dead, ..Parent::new(0, 0, 0) };
    }

    fn announce(&mut self, is_nap: bool) {
        self.memory.store(ME, Word::Attention, if is_nap { NAPPING } else { ASLEEP });
        self.rings_due = self.rings_held() + 1;
        self.parent.section = Section::LooksForReports { is_nap };
    }

    /// Whether the worker is about to ring for what the parent said before.
    fn rings_held(&self) -> u8 {
        let is_about_to = matches!(self.worker.spot, Spot::Exchanges { .. } | Spot::Rings { .. });
        self.rings_due.min(u8::from(is_about_to))
    }

    fn fall_asleep(&mut self, is_nap: bool, fault: Fault) -> Section {
        if fault == Fault::DrainsAfterLook { Section::DrainsLate { is_nap } } else { self.rest(is_nap) }
    }

    fn rest(&mut self, is_nap: bool) -> Section {
        self.parent.activity = Activity::Rests { is_nap };
        Section::Free
    }

    fn take_back(&mut self, sequence: u8, fault: Fault) {
        self.parent.takes_left -= 1;
        let (job, word) = (self.ledger[usize::from(sequence)].job, Word::Mark(sequence));
        self.parent.section = if fault == Fault::TakesBackBlindly {
            Section::TakesBackBlindly { sequence, found: self.memory.load(ME, word) }
        } else {
            let found = self.memory.exchange(ME, word, Some(mark(job, SENT)), mark(job, WITHDRAWN));
            self.note_take_back(sequence, found)
        };
    }

    fn note_take_back(&mut self, sequence: u8, found: u8) -> Section {
        let entry = &mut self.ledger[usize::from(sequence)];
        let is_back = found == mark(entry.job, SENT);
        entry.is_withdrawn = is_back;
        let entry = *entry;
        match is_back {
            true if entry.has_begun => self.fail(Wrong::BothWon),
            true if entry.has_run => self.fail(Wrong::RanWithdrawn),
            true => {
                self.parent.waiting |= 1 << entry.job;
                self.parent.owes_send = true;
            }
            false if !entry.has_begun => self.fail(Wrong::NobodyWon),
            false => {}
        }
        Section::Free
    }

    fn collect(&mut self) {
        self.parent.collected_count = self.memory.load(ME, Word::ReportTail);
    }

    /// What the dead worker has left: its reports, and then the marks of what is still with it.
    fn bury(&mut self, fault: Fault) {
        if fault != Fault::BuriesUnread {
            self.collect();
        }
        let mut left = (0..self.parent.sent_count).filter(|&sequence| self.is_with_worker(sequence));
        let is_unknown = |sequence: u8| {
            let entry = self.ledger[usize::from(sequence)];
            let has_begun = entry.has_begun || entry.has_run;
            has_begun && self.memory.load(ME, Word::Mark(sequence)) != mark(entry.job, STARTED)
        };
        if left.any(is_unknown) {
            self.fail(Wrong::BegunUnknown);
        }
        if self.memory.settled(Word::ReportTail) > self.parent.collected_count {
            self.fail(Wrong::ReportLost);
        }
        self.parent.activity = Activity::Buried;
    }
}
