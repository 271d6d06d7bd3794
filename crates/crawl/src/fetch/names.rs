//! What the system's resolver said of names, for a short while: a crawl asks one host again and again, on several connections.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;

/// How long an answer is good. The system's resolver does not tell how long the name's owner meant it to be.
const GOOD_FOR: Duration = Duration::from_secs(30);
/// More names than this are not remembered at a time.
const NAME_LIMIT: usize = 4096;

type Answer = Arc<OnceCell<Arc<[SocketAddr]>>>;

/// Answers by name. Whoever asks for a name that is being looked up waits for that answer.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<HashMap<String, (Instant, Answer)>>);

impl Names {
    /// The addresses of a name: remembered, or looked up and remembered; a failure is not.
    pub(super) async fn find<Error, Looking>(
        &self,
        name: &str,
        look_up: impl FnOnce() -> Looking,
    ) -> Result<Arc<[SocketAddr]>, Error>
    where
        Looking: Future<Output = Result<Vec<SocketAddr>, Error>>,
    {
        let answer = self.answer(name);
        answer.get_or_try_init(|| async { look_up().await.map(Arc::from) }).await.cloned()
    }

    /// Forgets a name whose addresses were of no use.
    pub(super) fn forget(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    fn answer(&self, name: &str) -> Answer {
        let now = Instant::now();
        let is_good = |since: Instant| now.duration_since(since) < GOOD_FOR;
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, answer)) = names.get(name) {
            if is_good(*since) {
                return Arc::clone(answer);
            }
        }
        if names.len() >= NAME_LIMIT {
            names.retain(|_, (since, _)| is_good(*since));
            if names.len() >= NAME_LIMIT {
                names.clear();
            }
        }
        let answer = Answer::default();
        names.insert(name.to_owned(), (now, Arc::clone(&answer)));
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU16, Ordering};

    use super::*;

    /// A resolver that gives another address each time, and fails where it is told to.
    #[derive(Default)]
    struct Resolver(AtomicU16);

    impl Resolver {
        async fn find(&self, names: &Names, name: &str, fails: bool) -> Result<u16, ()> {
            let look_up = || async {
                let count = self.0.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::task::yield_now().await;
                if fails { Err(()) } else { Ok(vec![SocketAddr::from(([10, 0, 0, 1], count))]) }
            };
            let found = names.find(name, look_up).await?;
            Ok(found[0].port())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_is_looked_up_once_in_half_a_minute() {
        let (names, resolver) = (Names::default(), Resolver::default());
        let (one, other) = tokio::join!(resolver.find(&names, "a", false), resolver.find(&names, "a", false));
        assert_eq!((one, other), (Ok(1), Ok(1)));
        tokio::time::advance(GOOD_FOR / 2).await;
        assert_eq!(resolver.find(&names, "a", false).await, Ok(1));
        tokio::time::advance(GOOD_FOR / 2).await;
        assert_eq!(resolver.find(&names, "a", false).await, Ok(2));
        assert_eq!(resolver.find(&names, "b", false).await, Ok(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_and_what_is_of_no_use_are_not_remembered() {
        let (names, resolver) = (Names::default(), Resolver::default());
        assert_eq!(resolver.find(&names, "a", true).await, Err(()));
        assert_eq!(resolver.find(&names, "a", false).await, Ok(2));
        names.forget("a");
        assert_eq!(resolver.find(&names, "a", false).await, Ok(3));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        let (names, resolver) = (Names::default(), Resolver::default());
        for number in 0..2 * NAME_LIMIT {
            let _ = resolver.find(&names, &number.to_string(), true).await;
            assert!(names.0.lock().unwrap().len() <= NAME_LIMIT);
        }
    }
}
