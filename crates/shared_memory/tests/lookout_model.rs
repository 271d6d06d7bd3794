//! Every interleaving of a teller, two tasks and their lookout at one bell: README section "Tasks". Slices do not exist here.
//!
//! The model takes one step of one actor at a time, in all orders, and knows every state that it has been in. A state in
//! which nobody can step, but a task waits and there is something, is a lost wake. Each rule that can be left out is left
//! out once, to see that the model notices.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use std::collections::HashSet;

const TASKS: usize = 2;
const LOOKOUT: u8 = 9;

/// A rule that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// A task does not try again after it entered.
    NoSecondTry,
    /// A task that begins a group does not call the lookout.
    NoCall,
    /// The lookout goes on with the old announcement.
    NoNewAnnouncement,
    /// The lookout looks before it announces anew.
    LooksTooEarly,
    /// A task that took something does not choose the next one.
    NoGoOn,
    /// A chosen task that gives up chooses nobody.
    NoHandOn,
}

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Task {
    Tries,
    Enters { is_back: bool },
    Reads,
    Announces { expected: u8 },
    Calls,
    TriesAgain,
    Waits,
    TriesAsChosen,
    Finishes,
    GivesUp,
    Over,
}

/// Where the teller is, and how often it will tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Teller {
    Changes,
    Looks,
    Rings { seen: (u8, u8, u8) },
    Wakes { seen: (u8, u8, u8) },
}

/// Where the lookout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Lookout {
    Locks,
    Serves,
    Reads,
    Announces { expected: u8 },
    Looks { then_announce: bool },
    Unlocks { has_chosen: bool },
    FallsAsleep { expected: Option<u8>, call: u8 },
    Sleeps { on_bell: bool },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    items: u8,
    tells_left: u8,
    sequence: u8,
    /// Count, epoch, announcements.
    sleepers: (u8, u8, u8),
    mutex: Option<u8>,
    /// What the group expects, and the epoch of its announcement.
    armed: Option<(u8, u8)>,
    line: Vec<usize>,
    is_asleep: bool,
    call: u8,
    tasks: [Task; TASKS],
    teller: Teller,
    lookout: Lookout,
    may_give_up: bool,
}

impl State {
    fn new(tells: u8, may_give_up: bool) -> Self {
        Self {
            items: 0,
            tells_left: tells,
            sequence: 0,
            sleepers: (0, 0, 0),
            mutex: None,
            armed: None,
            line: Vec::new(),
            is_asleep: false,
            call: 0,
            tasks: [Task::Tries; TASKS],
            teller: Teller::Changes,
            lookout: Lookout::Locks,
            may_give_up,
        }
    }

    fn announce(&mut self, expected: u8) {
        let (count, epoch, announced) = self.sleepers;
        self.sleepers = (count + 1, epoch, announced + 1);
        self.armed = Some((expected, epoch));
    }

    fn withdraw(&mut self) {
        if let Some((_, epoch)) = self.armed.take() {
            if epoch == self.sleepers.1 && self.sleepers.0 > 0 {
                self.sleepers.0 -= 1;
            }
        }
    }

    fn has_changed(&self) -> bool {
        self.armed.is_some_and(|(expected, _)| expected != self.sequence)
    }

    fn choose(&mut self) -> bool {
        let is_ready = self.items > 0 && !self.line.is_empty();
        if is_ready {
            let task = self.line.remove(0);
            self.tasks[task] = match self.tasks[task] {
                Task::Waits => Task::TriesAsChosen,
                // It is still on its way: it finds out when it comes to wait.
                other => other,
            };
        }
        is_ready
    }

    fn wake_lookout(&mut self, is_bell: bool) -> bool {
        match self.lookout {
            Lookout::Sleeps { on_bell } if on_bell || !is_bell => {
                self.lookout = Lookout::Locks;
                true
            }
            _ => false,
        }
    }

