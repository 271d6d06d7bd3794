//! What a crawl is told.

use std::path::PathBuf;
use std::time::Duration;

/// Which links belong to the crawl.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScopeKind {
    /// The seeds' hosts (`host:port`).
    Host,
    /// The seeds' registrable domains, with all hosts under them.
    Domain,
    /// Addresses that begin like a seed's folder.
    Prefix,
    /// Addresses that match this regular expression.
    Regex(String),
}

/// Where the frontier is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrontierPlace {
    /// In memory: gone when the crawl ends.
    Memory,
    /// In a folder, in one SQLite file; `resume` goes on with a crawl that is there, without it the folder must be new.
    Folder {
        /// The folder.
        path: PathBuf,
        /// True to go on with the crawl that is there.
        resume: bool,
        /// True to survive a power failure, too, at the price of a disk flush for each group of pages.
        durable: bool,
    },
    /// In a Postgres that any number of crawls share: `postgres://...`.
    Postgres(String),
}

/// A file that items (or pages, where none are declared) are exported to; the format follows from the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFile {
    /// `.jsonl`, `.csv`, `.sqlite`, `.warc` or `.warc.gz`.
    pub path: PathBuf,
}

/// What a crawl is told. `CrawlOptions::default()` is what `threefold crawl URL` does without options.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of the command of its own")]
pub struct CrawlOptions {
    /// Where the crawl begins.
    pub seeds: Vec<String>,
    /// Which links belong to it.
    pub scope: ScopeKind,
    /// Regular expressions, one of which an address must match; empty for all.
    pub include: Vec<String>,
    /// Regular expressions, none of which an address may match.
    pub exclude: Vec<String>,
    /// How many links away from a seed a page may be.
    pub depth: u32,
    /// How many pages at most.
    pub pages: Option<u64>,
    /// How long at most.
    pub time: Option<Duration>,
    /// How many bytes of bodies, decompressed, at most.
    pub bytes: Option<u64>,
    /// How many pages of one host at most.
    pub pages_per_host: Option<u64>,
    /// How many requests in flight at most.
    pub concurrency: usize,
    /// How many of one host at most.
    pub per_host: usize,
    /// Between the starts of two requests to one host, at least.
    pub delay: Duration,
    /// True to follow the servers' latency, too: slower where they answer slower.
    pub throttle: bool,
    /// How many requests a second at most, over all hosts.
    pub rate: Option<f64>,
    /// How often a request is tried again after a failure that may pass.
    pub retries: u32,
    /// The `User-Agent` header; its first word is what robots.txt is asked about.
    pub user_agent: String,
    /// More headers for every request, in order.
    pub headers: Vec<(String, String)>,
    /// Cookies for the seeds' hosts: `name=value`.
    pub cookies: Vec<String>,
    /// `http://`, `https://` or `socks5://` proxies, taken in turn by host.
    pub proxies: Vec<String>,
    /// False to ignore robots.txt.
    pub robots: bool,
    /// True to read the sitemaps that robots.txt and the seeds' hosts name.
    pub sitemaps: bool,
    /// False not to follow links at all: only what seeds, sitemaps and programs name.
    pub follow: bool,
    /// True to let links lead to private addresses where no seed does.
    pub allow_private: bool,
    /// False to accept certificates that can't be verified.
    pub verify_tls: bool,
    /// `host:address` pairs that replace the look-up of a name (`*.test:127.0.0.1` for all under one).
    pub resolve: Vec<String>,
    /// The limit of a body after decompression, in bytes.
    pub body_bytes: u64,
    /// For connecting.
    pub connect_timeout: Duration,
    /// For a whole request.
    pub request_timeout: Duration,
    /// True to ask again for pages that are done already, by their validators.
    pub revisit: bool,
    /// The declared fields: name and selector (`h1::text`, `a.next::attr(href)`).
    pub fields: Vec<(String, String)>,
    /// Where the frontier is kept.
    pub frontier: FrontierPlace,
    /// Where items are exported to; none where a program takes the pages.
    pub output: Option<OutputFile>,
    /// How many threads fetch and parse.
    pub threads: usize,
}

impl Default for CrawlOptions {
    fn default() -> Self {
        Self {
            seeds: Vec::new(),
            scope: ScopeKind::Host,
            include: Vec::new(),
            exclude: Vec::new(),
            depth: 50,
            pages: None,
            time: None,
            bytes: None,
            pages_per_host: None,
            concurrency: 64,
            per_host: 8,
            delay: Duration::ZERO,
            throttle: true,
            rate: None,
            retries: 2,
            user_agent: concat!("threefold/", env!("CARGO_PKG_VERSION")).to_owned(),
            headers: Vec::new(),
            cookies: Vec::new(),
            proxies: Vec::new(),
            robots: true,
            sitemaps: false,
            follow: true,
            allow_private: false,
            verify_tls: true,
            resolve: Vec::new(),
            body_bytes: 16 << 20,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            revisit: false,
            fields: Vec::new(),
            frontier: FrontierPlace::Memory,
            output: None,
            threads: 2,
        }
    }
}
