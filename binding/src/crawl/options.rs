//! What a crawl is told, from the dictionary that `threefold.crawl._options` has checked.

use std::path::PathBuf;
use std::time::Duration;

use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use threefold_crawl::engine::{CrawlOptions, FrontierPlace, OutputFile, ScopeKind};

/// What a crawl is told.
pub(crate) struct Options(CrawlOptions);

impl Options {
    /// As the engine wants them.
    pub(crate) fn into_engine(self) -> CrawlOptions {
        self.0
    }
}

impl<'py> FromPyObject<'_, 'py> for Options {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let options = object.cast::<PyDict>()?;
        // The derived form would look names up without the interpreter in hand: see `crate::kept`.
        macro_rules! option {
            ($name:ident) => {
                match options.get_item(stringify!($name))? {
                    Some(value) => value.extract()?,
                    None => return Err(PyKeyError::new_err(stringify!($name))),
                }
            };
        }
        let default = CrawlOptions::default();
        let user_agent: Option<String> = option!(user_agent);
        let output: Option<PathBuf> = option!(output);
        let scope: String = option!(scope);
        let time: Option<f64> = option!(time);
        Ok(Self(CrawlOptions {
            seeds: option!(seeds),
            scope: self::scope(&scope),
            include: option!(include),
            exclude: option!(exclude),
            depth: option!(depth),
            pages: option!(pages),
            time: time.map(|time| duration("time", time)).transpose()?,
            bytes: option!(bytes),
            pages_per_host: option!(pages_per_host),
            concurrency: option!(concurrency),
            per_host: option!(per_host),
            delay: duration("delay", option!(delay))?,
            throttle: option!(throttle),
            rate: option!(rate),
            retries: option!(retries),
            user_agent: user_agent.unwrap_or(default.user_agent),
            headers: option!(headers),
            cookies: option!(cookies),
            proxies: option!(proxies),
            robots: option!(robots),
            sitemaps: option!(sitemaps),
            follow: option!(follow),
            allow_private: option!(allow_private),
            verify_tls: option!(verify_tls),
            resolve: option!(resolve),
            body_bytes: option!(body_bytes),
            connect_timeout: duration("connect_timeout", option!(connect_timeout))?,
            request_timeout: duration("request_timeout", option!(request_timeout))?,
            revisit: option!(revisit),
            fields: option!(fields),
            frontier: place(option!(frontier), option!(state), option!(resume), option!(durable)),
            output: output.map(|path| OutputFile { path }),
            threads: option!(threads),
        }))
    }
}

fn place(frontier: Option<String>, state: Option<PathBuf>, resume: bool, durable: bool) -> FrontierPlace {
    match (frontier, state) {
        (Some(address), _) => FrontierPlace::Postgres(address),
        (None, Some(path)) => FrontierPlace::Folder { path, resume, durable },
        (None, None) => FrontierPlace::Memory,
    }
}

fn scope(text: &str) -> ScopeKind {
    match text {
        "host" => ScopeKind::Host,
        "domain" => ScopeKind::Domain,
        "prefix" => ScopeKind::Prefix,
        pattern => ScopeKind::Regex(pattern.strip_prefix("regex:").unwrap_or(pattern).to_owned()),
    }
}

fn duration(name: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_error| PyValueError::new_err(format!("{name} must be seconds that a clock can hold, not {seconds}")))
}
