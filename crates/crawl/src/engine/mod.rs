//! Drives a crawl: takes entries, asks politeness and robots, fetches, records, delivers.

mod options;
mod report;

pub use options::{CrawlOptions, FrontierPlace, OutputFile, ScopeKind};
pub use report::{Ending, Progress, Report};
