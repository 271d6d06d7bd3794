//! Arbitrary lives of a pool: deaths at every moment, late and repeated messages, limits, cancellations, every kind of end.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing unwrap is a failing test")]
#![allow(unreachable_pub, reason = "the parts of one test program")]

mod ledger;
#[path = "../../../wait/tests/support/limit.rs"]
mod limit;
mod processes;
mod step;
mod world;

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;

use limit::Limit;
use proptest::prelude::*;
use step::steps;
use threefold_pool::{PoolOptions, Staffing, Unread};
use world::World;

fn options() -> impl Strategy<Value = PoolOptions> {
    let staffing = prop_oneof![Just(Staffing::AtOnce), Just(Staffing::OnDemand)];
    (1..5_usize, 1..4_usize, 0..12_u64, 1..6_u32, any::<bool>(), staffing).prop_map(
        |(worker_count, depth, most_jobs, failure_limit, has_grace, staffing)| PoolOptions {
            staffing,
            depth: NonZeroUsize::new(depth).unwrap(),
            max_jobs_per_worker: NonZeroU64::new(most_jobs),
            failure_limit: NonZeroU32::new(failure_limit).unwrap(),
            grace: has_grace.then_some(Duration::from_millis(30)),
            ..PoolOptions::new(NonZeroUsize::new(worker_count).unwrap())
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_job_is_resolved_once_whatever_happens(
        options in options(),
        is_prompt in any::<bool>(),
        steps in steps(),
        is_cut in any::<bool>(),
    ) {
        let _limit = Limit::seconds(120);
        let mut world = World::new(options, is_prompt);
        for &step in &steps {
            world.take(step);
        }
        world.run_to_the_end(if is_cut { Unread::Cut } else { Unread::ReadOn });
    }
}
