//! Whole crawls of small sites in the test's own process.

#![allow(clippy::unwrap_used, reason = "a test fails where it can't go on")]

mod limits;
mod pages;
mod redirects;
mod resume;
#[path = "../frontier/server.rs"]
#[allow(dead_code, reason = "the frontier's tests use more of it")]
mod server;
mod set;
mod shared;
mod single;
mod site;
mod support;

use std::time::Duration;

use threefold_crawl::engine::{Crawl, CrawlOptions, Report};

/// Far beyond what a crawl of a test takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

fn options(seed: String) -> CrawlOptions {
    CrawlOptions { seeds: vec![seed], ..CrawlOptions::default() }
}

fn crawl(options: CrawlOptions) -> Report {
    Crawl::start(options, None).unwrap().wait(Some(LIMIT)).unwrap()
}