    fn step_teller(&mut self) -> bool {
        match self.teller {
            Teller::Changes if self.tells_left == 0 => return false,
            Teller::Changes => {
                self.tells_left -= 1;
                self.items += 1;
                self.teller = Teller::Looks;
            }
            Teller::Looks if self.sleepers.0 == 0 => self.teller = Teller::Changes,
            Teller::Looks => self.teller = Teller::Rings { seen: self.sleepers },
            Teller::Rings { seen } => {
                self.sequence += 1;
                self.teller = Teller::Wakes { seen };
            }
            Teller::Wakes { seen } => {
                if !self.wake_lookout(true) && self.sleepers == seen {
                    self.sleepers = (0, seen.1 + 1, seen.2);
                }
                self.teller = Teller::Changes;
            }
        }
        true
    }

    /// Takes the mutex, if it is free.
    fn lock(&mut self, actor: u8) -> bool {
        let is_free = self.mutex.is_none();
        if is_free {
            self.mutex = Some(actor);
        }
        is_free
    }

    fn take(&mut self) -> bool {
        let is_there = self.items > 0;
        self.items -= u8::from(is_there);
        is_there
    }

    fn step_task(&mut self, number: usize, fault: Fault) -> bool {
        let actor = u8::try_from(number).unwrap();
        let task = self.tasks[number];
        self.tasks[number] = match task {
            Task::Tries if self.take() => Task::Over,
            Task::Tries => Task::Enters { is_back: false },
            Task::Enters { is_back } => {
                if !self.lock(actor) {
                    return false;
                }
                let place = if is_back { 0 } else { self.line.len() };
                self.line.insert(place, number);
                if self.armed.is_some() {
                    self.mutex = None;
                    Task::TriesAgain
                } else {
                    Task::Reads
                }
            }
            Task::Reads => Task::Announces { expected: self.sequence },
            Task::Announces { expected } => {
                self.announce(expected);
                Task::Calls
            }
            Task::Calls => {
                if self.is_asleep && fault != Fault::NoCall {
                    self.is_asleep = false;
                    self.call += 1;
                    self.wake_lookout(false);
                }
                self.mutex = None;
                Task::TriesAgain
            }
            Task::TriesAgain if fault == Fault::NoSecondTry => Task::Waits,
            Task::TriesAgain | Task::TriesAsChosen if self.take() => Task::Finishes,
            Task::TriesAgain => Task::Waits,
            // Chosen before it came to wait.
            Task::Waits if !self.line.contains(&number) => Task::TriesAsChosen,
            Task::Waits | Task::Over => return false,
            Task::TriesAsChosen => Task::Enters { is_back: true },
            Task::Finishes => {
                if self.mutex.is_some() {
                    return false;
                }
                let was_chosen = !self.line.contains(&number);
                self.line.retain(|&other| other != number);
                if was_chosen && fault != Fault::NoGoOn {
                    self.choose();
                }
                Task::Over
            }
            Task::GivesUp => {
                if self.mutex.is_some() {
                    return false;
                }
                let was_chosen = !self.line.contains(&number);
                self.line.retain(|&other| other != number);
                if was_chosen && fault != Fault::NoHandOn {
                    self.choose();
                }
                Task::Over
            }
        };
        true
    }

