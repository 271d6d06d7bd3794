//! A meeting point for a fixed number of parties, as Python's `threading.Barrier`.
//!
//! | phase | an arriving party |
//! |---|---|
//! | filling | counts itself and waits; the last one makes the phase *acting* and returns [`Arrival::Last`] |
//! | acting | waits outside until the last party has called [`Barrier::open`] |
//! | broken | is told so |
//!
//! Inside, a grant means "passed" and a nudge means "broken while you waited".

use threefold_sys::fork;
use threefold_wait::{Latch, Standing, Ticket, Wait, WaitQueue, Wakes, Withdrawal};

use crate::error::Broken;

/// A reusable barrier.
#[derive(Debug)]
pub struct Barrier {
    party_count: u64,
    state: Latch<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Filling,
    Acting,
    Broken,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    arrived_count: u64,
    /// Numbers of parties that left again, for those who come.
    free_numbers: Vec<u64>,
    inside: WaitQueue,
    outside: WaitQueue,
    /// The fork generation in which the parties arrived.
    generation: u32,
}

impl State {
    /// A new round: nobody has arrived.
    fn begin_round(&mut self, phase: Phase) {
        self.phase = phase;
        self.arrived_count = 0;
        self.free_numbers.clear();
    }

    /// In a forked child: the parties that had arrived, and the one that ran the action, stayed behind in the parent.
    fn forget_the_dead(&mut self) {
        let generation = fork::generation();
        if self.generation != generation {
            self.generation = generation;
            self.begin_round(if self.phase == Phase::Broken { Phase::Broken } else { Phase::Filling });
        }
    }
}

/// How a party passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Released by the last party; the number says how many had come before.
    Passed(u64),
    /// The last of all: must run the action, if any, and then call [`Barrier::open`].
    Last(u64),
}

impl Barrier {
    /// A barrier for `party_count` parties.
    pub fn new(party_count: u64) -> Self {
        let state = State {
            phase: Phase::Filling,
            arrived_count: 0,
            free_numbers: Vec::new(),
            inside: WaitQueue::default(),
            outside: WaitQueue::default(),
            generation: fork::generation(),
        };
        Self { party_count, state: Latch::new(state) }
    }

    /// Arrives, and waits for the others.
    pub fn wait(&self) -> Arrive<'_> {
        Arrive { barrier: self, index: None }
    }

    /// By the last party: releases the others and makes the barrier ready for the next round.
    pub fn open(&self) {
        self.change(|state, wakes| {
            if state.phase == Phase::Acting {
                state.begin_round(Phase::Filling);
                state.inside.grant(usize::MAX, wakes);
            }
        });
    }

    /// Breaks the barrier: all who wait and all who come are told.
    pub fn abort(&self) {
        self.change(|state, wakes| {
            state.begin_round(Phase::Broken);
            state.inside.nudge_all(wakes);
        });
    }

    /// Makes the barrier as new; all who wait are told that it was broken.
    pub fn reset(&self) {
        self.change(|state, wakes| {
            state.begin_round(Phase::Filling);
            state.inside.nudge_all(wakes);
        });
    }

    fn close(&self) -> impl std::ops::DerefMut<Target = State> + '_ {
        let mut state = self.state.close();
        state.forget_the_dead();
        state
    }

    fn change(&self, change: impl FnOnce(&mut State, &mut Wakes)) {
        let mut wakes = Wakes::NONE;
        let mut state = self.close();
        change(&mut state, &mut wakes);
        state.outside.nudge_all(&mut wakes);
        drop(state);
        wakes.fire();
    }

    /// How many parties it takes.
    pub fn party_count(&self) -> u64 {
        self.party_count
    }

    /// How many wait now.
    pub fn waiting_count(&self) -> u64 {
        let state = self.close();
        if state.phase == Phase::Filling { state.arrived_count } else { 0 }
    }

    /// Whether it is broken.
    pub fn is_broken(&self) -> bool {
        self.state.close().phase == Phase::Broken
    }
}

/// Waiting at a [`Barrier`].
#[derive(Debug)]
pub struct Arrive<'a> {
    barrier: &'a Barrier,
    index: Option<u64>,
}

impl Arrive<'_> {
    /// The number of parties that had come before, once counted: to carry a wait on from where it was.
    pub fn index(&self) -> Option<u64> {
        self.index
    }

    /// Carries on a wait that was counted already.
    pub fn set_index(&mut self, index: Option<u64>) {
        self.index = index;
    }
}

impl Wait for Arrive<'_> {
    type Output = Result<Arrival, Broken>;

    fn poll(&mut self, ticket: &mut Ticket) -> Option<Self::Output> {
        let mut state = self.barrier.close();
        if let Some(index) = self.index {
            return match ticket.settle(&mut state.inside) {
                Standing::Granted => Some(Ok(Arrival::Passed(index))),
                Standing::Waiting => None,
                Standing::Fresh | Standing::Nudged => {
                    ticket.finish();
                    Some(Err(Broken))
                }
            };
        }
        if ticket.settle(&mut state.outside) == Standing::Waiting {
            return None;
        }
        match state.phase {
            Phase::Broken => {
                ticket.finish();
                Some(Err(Broken))
            }
            Phase::Acting => {
                ticket.enqueue(&mut state.outside);
                None
            }
            Phase::Filling => {
                ticket.finish();
                // With nobody gone the numbers given are 0 to arrived_count - 1.
                let index = state.free_numbers.pop().unwrap_or(state.arrived_count);
                self.index = Some(index);
                state.arrived_count += 1;
                if state.arrived_count == self.barrier.party_count {
                    state.phase = Phase::Acting;
                    return Some(Ok(Arrival::Last(index)));
                }
                ticket.enqueue(&mut state.inside);
                None
            }
        }
    }

    /// A party that leaves is no longer counted. Passing cannot be handed on: a party that had passed has passed.
    fn withdraw(&mut self, ticket: &mut Ticket, withdrawal: Withdrawal) -> Option<Self::Output> {
        let mut state = self.barrier.close();
        let Some(index) = self.index else {
            ticket.leave(&mut state.outside);
            return None;
        };
        match ticket.leave(&mut state.inside) {
            Standing::Granted => (withdrawal == Withdrawal::Keep).then_some(Ok(Arrival::Passed(index))),
            Standing::Waiting => {
                state.arrived_count = state.arrived_count.saturating_sub(1);
                state.free_numbers.push(index);
                None
            }
            Standing::Nudged => (withdrawal == Withdrawal::Keep).then_some(Err(Broken)),
            Standing::Fresh => None,
        }
    }
}
