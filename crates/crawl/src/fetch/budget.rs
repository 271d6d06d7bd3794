//! How many bytes of bodies may be in memory while they come, over all requests that share the budget.
//!
//! Whoever needs more than there is stops reading, and waits while it holds what it has. That can't go round in circles: one at a
//! time may go beyond the common part, as far as its body's own limit; it waits for nobody, so it ends (by its end, its error or
//! its timeout) and gives back all that it had, and the next one goes on.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So much of each body is free.
const FREE_BYTES: u64 = 256 << 10;
/// What is taken at a time.
const PIECE_BYTES: u64 = 256 << 10;

/// What bodies in flight may take together, beyond a small size of each.
#[derive(Debug)]
pub struct Budget {
    /// One permit for each piece.
    common: Arc<Semaphore>,
    /// The right to go beyond it.
    beyond: Arc<Semaphore>,
}

impl Budget {
    /// A budget of so many bytes for bodies of at most `body_bytes`; one such body always fits.
    pub fn new(bytes: u64, body_bytes: u64) -> Self {
        let pieces = bytes.saturating_sub(body_bytes) / PIECE_BYTES;
        let pieces = usize::try_from(pieces).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { common: Arc::new(Semaphore::new(pieces)), beyond: Arc::new(Semaphore::new(1)) }
    }
}

/// What one body has of a budget; given back with the value.
pub(super) struct Share {
    budget: Arc<Budget>,
    covered: u64,
    pieces: Option<OwnedSemaphorePermit>,
    beyond: Option<OwnedSemaphorePermit>,
}

impl Share {
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        Self { budget, covered: FREE_BYTES, pieces: None, beyond: None }
    }

    /// True where a body of so many bytes has to wait, or to take more.
    pub(super) fn is_short(&self, bytes: u64) -> bool {
        bytes > self.covered && self.beyond.is_none()
    }

    /// Waits until the body may have so many bytes.
    pub(super) async fn cover(&mut self, bytes: u64) {
        while self.is_short(bytes) {
            let (common, beyond) = (Arc::clone(&self.budget.common), Arc::clone(&self.budget.beyond));
            tokio::select! {
                biased;
                Ok(piece) = common.acquire_owned() => {
                    self.covered += PIECE_BYTES;
                    match &mut self.pieces {
                        Some(pieces) => pieces.merge(piece),
                        None => self.pieces = Some(piece),
                    }
                }
                Ok(right) = beyond.acquire_owned() => self.beyond = Some(right),
                // Nobody closes them.
                else => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn block<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn small_bodies_take_nothing() {
        let budget = Arc::new(Budget::new(0, MIB));
        block(async {
            let mut shares: Vec<Share> = (0..100).map(|_| Share::new(Arc::clone(&budget))).collect();
            for share in &mut shares {
                share.cover(FREE_BYTES).await;
            }
        });
    }

    #[test]
    fn who_needs_more_than_there_is_waits_until_another_ends() {
        let budget = Arc::new(Budget::new(3 * MIB, 2 * MIB));
        block(async {
            let share = || Share::new(Arc::clone(&budget));
            let (mut first, mut second, mut third) = (share(), share(), share());
            first.cover(FREE_BYTES + MIB).await;
            second.cover(2 * MIB).await;
            assert!(tokio::time::timeout(Duration::from_millis(10), third.cover(MIB)).await.is_err());
            drop(second);
            third.cover(2 * MIB).await;
        });
    }

    #[test]
    fn bodies_that_all_wait_in_the_middle_come_to_their_ends() {
        let budget = Arc::new(Budget::new(4 * MIB, 2 * MIB));
        block(async {
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..50 {
                let budget = Arc::clone(&budget);
                tasks.spawn(async move {
                    let mut share = Share::new(budget);
                    for bytes in (0..=2 * MIB).step_by(64 << 10) {
                        share.cover(bytes).await;
                        tokio::task::yield_now().await;
                    }
                });
            }
            let all = tokio::time::timeout(Duration::from_secs(60), tasks.join_all()).await;
            assert!(all.is_ok(), "not all bodies came to their ends within 60 s");
        });
        assert_eq!((budget.common.available_permits(), budget.beyond.available_permits()), (8, 1));
    }
}
