//! Drives a crawl: takes entries, asks politeness and robots, fetches, records, delivers.

mod coordinator;
mod crawl;
mod desk;
mod error;
mod explain;
mod fetch_one;
mod fetches;
mod job;
mod known;
mod levels;
mod links;
mod options;
mod plan;
mod prepare;
mod redirects;
mod report;
mod settle;
mod shared;
mod standing;
mod tally;

pub use crawl::Crawl;
pub use error::CrawlError;
pub use explain::{Explanation, explain};
pub use fetch_one::{FetchRequest, fetch_one};
pub use options::{CrawlOptions, FrontierPlace, OutputFile, ScopeKind};
pub use report::{Ending, Progress, Report};
