//! Every interleaving of a pool and its worker at their link: README section 7. Slices do not exist here.
//!
//! The model takes one step of one side at a time, in all orders, and knows every state that it has been in. A state in
//! which nothing more happens, but a side waits for what is there, is a lost wake. Either side may die at any step. Each rule
//! that can be left out is left out once, to see what the model says of it.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod memory;
mod parent;
mod state;
mod worker;

use std::collections::HashSet;
use std::rc::Rc;

use state::{Fault, Rules, State, Wrong};

/// How many jobs there are, how many come later, and how often one may be taken back.
type Load = (u8, u8, u8);

/// Takes all steps in all orders: how many states there are, or how the first wrong one comes about.
fn explore(load: Load, rules: Rules) -> Result<usize, (Wrong, Vec<Rc<State>>)> {
    let first = Rc::new(State::new(load.0, load.1, load.2));
    let mut seen = HashSet::from([Rc::clone(&first)]);
    let mut states = vec![(first, 0)];
    let mut number = 0;
    while let Some((state, _)) = states.get(number) {
        let steps = state.next(rules);
        if let Some(wrong) = state.wrong.or_else(|| state.wrong_at_rest(&steps)) {
            return Err((wrong, story(&states, number)));
        }
        let new = steps.into_iter().map(|(_, next)| Rc::new(next)).filter(|next| seen.insert(Rc::clone(next)));
        states.extend(new.map(|next| (next, number)));
        number += 1;
    }
    Ok(number)
}

/// The states that lead to this one.
fn story(states: &[(Rc<State>, usize)], mut number: usize) -> Vec<Rc<State>> {
    let mut story = vec![Rc::clone(&states[number].0)];
    while number > 0 {
        number = states[number].1;
        story.push(Rc::clone(&states[number].0));
    }
    story.reverse();
    story
}

/// A death is a step that may as well never come: what is found among those that live is found here, too.
fn nothing_is_wrong(load: Load) {
    let rules = Rules { fault: Fault::None, parent_dies: true, worker_dies: true };
    let explored = explore(load, rules).map_err(|(wrong, story)| format!("{wrong:?} after {story:#?}"));
    let state_count = explored.unwrap();
    assert!(state_count > 20_000, "{state_count} states");
}

#[test]
fn jobs_and_reports_are_seen_whatever_the_order_of_steps_and_deaths() {
    nothing_is_wrong((2, 0, 0));
}

#[test]
fn a_mark_is_used_again_when_its_job_is_over() {
    nothing_is_wrong((3, 0, 0));
}

#[test]
fn a_job_that_comes_while_the_parent_sleeps_is_done() {
    nothing_is_wrong((1, 1, 0));
}

#[test]
fn a_job_is_taken_back_or_begun_and_done_once() {
    nothing_is_wrong((1, 0, 1));
}

#[test]
fn one_of_two_jobs_is_taken_back_and_sent_again() {
    nothing_is_wrong((2, 0, 1));
}

/// What the model says of a rule that is left out, in the smallest case in which it matters.
fn check(fault: Fault, load: Load, worker_dies: bool, expected: Wrong) {
    let found = explore(load, Rules { fault, parent_dies: false, worker_dies });
    assert_eq!(found.err().map(|(wrong, _)| wrong), Some(expected), "{fault:?}");
}

#[test]
fn each_rule_of_the_doorbell_that_is_left_out_loses_a_report() {
    for fault in [
        Fault::NoSecondLook,
        Fault::NoFenceAfterAttention,
        Fault::NoFenceAfterReport,
        Fault::DrainsAfterLook,
        Fault::RingsBeforeExchange,
    ] {
        check(fault, (1, 0, 0), false, Wrong::ReportUnseen);
    }
    check(Fault::NoExchange, (2, 0, 0), false, Wrong::RangForNothing);
}

#[test]
fn each_rule_of_the_bell_that_is_left_out_loses_a_job() {
    for fault in [Fault::NoFenceBeforeBell, Fault::NoWake, Fault::NoSecondTake] {
        check(fault, (1, 0, 0), false, Wrong::JobUnseen);
    }
}

#[test]
fn each_rule_of_room_that_is_left_out_leaves_a_job_where_it_is() {
    check(Fault::RoomForOne, (2, 0, 0), false, Wrong::RoomUnseen);
    for fault in [Fault::NoRingWhenDry, Fault::NoRingAfterSkips, Fault::LooksForRoomTooEarly] {
        check(fault, (2, 0, 1), false, Wrong::RoomUnseen);
    }
}

#[test]
fn each_rule_of_the_marks_that_is_left_out_is_missed() {
    for fault in [Fault::MarkAfterFrame, Fault::RelaxedFrame] {
        check(fault, (1, 0, 0), false, Wrong::Damaged);
    }
    check(Fault::ReusesMarks, (3, 0, 0), false, Wrong::Damaged);
    for fault in [Fault::BeginsBlindly, Fault::TakesBackBlindly] {
        check(fault, (1, 0, 1), false, Wrong::BothWon);
    }
    check(Fault::RunsBeforeBegin, (1, 0, 1), false, Wrong::RanWithdrawn);
}

#[test]
fn each_rule_of_deaths_that_is_left_out_is_missed() {
    check(Fault::BuriesUnread, (1, 0, 0), true, Wrong::ReportLost);
    check(Fault::RunsBeforeBegin, (1, 0, 0), true, Wrong::BegunUnknown);
    check(Fault::FinishesBeforeReport, (3, 0, 0), true, Wrong::BegunUnknown);
}
