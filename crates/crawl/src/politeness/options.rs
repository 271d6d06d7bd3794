//! What politeness is told.

use std::time::Duration;

use crate::engine::CrawlOptions;

/// The limits that hold for all hosts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PolitenessOptions {
    /// Requests in flight at most; at least 1.
    pub concurrency: usize,
    /// Requests of one host in flight at most; at least 1.
    pub per_host: usize,
    /// Between two requests to one host at least.
    pub delay: Duration,
    /// True to ask slow hosts with fewer requests at a time.
    pub throttle: bool,
    /// Starts a second at most, over all hosts.
    pub rate: Option<f64>,
    /// How long a host that pushed back is left alone the first time; twice as long each further time.
    pub hold: Duration,
    /// The longest such time, where the host does not ask for a longer one.
    pub longest_hold: Duration,
}

impl Default for PolitenessOptions {
    fn default() -> Self {
        Self {
            concurrency: 64,
            per_host: 8,
            delay: Duration::ZERO,
            throttle: true,
            rate: None,
            hold: Duration::from_secs(1),
            longest_hold: Duration::from_secs(120),
        }
    }
}

impl From<&CrawlOptions> for PolitenessOptions {
    fn from(options: &CrawlOptions) -> Self {
        Self {
            concurrency: options.concurrency.max(1),
            per_host: options.per_host.max(1),
            delay: options.delay,
            throttle: options.throttle,
            rate: options.rate.filter(|rate| *rate > 0.0 && rate.is_finite()),
            ..Self::default()
        }
    }
}
