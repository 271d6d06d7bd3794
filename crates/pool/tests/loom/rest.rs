//! What else the worker rings for: a parent that naps, and room that no report tells of.

use std::sync::Arc;

use crate::attention::Attention;
use crate::link::{Doorbell, Link, wait_until};
use crate::model::explore_when;

#[test]
fn a_parent_that_naps_hears_of_the_last_report() {
    explore_when(false, || {
        let link = Link::new(&Arc::default(), 2);
        let worker = link.worker(|link| {
            for number in [1, 2] {
                link.take(number);
                link.report(number);
            }
        });
        wait_until(&[&link], Attention::Napping, || link.has_report(2));
        worker.join().unwrap();
    });
}

#[test]
fn a_parent_that_naps_is_not_rung_while_there_are_frames() {
    explore_when(false, || {
        let doorbell = Arc::<Doorbell>::default();
        let link = Link::new(&doorbell, 3);
        link.set_attention(Attention::Napping);
        let worker = link.worker(|link| {
            for number in [1, 2] {
                link.take(number);
                link.report(number);
            }
        });
        worker.join().unwrap();
        assert_eq!(doorbell.owed_count(), 0);
    });
}

#[test]
fn a_parent_that_naps_hears_of_a_worker_that_runs_dry_by_skipping() {
    explore_when(false, || {
        let link = Link::new(&Arc::default(), 1);
        let worker = link.worker(|link| {
            link.take(1);
            link.skip(1);
            link.rest(true);
        });
        wait_until(&[&link], Attention::Napping, || link.is_finished(1));
        worker.join().unwrap();
    });
}

#[test]
fn a_parent_that_sleeps_for_room_hears_of_a_job_that_was_skipped() {
    explore_when(false, || {
        let link = Link::new(&Arc::default(), 1);
        let worker = link.worker(|link| {
            link.take(1);
            link.skip(1);
            link.rest(true);
        });
        wait_until(&[&link], Attention::Asleep, || link.is_finished(1));
        worker.join().unwrap();
    });
}
