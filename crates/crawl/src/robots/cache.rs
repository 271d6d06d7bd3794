//! The state machine of all sites: whose robots.txt to ask for, what an answer means, and how long it is good.
//!
//! | answer | meaning (RFC 9309) |
//! |---|---|
//! | 200 to 299 | the body's rules, good for 24 hours (2.4) |
//! | 301, 302, 303, 307, 308 | followed, to any host, at most five times; the result is the first site's (2.3.1.2). More, or no place: no file |
//! | other 3xx, 4xx | no file: all is allowed (2.3.1.3) |
//! | 429 | the site is overloaded, not without rules: asked again first, by its `Retry-After`; then no file, since it is a 4xx |
//! | 5xx, no answer | asked again first; then nothing is allowed (2.3.1.4) until an attempt succeeds, or 30 days have passed |
//!
//! A copy that can't be renewed since the site is out of reach stays good until those 30 days are over (2.4). An answer that took too
//! long is not asked for again at once: it has cost enough.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use url::Url;

use super::{Availability, Policy, Rules};
use crate::politeness::parse_retry_after;

/// How long answers are good and how often they are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RobotsOptions {
    /// How long a file is good, and the answer that there is none.
    pub good_for: Duration,
    /// After how long a site that can't be reached counts as one without a file.
    pub unreachable_for: Duration,
    /// How many redirects are followed.
    pub redirects: u32,
    /// How often a failure is asked again before it counts.
    pub retries: u32,
    /// Before the first of these retries; twice as long before each further one.
    pub retry_delay: Duration,
    /// The longest `Retry-After` that is waited for.
    pub retry_after: Duration,
    /// After how long a site that can't be reached is asked again; twice as long each further time, at most an hour.
    pub unreachable_retry: Duration,
    /// After how long a request that nobody answered to is taken for lost.
    pub lost_after: Duration,
}

impl Default for RobotsOptions {
    fn default() -> Self {
        Self {
            good_for: Duration::from_secs(24 * 3600),
            unreachable_for: Duration::from_secs(30 * 24 * 3600),
            redirects: 5,
            retries: 2,
            retry_delay: Duration::from_secs(1),
            retry_after: Duration::from_secs(60),
            unreachable_retry: Duration::from_secs(300),
            lost_after: Duration::from_secs(900),
        }
    }
}

/// What is known about a site when it is asked for.
#[derive(Debug, Clone)]
pub enum Asked {
    /// This holds.
    Known(Arc<Policy>),
    /// Nothing yet: fetch this address, without following redirects, and give the answer to [`RobotsCache::answer`].
    Fetch(String),
    /// It is being fetched.
    Wait,
    /// It will be fetched at this time.
    WaitUntil(SystemTime),
}

/// What a request for a robots.txt gave.
#[derive(Debug, Clone, Copy)]
pub enum Answer<'a> {
    /// An HTTP answer.
    Status {
        /// Its status.
        status: u16,
        /// Its `Location` header.
        location: Option<&'a [u8]>,
        /// Its `Retry-After` header.
        retry_after: Option<&'a [u8]>,
        /// Its body, decompressed; no more than [`MAX_BYTES`](super::MAX_BYTES) of it are looked at.
        body: &'a [u8],
    },
    /// No answer.
    Error {
        /// True where it took too long.
        timeout: bool,
        /// What happened.
        message: &'a str,
    },
}

/// What follows from an answer.
#[derive(Debug, Clone)]
pub enum Answered {
    /// This holds from now on.
    Known(Arc<Policy>),
    /// Fetch this address next, and answer for the same site.
    Follow(String),
    /// Ask again at this time: [`RobotsCache::ask`] gives the address then.
    Again(SystemTime),
}

#[derive(Debug, Default)]
pub(super) struct Site {
    pub(super) state: State,
    /// The policy of the last answer, kept while a newer one is fetched.
    pub(super) policy: Option<Arc<Policy>>,
    /// When the failures in a row began.
    pub(super) unreachable_since: Option<SystemTime>,
    /// How often it was found unreachable in a row.
    unreachable_count: u32,
    /// The address of the last request; redirects are relative to it.
    address: String,
    hops: u32,
    tries: u32,
}

#[derive(Debug, Default, Clone, Copy)]
pub(super) enum State {
    #[default]
    Unknown,
    Fetching {
        since: SystemTime,
    },
    RetryAt(SystemTime),
    GoodUntil(SystemTime),
}

/// The robots.txt of all sites of a crawl, for one product token. A site is an origin: `scheme://host:port`.
#[derive(Debug)]
pub struct RobotsCache {
    pub(super) token: Box<str>,
    pub(super) options: RobotsOptions,
    pub(super) sites: HashMap<Box<str>, Site>,
}

impl RobotsCache {
    /// Knows nothing yet.
    pub fn new(token: &str, options: RobotsOptions) -> Self {
        Self { token: token.into(), options, sites: HashMap::new() }
    }

    /// What holds at a site, or what to do in order to know.
    pub fn ask(&mut self, origin: &str, now: SystemTime) -> Asked {
        if !self.sites.contains_key(origin) {
            self.sites.insert(origin.into(), Site::default());
        }
        let lost_after = self.options.lost_after;
        let Some(site) = self.sites.get_mut(origin) else { return Asked::Wait };
        match site.state {
            State::GoodUntil(until) if now < until => {
                if let Some(policy) = &site.policy {
                    return Asked::Known(Arc::clone(policy));
                }
            }
            State::RetryAt(time) if now < time => return Asked::WaitUntil(time),
            State::Fetching { since } if elapsed(since, now) < lost_after => return Asked::Wait,
            State::RetryAt(_) | State::Unknown => {}
            State::Fetching { .. } | State::GoodUntil(_) => site.tries = 0,
        }
        site.state = State::Fetching { since: now };
        site.hops = 0;
        site.address = format!("{origin}/robots.txt");
        Asked::Fetch(site.address.clone())
    }

