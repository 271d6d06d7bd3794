//! What a set of waits amounts to: who can never go on. Pure: edges in, verdicts out.

use std::collections::HashMap;

/// One waits for another. Each waits for at most one; of several edges with one waiter the last counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Who waits.
    pub waiter: u64,
    /// Who must act first.
    pub holder: u64,
    /// Whether nobody else can act in the holder's place.
    pub is_certain: bool,
}

/// Waiters that wait for each other in a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// The numbers of the edges in the list that was given, each one's holder being the next one's waiter.
    pub edges: Vec<usize>,
    /// Whether nobody outside the ring can end it.
    pub is_certain: bool,
}

/// The rings in which nobody can go on, unless somebody outside acts for one of them.
///
/// Since each waits for at most one, a walk along the holders either ends or enters a ring; waiters that lead into a
/// ring without being in it are not part of the answer.
pub fn cycles(edges: &[Edge]) -> Vec<Cycle> {
    let by_waiter: HashMap<u64, usize> = edges.iter().enumerate().map(|(number, edge)| (edge.waiter, number)).collect();
    // For each edge the number of the walk that first passed it.
    let mut passed_by: Vec<Option<usize>> = vec![None; edges.len()];
    let mut found = Vec::new();
    for start in 0..edges.len() {
        let mut at = by_waiter.get(&edges[start].waiter).copied();
        while let Some(number) = at.filter(|&number| passed_by[number].is_none()) {
            passed_by[number] = Some(start);
            at = by_waiter.get(&edges[number].holder).copied();
        }
        if let Some(entry) = at.filter(|&number| passed_by[number] == Some(start)) {
            found.push(ring(edges, &by_waiter, entry));
        }
    }
    found
}

fn ring(edges: &[Edge], by_waiter: &HashMap<u64, usize>, entry: usize) -> Cycle {
    let next = |&number: &usize| by_waiter.get(&edges[number].holder).copied().filter(|&next| next != entry);
    let members: Vec<usize> = std::iter::successors(Some(entry), next).collect();
    let is_certain = members.iter().all(|&number| edges[number].is_certain);
    Cycle { edges: members, is_certain }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certain(pairs: &[(u64, u64)]) -> Vec<Edge> {
        pairs.iter().map(|&(waiter, holder)| Edge { waiter, holder, is_certain: true }).collect()
    }

    fn waiters(edges: &[Edge]) -> Vec<Vec<u64>> {
        let mut all: Vec<Vec<u64>> = Vec::new();
        for cycle in cycles(edges) {
            let mut members: Vec<u64> = cycle.edges.iter().map(|&number| edges[number].waiter).collect();
            members.sort_unstable();
            all.push(members);
        }
        all
    }

    #[test]
    fn two_that_wait_for_each_other_are_a_cycle() {
        let edges = certain(&[(1, 2), (2, 1)]);
        assert_eq!(cycles(&edges), [Cycle { edges: vec![0, 1], is_certain: true }]);
    }

    #[test]
    fn three_in_a_ring_are_named_in_the_order_in_which_they_wait() {
        let edges = certain(&[(1, 3), (2, 1), (3, 2)]);
        assert_eq!(cycles(&edges), [Cycle { edges: vec![0, 2, 1], is_certain: true }]);
    }

    #[test]
    fn a_tail_is_not_part_of_the_cycle_it_leads_into() {
        assert_eq!(waiters(&certain(&[(9, 8), (8, 1), (1, 2), (2, 1), (7, 2)])), [[1, 2]]);
        assert_eq!(waiters(&certain(&[(1, 2), (2, 1), (9, 8), (8, 1)])), [[1, 2]]);
    }

    #[test]
    fn one_that_waits_for_itself_is_a_cycle() {
        assert_eq!(waiters(&certain(&[(1, 1), (2, 1)])), [[1]]);
    }

    #[test]
    fn a_chain_that_ends_at_one_who_does_not_wait_is_none() {
        assert_eq!(waiters(&certain(&[(1, 2), (2, 3)])), Vec::<Vec<u64>>::new());
        assert!(cycles(&[]).is_empty());
    }

    #[test]
    fn two_cycles_are_two_answers() {
        assert_eq!(waiters(&certain(&[(1, 2), (3, 4), (2, 1), (4, 3), (5, 1)])), [[1, 2], [3, 4]]);
    }

    #[test]
    fn one_uncertain_edge_makes_the_cycle_uncertain() {
        let mut edges = certain(&[(1, 2), (2, 1)]);
        edges[1].is_certain = false;
        assert!(!cycles(&edges)[0].is_certain);
    }

    #[test]
    fn a_ring_of_a_hundred_thousand_is_walked_once() {
        let edges: Vec<Edge> =
            (0..100_000).map(|at| Edge { waiter: at, holder: (at + 1) % 100_000, is_certain: true }).collect();
        assert_eq!(cycles(&edges)[0].edges.len(), 100_000);
    }
}
