//! What a crawl tells of itself while it runs and when it ends.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::entry::Counts;

/// Why a crawl ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Every address that belongs to it was visited.
    Finished,
    /// `pages` was reached.
    Pages,
    /// `time` was reached.
    Time,
    /// `bytes` was reached.
    Bytes,
    /// It was told to stop.
    Stopped,
    /// The frontier, the output or the sink failed; `Report::error` says how.
    Failed,
    /// No seed could be fetched.
    NoSeed,
}

/// The state of a running crawl, cheap to ask for.
#[derive(Debug, Clone, Serialize)]
pub struct Progress {
    /// Since the start.
    pub elapsed: Duration,
    /// Pages with an answer, by this process.
    pub pages: u64,
    /// Bytes of their bodies, decompressed.
    pub bytes: u64,
    /// Requests in flight.
    pub in_flight: usize,
    /// The frontier's counts, as of its last answer.
    pub counts: Counts,
    /// Failures by kind (`timeout`, `dns`, ...).
    pub errors: BTreeMap<String, u64>,
    /// Refusals by reason.
    pub refusals: BTreeMap<String, u64>,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Items made.
    pub items: u64,
    /// The host with the highest latency among those in use, with that latency.
    pub slowest_host: Option<(String, Duration)>,
}

/// The end of a crawl.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Why it ended.
    pub ending: Ending,
    /// What failed, where something did.
    pub error: Option<String>,
    /// The last state.
    pub progress: Progress,
}
