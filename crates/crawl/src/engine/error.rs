//! Why a crawl can't begin: one sentence each.

use crate::frontier::FrontierError;

/// Why a crawl, an explanation or a single fetch can't begin.
#[derive(Debug, thiserror::Error)]
pub enum CrawlError {
    /// An option or a seed is wrong.
    #[error("{0}")]
    Options(String),
    /// The frontier can't be opened.
    #[error(transparent)]
    Frontier(#[from] FrontierError),
    /// The output can't be written.
    #[error("{0}")]
    Output(String),
    /// The system gives no thread or no event queue.
    #[error("{0}")]
    System(String),
}