    fn step_lookout(&mut self, fault: Fault) -> bool {
        self.lookout = match self.lookout {
            Lookout::Locks => {
                if !self.lock(LOOKOUT) {
                    return false;
                }
                self.is_asleep = false;
                Lookout::Serves
            }
            Lookout::Serves if !self.has_changed() => Lookout::Unlocks { has_chosen: false },
            Lookout::Serves if self.line.is_empty() => {
                self.withdraw();
                Lookout::Unlocks { has_chosen: false }
            }
            Lookout::Serves if fault == Fault::NoNewAnnouncement => {
                self.armed = self.armed.map(|(_, epoch)| (self.sequence, epoch));
                Lookout::Looks { then_announce: false }
            }
            Lookout::Serves if fault == Fault::LooksTooEarly => Lookout::Looks { then_announce: true },
            Lookout::Serves => {
                self.withdraw();
                Lookout::Reads
            }
            Lookout::Reads => Lookout::Announces { expected: self.sequence },
            Lookout::Announces { expected } => {
                self.announce(expected);
                if fault == Fault::LooksTooEarly {
                    Lookout::Unlocks { has_chosen: false }
                } else {
                    Lookout::Looks { then_announce: false }
                }
            }
            Lookout::Looks { then_announce } => {
                let has_chosen = self.choose();
                if then_announce {
                    self.withdraw();
                    Lookout::Reads
                } else {
                    Lookout::Unlocks { has_chosen }
                }
            }
            Lookout::Unlocks { has_chosen } => {
                self.mutex = None;
                if has_chosen {
                    Lookout::Locks
                } else {
                    self.is_asleep = true;
                    Lookout::FallsAsleep { expected: self.armed.map(|(expected, _)| expected), call: self.call }
                }
            }
            Lookout::FallsAsleep { expected, call } => {
                let is_calm = call == self.call && expected.is_none_or(|expected| expected == self.sequence);
                if is_calm { Lookout::Sleeps { on_bell: expected.is_some() } } else { Lookout::Locks }
            }
            Lookout::Sleeps { .. } => return false,
        };
        true
    }

    /// All states that one step leads to.
    fn next(&self, fault: Fault) -> Vec<Self> {
        let mut all = Vec::new();
        let mut add = |step: &dyn Fn(&mut Self) -> bool| {
            let mut next = self.clone();
            if step(&mut next) {
                all.push(next);
            }
        };
        add(&|state| state.step_teller());
        add(&|state| state.step_lookout(fault));
        for number in 0..TASKS {
            add(&|state| state.step_task(number, fault));
        }
        if self.may_give_up {
            add(&|state| {
                let can = matches!(state.tasks[0], Task::Waits | Task::TriesAsChosen);
                state.tasks[0] = if can { Task::GivesUp } else { state.tasks[0] };
                can
            });
        }
        all
    }

    /// Nobody can step, somebody waits, and there is something.
    fn is_lost(&self) -> bool {
        self.items > 0 && self.tasks.iter().any(|task| *task != Task::Over)
    }
}

/// Whether some order of steps loses a wake; and how many states there are.
fn explore(tells: u8, may_give_up: bool, fault: Fault) -> (bool, usize) {
    let first = State::new(tells, may_give_up);
    let (mut seen, mut open) = (HashSet::from([first.clone()]), vec![first]);
    let mut is_lost = false;
    while let Some(state) = open.pop() {
        let next = state.next(fault);
        is_lost |= next.is_empty() && state.is_lost();
        open.extend(next.into_iter().filter(|state| seen.insert(state.clone())));
    }
    (is_lost, seen.len())
}

#[test]
fn no_order_of_steps_loses_a_wake() {
    for (tells, may_give_up) in [(1, false), (2, false), (3, false), (1, true), (2, true)] {
        let (is_lost, state_count) = explore(tells, may_give_up, Fault::None);
        assert!(!is_lost, "{tells} changes, giving up {may_give_up}");
        assert!(state_count > 1000, "{state_count} states");
    }
}

#[test]
fn each_rule_that_is_left_out_loses_one() {
    for fault in [
        Fault::NoSecondTry,
        Fault::NoCall,
        Fault::NoNewAnnouncement,
        Fault::LooksTooEarly,
        Fault::NoGoOn,
        Fault::NoHandOn,
    ] {
        let is_lost = (1..=3).any(|tells| [false, true].iter().any(|&gives_up| explore(tells, gives_up, fault).0));
        assert!(is_lost, "{fault:?}");
    }
}
