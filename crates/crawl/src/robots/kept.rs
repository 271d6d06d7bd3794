//! What is known of a site's robots.txt as text, for a store that outlives the process and that others go on from.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::cache::{RobotsCache, State};
use super::{Availability, Policy, Rules};

/// The form that is stored, as JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// The product token that the rules are for: another one has others.
    token: String,
    /// Milliseconds since 1970.
    good_until: u64,
    /// None where there is no file.
    rules: Option<String>,
    /// The status that says that there is none.
    status: Option<u16>,
    /// Since when the site is out of reach, in milliseconds since 1970.
    unreachable_since: Option<u64>,
}

impl RobotsCache {
    /// What is known of a site; none where there is nothing that is good for another process.
    pub fn to_kept(&self, origin: &str) -> Option<String> {
        let site = self.sites.get(origin)?;
        let (State::GoodUntil(until), Some(policy)) = (site.state, &site.policy) else { return None };
        let is_read = *policy.availability() == Availability::Successful;
        let rules = if is_read { Some(policy.to_text()?) } else { None };
        let status = match policy.availability() {
            Availability::NoFile(status) => Some(*status),
            _ => None,
        };
        // Whether a site can be reached, every process finds out for itself.
        let is_out_of_reach = site.unreachable_since.is_some();
        let kept = Kept {
            token: self.token.to_string(),
            good_until: if is_out_of_reach { 0 } else { to_millis(until) },
            rules,
            status,
            unreachable_since: site.unreachable_since.map(to_millis),
        };
        serde_json::to_string(&kept).ok()
    }

    /// Takes what [`RobotsCache::to_kept`] gave, here or elsewhere; what is known better stays, what is none is left out.
    pub fn restore(&mut self, origin: &str, kept: &str, now: SystemTime) -> Option<Arc<Policy>> {
        let kept: Kept = serde_json::from_str(kept).ok()?;
        let longest = now + self.options.good_for;
        let good_until = of_millis(kept.good_until)?.min(longest);
        let is_good = *kept.token == *self.token && good_until > now;
        if let Some(since) = kept.unreachable_since {
            let site = self.sites.entry(origin.into()).or_default();
            site.unreachable_since.get_or_insert(of_millis(since)?);
        }
        let is_better = match self.sites.get(origin).map(|site| site.state) {
            None | Some(State::Unknown) => true,
            Some(State::GoodUntil(until)) => until < good_until,
            Some(State::Fetching { .. } | State::RetryAt(_)) => false,
        };
        if !is_good || !is_better {
            return None;
        }
        let policy = Arc::new(match (kept.rules, kept.status) {
            (Some(text), _) => Policy::of_file(Rules::parse(text.as_bytes(), &self.token)),
            (None, Some(status)) => Policy::without_file(Availability::NoFile(status)),
            (None, None) => Policy::without_file(Availability::Redirects),
        });
        let site = self.sites.entry(origin.into()).or_default();
        site.policy = Some(Arc::clone(&policy));
        site.state = State::GoodUntil(good_until);
        Some(policy)
    }
}

fn to_millis(time: SystemTime) -> u64 {
    let passed = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
}

fn of_millis(millis: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::super::{Answer, Asked, RobotsOptions};
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn cache(token: &str) -> RobotsCache {
        RobotsCache::new(token, RobotsOptions::default())
    }

    fn answered(status: u16, body: &[u8], now: SystemTime) -> RobotsCache {
        let mut cache = cache("bot");
        cache.ask("http://a", now);
        cache.answer("http://a", Answer::Status { status, location: None, retry_after: None, body }, now);
        cache
    }

    #[test]
    fn what_was_kept_holds_for_as_long_as_it_would_have_held() {
        let now = UNIX_EPOCH + 1_000_000 * HOUR;
        let kept = answered(200, b"User-agent: *\nDisallow: /x\nCrawl-delay: 3\n", now).to_kept("http://a").unwrap();
        let mut other = cache("bot");
        assert!(other.restore("http://a", &kept, now + HOUR).is_some());
        let Asked::Known(policy) = other.ask("http://a", now + 23 * HOUR) else { panic!("it is not known") };
        assert!(!policy.verdict("/x").allowed && policy.verdict("/y").allowed);
        assert_eq!(policy.delay().unwrap().delay, Duration::from_secs(3));
        assert!(matches!(other.ask("http://a", now + 24 * HOUR), Asked::Fetch(_)));
    }

    #[test]
    fn a_site_without_a_file_is_kept_as_one() {
        let now = UNIX_EPOCH + 1_000_000 * HOUR;
        let kept = answered(404, b"", now).to_kept("http://a").unwrap();
        let mut other = cache("bot");
        assert_eq!(*other.restore("http://a", &kept, now).unwrap().availability(), Availability::NoFile(404));
    }

    #[test]
    fn what_was_kept_for_another_token_or_is_no_such_text_is_left_out() {
        let now = UNIX_EPOCH + 1_000_000 * HOUR;
        let kept = answered(200, b"", now).to_kept("http://a").unwrap();
        assert!(cache("other").restore("http://a", &kept, now).is_none());
        for text in ["", "rules", "{}", "{\"token\":\"bot\",\"good_until\":18446744073709551615}"] {
            assert!(cache("bot").restore("http://b", text, now).is_none() || text.starts_with("{\"token"), "{text}");
        }
    }

    #[test]
    fn of_a_site_out_of_reach_only_the_time_is_kept() {
        let now = UNIX_EPOCH + 1_000_000 * HOUR;
        let mut cache = answered(404, b"", now);
        cache.forget("http://a");
        cache.ask("http://a", now);
        cache.answer("http://a", Answer::Error { timeout: true, message: "no" }, now);
        let kept = cache.to_kept("http://a").unwrap();
        let mut other = super::tests::cache("bot");
        assert!(other.restore("http://a", &kept, now).is_none());
        assert_eq!(other.unreachable_since("http://a"), Some(now));
        assert!(matches!(other.ask("http://a", now), Asked::Fetch(_)));
    }
}
