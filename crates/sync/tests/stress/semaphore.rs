//! A semaphore keeps its permits, whoever gives up waiting for one.

use std::sync::atomic::{AtomicU64, Ordering};

use threefold_sync::Semaphore;

use crate::crowd::{limit_s, rounds, together, wait_unsteadily};
use crate::limit::Limit;

#[test]
fn permits_are_conserved() {
    const PERMITS: u64 = 3;
    let _limit = Limit::seconds(limit_s());
    let (semaphore, inside_count) = (Semaphore::new(PERMITS, PERMITS), AtomicU64::new(0));
    together(8, |_, random| {
        for _ in 0..rounds(2000) {
            if wait_unsteadily(semaphore.acquire(), random).is_err() {
                continue;
            }
            assert!(inside_count.fetch_add(1, Ordering::Relaxed) < PERMITS);
            inside_count.fetch_sub(1, Ordering::Relaxed);
            semaphore.release(1).unwrap();
        }
    });
    assert_eq!(semaphore.permits(), PERMITS);
}
