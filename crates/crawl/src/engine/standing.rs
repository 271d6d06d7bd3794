//! Whether the frontier answers, so that a crawl that is to stop does not wait for one that is away.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::sleep;

use crate::frontier::FrontierError;

/// How long a crawl that is to stop waits for a frontier that says that it is away, and for one that says nothing.
const AWAY_GRACE: Duration = Duration::from_secs(3);
const SILENT_GRACE: Duration = Duration::from_secs(10);
/// How often a crawl that is to stop looks.
const LOOK: Duration = Duration::from_millis(100);

/// How the frontier stands.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    state: Mutex<State>,
    /// Rung when the crawl is to stop.
    stop: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// When it was asked what it has not answered yet.
    asked: Option<Instant>,
    /// What it said when it was away.
    away: Option<String>,
}

impl Standing {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a call of the frontier, and notes what came of it.
    pub(crate) async fn note<T>(
        &self,
        call: impl Future<Output = Result<T, FrontierError>>,
    ) -> Result<T, FrontierError> {
        self.lock().asked.get_or_insert_with(Instant::now);
        let result = call.await;
        let mut state = self.lock();
        match &result {
            Err(FrontierError::Away(sentence)) => state.away = Some(sentence.clone()),
            _ => *state = State::default(),
        }
        drop(state);
        result
    }

    /// What it said, while it is away.
    pub(crate) fn away(&self) -> Option<String> {
        self.lock().away.clone()
    }

    /// Says that the crawl is to stop.
    pub(crate) fn stop(&self) {
        self.stop.notify_one();
    }

    /// Waits until the crawl is to stop and the frontier has kept it waiting for too long, and says why.
    pub(crate) async fn given_up(&self) -> String {
        self.stop.notified().await;
        let stopped = Instant::now();
        loop {
            sleep(LOOK).await;
            let state = self.lock();
            if let (Some(sentence), true) = (&state.away, stopped.elapsed() >= AWAY_GRACE) {
                return sentence.clone();
            }
            let is_silent = state.asked.is_some_and(|asked| asked.elapsed() >= SILENT_GRACE);
            if is_silent && stopped.elapsed() >= SILENT_GRACE {
                return format!("the crawl's state has not answered for {} s", SILENT_GRACE.as_secs());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn a_frontier_that_came_back_is_not_away() {
        let standing = Standing::default();
        block(async {
            let away = FrontierError::Away("gone".to_owned());
            let _away = standing.note(async { Err::<(), _>(away) }).await;
            assert_eq!(standing.away().as_deref(), Some("gone"));
            standing.note(async { Ok(()) }).await.unwrap();
            assert_eq!(standing.away(), None);
        });
    }

    #[test]
    fn a_frontier_that_is_away_is_given_up_only_once_the_crawl_is_to_stop() {
        let standing = Standing::default();
        block(async {
            let away = FrontierError::Away("gone".to_owned());
            let _away = standing.note(async { Err::<(), _>(away) }).await;
            assert!(tokio::time::timeout(Duration::from_millis(20), standing.given_up()).await.is_err());
            standing.stop();
            assert_eq!(standing.given_up().await, "gone");
        });
    }
}
