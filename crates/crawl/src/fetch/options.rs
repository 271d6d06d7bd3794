//! What a client is told once, for all its requests.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::budget::Budget;
use super::cookies::Jar;
use crate::engine::CrawlOptions;

/// The options of a client.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The `User-Agent` header; empty for none.
    pub user_agent: String,
    /// More headers for every request, in order; a request's own of the same name replace them.
    pub headers: Vec<(String, String)>,
    /// False to accept certificates that can't be verified.
    pub verify_tls: bool,
    /// Certificates to trust instead of the machine's: a PEM file, or a folder of them.
    pub certificate_authorities: Option<PathBuf>,
    /// The client's certificate chain and its key, as PEM files (one file may hold both).
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// True to offer HTTP/2 on https.
    pub http2: bool,
    /// `http://`, `https://`, `socks5://` or `socks5h://` proxies with their passwords, chosen by the host that is asked.
    pub proxies: Vec<String>,
    /// `name:address` pairs that replace the look-up of a name; `*.suffix:address` for all names under one, `*` for all.
    pub resolve: Vec<String>,
    /// For looking up, connecting, and the handshakes with a proxy and of TLS.
    pub connect_timeout: Duration,
    /// For a whole request; none for as long as it takes.
    pub request_timeout: Option<Duration>,
    /// Bytes a second that must come, counted over each `speed_window` after an answer's first byte; 0 for any speed.
    pub minimum_speed: u64,
    /// How long an answer may come more slowly.
    pub speed_window: Duration,
    /// The limit of a body after decompression, in bytes.
    pub body_bytes: u64,
    /// The limit of an answer's head, in bytes; also how much is read at a time.
    pub header_bytes: usize,
    /// How many times its size a compressed body may grow beyond the first 4 MiB; none for any.
    pub expansion: Option<u32>,
    /// How long a connection is kept without a request.
    pub idle_timeout: Duration,
    /// How many such connections are kept at most.
    pub idle_count: usize,
    /// Cookies that are sent and kept; none to leave them alone.
    pub jar: Option<Arc<Jar>>,
    /// What the bodies of all requests may take together while they come; none for any.
    pub budget: Option<Arc<Budget>>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self::from(&CrawlOptions::default())
    }
}

impl From<&CrawlOptions> for ClientOptions {
    fn from(crawl: &CrawlOptions) -> Self {
        let mut headers = vec![("accept".to_owned(), "*/*".to_owned())];
        headers.retain(|(name, _)| !crawl.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)));
        headers.extend(crawl.headers.iter().cloned());
        Self {
            user_agent: crawl.user_agent.clone(),
            headers,
            verify_tls: crawl.verify_tls,
            certificate_authorities: None,
            client_certificate: None,
            http2: true,
            proxies: crawl.proxies.clone(),
            resolve: crawl.resolve.clone(),
            connect_timeout: crawl.connect_timeout,
            request_timeout: Some(crawl.request_timeout),
            minimum_speed: 100,
            speed_window: Duration::from_secs(10),
            body_bytes: crawl.body_bytes,
            header_bytes: 64 << 10,
            expansion: Some(250),
            idle_timeout: Duration::from_secs(30),
            idle_count: 1024,
            jar: None,
            budget: None,
        }
    }
}
