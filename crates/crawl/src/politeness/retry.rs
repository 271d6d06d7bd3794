//! Which failures are tried again, and when: exponential backoff with full jitter.

use std::time::Duration;

/// Which requests are tried again, and after how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often one request is tried again at most.
    pub retries: u32,
    /// The longest time before the first retry; twice as long before each further one.
    pub base: Duration,
    /// The longest time before any retry, where the server does not ask for a longer one.
    pub longest: Duration,
}

impl RetryPolicy {
    /// The policy with this number of retries.
    pub fn new(retries: u32) -> Self {
        Self { retries, base: Duration::from_secs(1), longest: Duration::from_secs(60) }
    }

    /// When to try again after an answer: none where its status won't pass, or where it was tried often enough.
    ///
    /// `tries`: how often it was tried before this time. `random`: from 0 to 1.
    pub fn after_status(
        &self,
        status: u16,
        tries: u32,
        retry_after: Option<Duration>,
        random: f64,
    ) -> Option<Duration> {
        is_passing_status(status).then(|| self.delay(tries, retry_after, random)).flatten()
    }

    /// When to try again after no answer, by the kind of the [`PageError`](crate::PageError).
    pub fn after_error(&self, kind: &str, tries: u32, random: f64) -> Option<Duration> {
        is_passing_error(kind).then(|| self.delay(tries, None, random)).flatten()
    }

    /// A random time up to the limit, so that requests that failed together don't come back together; a server that names a time
    /// gets it, and the random time behind it.
    fn delay(&self, tries: u32, retry_after: Option<Duration>, random: f64) -> Option<Duration> {
        if tries >= self.retries {
            return None;
        }
        let limit = self.base.saturating_mul(1 << tries.min(20)).min(self.longest);
        let jitter = limit.mul_f64(if random.is_finite() { random.clamp(0.0, 1.0) } else { 1.0 });
        Some(retry_after.map_or(jitter, |asked| asked + jitter.min(self.base)))
    }
}

fn is_passing_status(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504 | 522 | 524)
}

/// What is wrong with a certificate, with the protocol or with the size of a body is wrong the next time, too.
fn is_passing_error(kind: &str) -> bool {
    matches!(kind, "dns" | "connect" | "timeout" | "closed")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let policy = RetryPolicy::new(2);
        for (status, expected) in
            [(200, false), (404, false), (408, true), (429, true), (500, true), (501, false), (503, true), (524, true)]
        {
            assert_eq!(policy.after_status(status, 0, None, 0.5).is_some(), expected, "{status}");
        }
        for (kind, expected) in
            [("timeout", true), ("connect", true), ("tls", false), ("too_large", false), ("too_slow", false)]
        {
            assert_eq!(policy.after_error(kind, 0, 0.5).is_some(), expected, "{kind}");
        }
    }

    #[test]
    fn tries_are_counted() {
        let policy = RetryPolicy::new(2);
        let tried = |tries| policy.after_status(503, tries, None, 1.0).map(|delay| delay.as_secs());
        assert_eq!((tried(0), tried(1), tried(2), tried(u32::MAX)), (Some(1), Some(2), None, None));
        assert_eq!(RetryPolicy::new(0).after_error("timeout", 0, 0.0), None);
    }

    #[test]
    fn a_server_that_names_a_time_gets_it() {
        let asked = Duration::from_secs(30);
        let delay = RetryPolicy::new(9).after_status(429, 5, Some(asked), 1.0).unwrap();
        assert_eq!(delay, asked + Duration::from_secs(1));
    }

    proptest! {
        #[test]
        fn no_delay_is_longer_than_the_longest(tries in any::<u32>(), random in any::<f64>()) {
            let policy = RetryPolicy::new(u32::MAX);
            if let Some(delay) = policy.after_error("timeout", tries, random) {
                prop_assert!(delay <= policy.longest);
            }
        }
    }
}
