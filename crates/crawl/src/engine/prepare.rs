//! From options to a crawl that can start: seeds, scope, frontier, clients.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::engine::coordinator::low_water;
use crate::engine::desk::Desk;
use crate::engine::known::Known;
use crate::engine::plan::Plan;
use crate::engine::shared::Shared;
use crate::engine::{CrawlError, CrawlOptions};
use crate::entry::{EntryKind, NewEntry};
use crate::extract::Fields;
use crate::fetch::{Budget, Client, ClientOptions, Jar};
use crate::frontier::{self, AnyFrontier, FrontierSettings, Identity};
use crate::politeness::{Politeness, PolitenessOptions, RetryPolicy};
use crate::robots::{RobotsCache, RobotsOptions, product_token};
use crate::sink::{OutputFormat, Sink};
use crate::url::{Addresses, Fingerprints, Scope, TrapLimits, Traps, Url, host_key};

/// Addresses whose links are resolved without a parser: about 200 bytes each.
const ADDRESS_COUNT: usize = 1 << 16;
/// 2 MiB of knowledge about addresses.
const KNOWN_LINES_LOG2: u32 = 15;
/// What bodies that are on their way may take together.
const BODIES_BYTES: u64 = 64 << 20;
/// For looking up whether a seed is on a private address.
const LOOK_UP_TIME: Duration = Duration::from_secs(5);

/// All that a crawl starts with.
pub(crate) struct Prepared {
    pub(crate) shared: Shared,
    pub(crate) frontier: AnyFrontier,
    pub(crate) seeds: Vec<NewEntry>,
    pub(crate) clients: Vec<Client>,
}

/// Checks the options, opens the frontier, makes a client for each thread.
pub(crate) async fn prepare(
    options: CrawlOptions,
    sink: Option<&dyn Sink>,
    client_count: usize,
) -> Result<Prepared, CrawlError> {
    let urls = seed_urls(&options)?;
    let scope = scope(&options, &urls)?;
    let fields = fields(&options)?;
    let output = match &options.output {
        Some(file) => Some(OutputFormat::of(file).map_err(|error| CrawlError::Output(error.to_string()))?),
        None => None,
    };
    let clients = clients(&options, &urls, client_count)?;
    let private_hosts = private_hosts(&clients[0], &urls).await;
    let settings =
        FrontierSettings { output: options.output.clone(), revisit: options.revisit, ..FrontierSettings::default() };
    let frontier = frontier::open(&options.frontier, &Identity::of(&options), settings).await?;
    let hash_key = frontier.hash_key();
    let fingerprints = Fingerprints::new(hash_key);
    let addresses = Addresses::new(Fingerprints::new(hash_key), Arc::new(scope), options.allow_private, ADDRESS_COUNT);
    let token = product_token(&options.user_agent).to_owned();
    let robots = options.robots.then(|| RobotsCache::new(&token, RobotsOptions::default()));
    let politeness = Politeness::new(PolitenessOptions::from(&options));
    let desk = Desk::new(politeness, robots, Traps::new(TrapLimits::default()), low_water(options.concurrency));
    let plan = Plan {
        addresses,
        fingerprints,
        known: Known::new(KNOWN_LINES_LOG2),
        filter: frontier.known_filter(),
        private_hosts,
        seed_hosts: urls.iter().map(|url| host_key(url.as_str()).into_owned()).collect(),
        fields,
        output,
        hash_key,
        retry: RetryPolicy::new(options.retries),
        hasher: hashbrown::DefaultHashBuilder::default(),
        token,
        is_delivered: sink.is_some(),
        is_answered: sink.is_some_and(Sink::answers),
        options,
    };
    let seeds = seed_entries(&plan, &urls);
    Ok(Prepared { shared: Shared::new(plan, desk), frontier, seeds, clients })
}

