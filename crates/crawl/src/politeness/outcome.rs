//! How a request ended, as far as politeness cares.

use std::time::Duration;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// From its start to the first byte of its answer; none where there was no answer.
    pub latency: Option<Duration>,
    /// What it says about the host.
    pub kind: OutcomeKind,
}

/// What the end of a request says about its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeKind {
    /// It answered with this status.
    Answered(u16),
    /// It answered that it has too much to do.
    PushedBack {
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// It did not answer, or not to the end.
    Failed,
    /// It was not asked at all: nothing is learned.
    Dropped,
}

impl Outcome {
    /// The outcome of an answer; 429 and 503 are those of a host that has too much to do.
    pub fn of_status(status: u16, latency: Duration, retry_after: Option<Duration>) -> Self {
        let kind = match status {
            429 | 503 => OutcomeKind::PushedBack { retry_after },
            _ => OutcomeKind::Answered(status),
        };
        Self { latency: Some(latency), kind }
    }

    /// The outcome of a request without an answer.
    pub fn failed() -> Self {
        Self { latency: None, kind: OutcomeKind::Failed }
    }

    /// The outcome of a request that was not made after all.
    pub fn dropped() -> Self {
        Self { latency: None, kind: OutcomeKind::Dropped }
    }
}