    /// Takes what the request that [`RobotsCache::ask`] or [`Answered::Follow`] asked for gave.
    pub fn answer(&mut self, origin: &str, answer: Answer<'_>, now: SystemTime) -> Answered {
        let options = self.options;
        let site = self.sites.entry(origin.into()).or_default();
        match answer {
            Answer::Status { status: 200..=299, body, .. } => {
                site.know(Policy::of_file(Rules::parse(body, &self.token)), now, &options)
            }
            Answer::Status { status: 304, .. } if site.has_file() => site.renew(now, &options),
            Answer::Status { status: 301 | 302 | 303 | 307 | 308, location, .. } => {
                site.follow(location, now, &options)
            }
            Answer::Status { status: status @ (429 | 500..), retry_after, .. } => {
                let asked = retry_after
                    .and_then(|value| parse_retry_after(value, now))
                    .map(|delay| delay.min(options.retry_after));
                match site.retry_at(asked, now, &options) {
                    Some(time) => Answered::Again(time),
                    None if status == 429 => {
                        site.know(Policy::without_file(Availability::NoFile(status)), now, &options)
                    }
                    None => site.unreachable(Availability::ServerError(status), now, &options),
                }
            }
            Answer::Status { status, .. } => {
                site.know(Policy::without_file(Availability::NoFile(status)), now, &options)
            }
            Answer::Error { timeout, message } => {
                match (!timeout).then(|| site.retry_at(None, now, &options)).flatten() {
                    Some(time) => Answered::Again(time),
                    None => site.unreachable(Availability::NetworkError(message.into()), now, &options),
                }
            }
        }
    }

    /// Since when a site is out of reach, for a store that outlives the process.
    pub fn unreachable_since(&self, origin: &str) -> Option<SystemTime> {
        self.sites.get(origin)?.unreachable_since
    }

    /// Takes from such a store since when a site is out of reach.
    pub fn restore_unreachable(&mut self, origin: &str, since: SystemTime) {
        self.sites.entry(origin.into()).or_default().unreachable_since = Some(since);
    }

    /// Forgets a site: what is asked next about it is fetched.
    pub fn forget(&mut self, origin: &str) {
        self.sites.remove(origin);
    }
}

impl Site {
    fn has_file(&self) -> bool {
        self.policy.as_ref().is_some_and(|policy| *policy.availability() == Availability::Successful)
    }

    fn know(&mut self, policy: Policy, now: SystemTime, options: &RobotsOptions) -> Answered {
        self.policy = Some(Arc::new(policy));
        self.renew(now, options)
    }

    /// The last policy is good again, from now on.
    fn renew(&mut self, now: SystemTime, options: &RobotsOptions) -> Answered {
        (self.unreachable_since, self.unreachable_count, self.tries) = (None, 0, 0);
        self.hold(now + options.good_for)
    }

    fn hold(&mut self, until: SystemTime) -> Answered {
        self.state = State::GoodUntil(until);
        self.address = String::new();
        let policy = self.policy.get_or_insert_with(|| Arc::new(Policy::without_file(Availability::LongGone)));
        Answered::Known(Arc::clone(policy))
    }

    fn follow(&mut self, location: Option<&[u8]>, now: SystemTime, options: &RobotsOptions) -> Answered {
        let next = location
            .and_then(|location| std::str::from_utf8(location).ok())
            .and_then(|location| next_hop(&self.address, location));
        match next {
            Some(next) if self.hops < options.redirects => {
                self.hops += 1;
                self.state = State::Fetching { since: now };
                self.address.clone_from(&next);
                Answered::Follow(next)
            }
            _ => self.know(Policy::without_file(Availability::Redirects), now, options),
        }
    }

    /// When to ask again for what failed; none when it was asked often enough.
    fn retry_at(&mut self, asked: Option<Duration>, now: SystemTime, options: &RobotsOptions) -> Option<SystemTime> {
        if self.tries >= options.retries {
            return None;
        }
        let delay = options.retry_delay.saturating_mul(1 << self.tries.min(16)).max(asked.unwrap_or_default());
        self.tries += 1;
        self.state = State::RetryAt(now + delay);
        Some(now + delay)
    }

    fn unreachable(&mut self, why: Availability, now: SystemTime, options: &RobotsOptions) -> Answered {
        let since = *self.unreachable_since.get_or_insert(now);
        let is_long_gone = elapsed(since, now) >= options.unreachable_for;
        self.tries = 0;
        if is_long_gone {
            self.policy = Some(Arc::new(Policy::without_file(Availability::LongGone)));
        } else if !self.has_file() {
            self.policy = Some(Arc::new(Policy::without_file(why)));
        }
        let pause = options.unreachable_retry.saturating_mul(1 << self.unreachable_count.min(16));
        self.unreachable_count += 1;
        self.hold(now + pause.min(Duration::from_secs(3600)))
    }
}

/// Zero where the clock was set back.
fn elapsed(since: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(since).unwrap_or_default()
}

fn next_hop(address: &str, location: &str) -> Option<String> {
    let next = Url::parse(address).ok()?.join(location).ok()?;
    matches!(next.scheme(), "http" | "https").then(|| {
        let mut next = next;
        next.set_fragment(None);
        next.into()
    })
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
