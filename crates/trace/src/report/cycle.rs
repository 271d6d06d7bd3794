//! Draws the edges of a snapshot's waits and names the rings in them.

use std::collections::HashSet;

use crate::owner::Owner;
use crate::read::{Actor, Snapshot, Waiting};
use crate::reason::Reason;
use crate::verdict::{self, Edge};

/// A ring of waits in one process.
pub(super) struct Ring<'a> {
    pub(super) waits: Vec<&'a Waiting>,
    pub(super) is_certain: bool,
}

impl Ring<'_> {
    /// What a report calls it: whoever holds an `RLock` or is joined must act itself; a plain `Lock` may be released by
    /// anyone.
    pub(super) fn title(&self) -> &'static str {
        if self.is_certain { "deadlock" } else { "possible deadlock" }
    }
}

/// The rings among the waits that have a holder, cannot time out, and stood still while they were read.
pub(super) fn rings(snapshot: &Snapshot) -> Vec<Ring<'_>> {
    // A task that awaits its loop goes on as soon as its thread does.
    let on_their_own = snapshot.waits.iter().filter(|waiting| waiting.reason != Reason::Loop);
    let waiters: HashSet<u64> = on_their_own.map(|waiting| waiting.waiter.owner.0).collect();
    let mut waits = Vec::new();
    let mut edges = Vec::new();
    // The longest wait comes first in a snapshot and the last edge of a waiter counts: the innermost one, when a signal
    // handler waits inside a wait.
    for waiting in &snapshot.waits {
        if let Some(edge) = edge(waiting, &waiters) {
            waits.push(waiting);
            edges.push(edge);
        }
    }
    let named = |cycle: verdict::Cycle| Ring {
        waits: cycle.edges.iter().map(|&number| waits[number]).collect(),
        is_certain: cycle.is_certain && are_of_one_moment(cycle.edges.iter().map(|&number| waits[number])),
    };
    verdict::cycles(&edges).into_iter().map(named).collect()
}

/// What the table says and what a loop told were not read at one moment.
fn are_of_one_moment<'a>(waits: impl Iterator<Item = &'a Waiting>) -> bool {
    let mut told = waits.map(|waiting| waiting.lasted.is_none());
    told.next().is_none_or(|first| told.all(|other| other == first))
}

fn edge(waiting: &Waiting, waiters: &HashSet<u64>) -> Option<Edge> {
    let is_certain = waiting.reason.is_ended_by_holder_alone()?;
    let holder = waiting.holder.as_ref().filter(|holder| !holder.stayed_behind && holder.pid().is_none())?;
    if waiting.has_timeout || !waiting.is_steady {
        return None;
    }
    Some(Edge { waiter: waiting.waiter.owner.0, holder: who_is_blocked(holder, waiters).0, is_certain })
}

/// A task that does not wait itself is blocked when its thread is.
fn who_is_blocked(holder: &Actor, waiters: &HashSet<u64>) -> Owner {
    let owner = holder.owner;
    if waiters.contains(&owner.0) { owner } else { owner.its_thread() }
}

#[cfg(test)]
mod tests {
    use super::super::examples::{snapshot, task, thread, two_that_block_each_other, waiting};
    use super::*;

    #[test]
    fn rlocks_are_certain_and_locks_are_not() {
        assert_eq!(rings(&two_that_block_each_other(Reason::RLock))[0].title(), "deadlock");
        assert_eq!(rings(&two_that_block_each_other(Reason::Lock))[0].title(), "possible deadlock");
        assert!(rings(&two_that_block_each_other(Reason::Event)).is_empty());
    }

    #[test]
    fn a_wait_that_can_time_out_is_no_deadlock() {
        let mut both = two_that_block_each_other(Reason::RLock);
        both.waits[1].has_timeout = true;
        assert!(rings(&both).is_empty());
    }

    #[test]
    fn waits_that_moved_while_they_were_read_prove_nothing() {
        let mut both = two_that_block_each_other(Reason::RLock);
        both.waits[0].is_steady = false;
        assert!(rings(&both).is_empty());
    }

    #[test]
    fn a_task_is_blocked_when_its_thread_is() {
        let (main, worker) = (thread(1, "MainThread"), thread(2, "worker"));
        let holds = task(1, 77, "fetch");
        let both =
            vec![waiting(main, Reason::ThreadJoin, Some(worker.clone())), waiting(worker, Reason::Lock, Some(holds))];
        assert_eq!(rings(&snapshot(both)).len(), 1);
    }

    #[test]
    fn a_wait_inside_a_wait_is_the_one_that_counts() {
        let (one, two, three) = (thread(1, "one"), thread(2, "two"), thread(3, "three"));
        let waits = vec![
            waiting(one.clone(), Reason::RLock, Some(two.clone())),
            waiting(one.clone(), Reason::RLock, Some(three)),
            waiting(two, Reason::RLock, Some(one)),
        ];
        assert!(rings(&snapshot(waits)).is_empty());
    }
}