/// The seeds as URLs; a seed without a scheme is one of `http`.
pub(crate) fn seed_urls(options: &CrawlOptions) -> Result<Vec<Url>, CrawlError> {
    if options.seeds.is_empty() {
        return Err(CrawlError::Options("a crawl needs at least one URL to begin with".to_owned()));
    }
    options.seeds.iter().map(|seed| seed_url(seed)).collect()
}

/// An address as a person gives it.
pub(crate) fn seed_url(text: &str) -> Result<Url, CrawlError> {
    let text = text.trim();
    let whole = if text.contains("://") || !looks_like_host(text) { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&whole).map_err(|error| CrawlError::Options(format!("`{text}` is no URL: {error}")))?;
    match (url.scheme(), url.has_host()) {
        ("http" | "https", true) => Ok(url),
        (scheme, _) => Err(CrawlError::Options(format!(
            "`{text}` can't be fetched: only http:// and https:// can, and this is {scheme}:"
        ))),
    }
}

/// True for `example.com/a` and `localhost:8080`, not for `mailto:x`.
fn looks_like_host(text: &str) -> bool {
    let host = text.split(['/', '?', '#']).next().unwrap_or_default();
    match host.rsplit_once(':') {
        Some((_, port)) => !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()),
        None => !host.is_empty(),
    }
}

pub(crate) fn scope(options: &CrawlOptions, urls: &[Url]) -> Result<Scope, CrawlError> {
    Scope::new(&options.scope, urls, &options.include, &options.exclude)
        .map_err(|error| CrawlError::Options(error.to_string()))
}

fn fields(options: &CrawlOptions) -> Result<Option<Fields>, CrawlError> {
    if options.fields.is_empty() {
        return Ok(None);
    }
    Fields::new(&options.fields).map(Some).map_err(|error| CrawlError::Options(error.to_string()))
}

/// A client for each thread, so that no connection crosses threads; the cookies are the crawl's.
pub(crate) fn clients(options: &CrawlOptions, urls: &[Url], count: usize) -> Result<Vec<Client>, CrawlError> {
    let jar = Arc::new(Jar::new());
    for cookie in &options.cookies {
        if !cookie.contains('=') {
            return Err(CrawlError::Options(format!("the cookie `{cookie}` is not of the form name=value")));
        }
        for url in urls {
            jar.add(url, cookie).map_err(CrawlError::Options)?;
        }
    }
    let budget = Arc::new(Budget::new(BODIES_BYTES, options.body_bytes));
    let client = |_| {
        let client_options = ClientOptions {
            jar: Some(Arc::clone(&jar)),
            budget: Some(Arc::clone(&budget)),
            ..ClientOptions::from(options)
        };
        Client::new(client_options).map_err(|error| CrawlError::Options(error.to_string()))
    };
    (0..count).map(client).collect()
}

/// The hosts of those seeds that are on private addresses.
pub(crate) async fn private_hosts(client: &Client, urls: &[Url]) -> HashSet<String> {
    let mut hosts = HashSet::new();
    for url in urls {
        let Some(host) = url.host_str() else { continue };
        // Where the look-up fails, fetching will, and will say why.
        if !hosts.contains(host) && matches!(timeout(LOOK_UP_TIME, client.is_private(url)).await, Ok(Ok(true))) {
            hosts.insert(host.to_owned());
        }
    }
    hosts
}

fn seed_entries(plan: &Plan, urls: &[Url]) -> Vec<NewEntry> {
    let targets = urls.iter().filter_map(|url| plan.addresses.target(url.as_str()));
    let seed = |target: Arc<crate::url::Target>| NewEntry {
        url: target.url.to_string(),
        fingerprint: target.fingerprint,
        depth: 0,
        parent: None,
        kind: EntryKind::Page,
        request: None,
    };
    let mut seeds: Vec<NewEntry> = targets.map(seed).collect();
    if plan.options.sitemaps && !plan.options.robots {
        for host in &plan.seed_hosts {
            seeds.extend(plan.sitemap_entries(host, &[]));
        }
    }
    seeds
}
