//! Which reports the worker rings for.

use std::sync::Arc;

use crate::attention::Attention;
use crate::link::{Doorbell, Link, wait_until};
use crate::model::explore_when;

#[test]
fn a_report_reaches_a_parent_that_falls_asleep() {
    explore_when(false, || {
        let link = Link::new(&Arc::default(), 1);
        let worker = link.worker(|link| link.report(1));
        wait_until(&[&link], Attention::Asleep, || link.has_report(1));
        worker.join().unwrap();
    });
}

#[test]
fn each_of_two_reports_reaches_a_parent_that_sleeps_for_each() {
    explore_when(false, || {
        let link = Link::new(&Arc::default(), 2);
        let worker = link.worker(|link| {
            link.report(1);
            link.report(2);
        });
        for number in [1, 2] {
            wait_until(&[&link], Attention::Asleep, || link.has_report(number));
        }
        worker.join().unwrap();
    });
}

#[test]
fn the_reports_of_two_workers_reach_a_parent_with_one_doorbell() {
    explore_when(false, || {
        let doorbell = Arc::default();
        let links = [1, 1].map(|count| Link::new(&doorbell, count));
        let workers = [0, 1].map(|number: usize| links[number].worker(|link| link.report(1)));
        wait_until(&[&links[0], &links[1]], Attention::Asleep, || links.iter().all(|link| link.has_report(1)));
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

#[test]
fn of_two_reports_only_one_rings_for_a_parent_that_has_said_once_that_it_sleeps() {
    explore_when(false, || {
        let doorbell = Arc::<Doorbell>::default();
        let link = Link::new(&doorbell, 2);
        link.set_attention(Attention::Asleep);
        let worker = link.worker(|link| {
            link.report(1);
            link.report(2);
        });
        worker.join().unwrap();
        assert_eq!(doorbell.owed_count(), 1);
    });
}

#[test]
fn a_parent_that_is_awake_is_not_rung() {
    explore_when(false, || {
        let doorbell = Arc::<Doorbell>::default();
        let link = Link::new(&doorbell, 1);
        let worker = link.worker(|link| {
            link.take(1);
            link.report(1);
            link.rest(true);
        });
        worker.join().unwrap();
        assert_eq!(doorbell.owed_count(), 0);
    });
}
