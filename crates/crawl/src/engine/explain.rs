//! Says why an address would be fetched, or would not: each question that a crawl asks about it, with its answer.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::engine::crawl::runtime;
use crate::engine::prepare::{clients, private_hosts, scope, seed_url};
use crate::engine::{CrawlError, CrawlOptions, FrontierPlace};
use crate::fetch::{Admission, Client, Request};
use crate::frontier::{KnownEntry, look_up};
use crate::refusal::Refusal;
use crate::robots::{self, Answered, Asked, Policy, RobotsCache, RobotsOptions, product_token};
use crate::url::{Fingerprints, Scope, Url, canonical, check_shape, host_key};

/// What a crawl with certain options would do with an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The address as it would be requested.
    pub url: String,
    /// The form by which it is known.
    pub canonical: String,
    /// True where it would be fetched.
    pub fetched: bool,
    /// Why not.
    pub refusal: Option<Refusal>,
    /// The answers to all questions, a sentence each.
    pub reasons: Vec<String>,
}

/// Explains what a crawl with these options would do with the address. Without seeds, the address is taken for the seed.
///
/// # Errors
/// Where the address or an option is wrong, or the state can't be read.
///
/// # Blocking
/// While robots.txt is fetched. Not to be called within a tokio runtime.
pub fn explain(options: &CrawlOptions, url: &str) -> Result<Explanation, CrawlError> {
    let mut url = seed_url(url)?;
    url.set_fragment(None);
    let mut seeds = options.seeds.iter().map(|seed| seed_url(seed)).collect::<Result<Vec<_>, _>>()?;
    if seeds.is_empty() {
        seeds.push(url.clone());
    }
    let scope = scope(options, &seeds)?;
    let mut judge = Judge { refusal: None, reasons: Vec::new() };
    judge.ask_scope(&scope, &url);
    judge.ask_shape(&url);
    let client = clients(options, &seeds, 1)?.remove(0);
    let known = known(options, &url)?;
    runtime()?.block_on(async {
        let is_admitted = judge.ask_guard(options, &client, &seeds, &url).await;
        if options.robots && is_admitted {
            judge.ask_robots(options, &client, &url, is_admitted).await;
        } else if !options.robots {
            judge.reasons.push("robots.txt is not asked: that is switched off.".to_owned());
        }
    });
    judge.ask_state(options, known.as_ref());
    let is_known = known.is_some_and(|known| known.state == "done");
    let fetched = judge.refusal.is_none() && (!is_known || options.revisit);
    let canonical = canonical(&url).into_owned();
    Ok(Explanation { url: url.into(), canonical, fetched, refusal: judge.refusal, reasons: judge.reasons })
}

fn known(options: &CrawlOptions, url: &Url) -> Result<Option<KnownEntry>, CrawlError> {
    match &options.frontier {
        FrontierPlace::Folder { path, .. } if path.exists() => Ok(look_up(path, |key| Fingerprints::new(key).of(url))?),
        _ => Ok(None),
    }
}

struct Judge {
    refusal: Option<Refusal>,
    reasons: Vec<String>,
}

impl Judge {
    fn refuse(&mut self, refusal: Refusal) {
        self.refusal.get_or_insert(refusal);
    }

    fn ask_scope(&mut self, scope: &Scope, url: &Url) {
        if let Err(refusal) = scope.admits(url) {
            self.refuse(refusal);
        }
        self.reasons.push(scope.explain(url));
    }

    fn ask_shape(&mut self, url: &Url) {
        match check_shape(url.as_str()) {
            Ok(()) => self.reasons.push("Its form is not that of a trap.".to_owned()),
            Err(refusal) => {
                self.refuse(refusal);
                self.reasons.push(format!("Its form is that of a trap ({}).", refusal.as_str()));
            }
        }
    }

    /// True where the address may be asked.
    async fn ask_guard(&mut self, options: &CrawlOptions, client: &Client, seeds: &[Url], url: &Url) -> bool {
        if options.allow_private {
            self.reasons.push("Private addresses are allowed.".to_owned());
            return true;
        }
        if private_hosts(client, std::slice::from_ref(url)).await.is_empty() {
            self.reasons.push("Its host is on a public address.".to_owned());
            return true;
        }
        if seeds.iter().any(|seed| seed.host_str() == url.host_str()) {
            self.reasons.push("Its host is on a private address, as a seed's.".to_owned());
            return true;
        }
        self.refuse(Refusal::PrivateAddress);
        self.reasons.push("Its host is on a private address, and no seed's is it.".to_owned());
        false
    }

    async fn ask_robots(&mut self, options: &CrawlOptions, client: &Client, url: &Url, is_admitted: bool) {
        let origin = host_key(url.as_str()).into_owned();
        let limit = options.connect_timeout + options.request_timeout;
        let token = product_token(&options.user_agent).to_owned();
        let admission = if is_admitted { Admission::All } else { Admission::Public };
        let policy = policy(client, &token, &origin, admission, limit).await;
        let Some(policy) = policy else {
            self.refuse(Refusal::RobotsUnreachable);
            self.reasons.push(format!("{origin}/robots.txt has no answer for now."));
            return;
        };
        let path = url.as_str().get(origin.len()..).unwrap_or("/");
        let verdict = policy.verdict(path);
        if !verdict.allowed {
            self.refuse(if policy.is_unreachable() { Refusal::RobotsUnreachable } else { Refusal::Robots });
        }
        let word = if verdict.allowed { "allows" } else { "disallows" };
        self.reasons.push(format!("{origin}/robots.txt {word} it for `{token}`: {}.", verdict.reason));
        if let Some(delay) = policy.delay() {
            self.reasons.push(format!("It asks for {} seconds between requests.", delay.delay.as_secs_f64()));
        }
    }

    fn ask_state(&mut self, options: &CrawlOptions, known: Option<&KnownEntry>) {
        let FrontierPlace::Folder { path, .. } = &options.frontier else { return };
        let folder = path.display();
        self.reasons.push(match known {
            None => format!("The state in {folder} does not know it."),
            Some(known) => {
                let mut sentence = format!("The state in {folder} knows it, at depth {}: {}", known.depth, known.state);
                if let Some(status) = known.status {
                    let _ = write!(sentence, " with status {status}");
                }
                if let Some(reason) = &known.reason {
                    let _ = write!(sentence, " ({reason})");
                }
                if let Some(parent) = &known.parent {
                    let _ = write!(sentence, ", found on {parent}");
                }
                sentence.push('.');
                sentence
            }
        });
    }
}

/// The rules of an origin, fetched with their redirects.
async fn policy(
    client: &Client,
    token: &str,
    origin: &str,
    admission: Admission,
    limit: Duration,
) -> Option<Arc<Policy>> {
    // The first answer counts: nobody waits here for a better one.
    let mut cache = RobotsCache::new(token, RobotsOptions { retries: 0, ..RobotsOptions::default() });
    let Asked::Fetch(mut address) = cache.ask(origin, SystemTime::now()) else { return None };
    loop {
        let request = Request { admission, ..Request::get(Url::parse(&address).ok()?) };
        let result = tokio::time::timeout(limit, client.fetch(request)).await;
        let answered = match &result {
            Ok(Ok(answer)) => cache.answer(origin, super::fetches::robots_answer(answer), SystemTime::now()),
            Ok(Err(error)) => {
                let message = error.to_string();
                let answer = robots::Answer::Error { timeout: error.kind() == "timeout", message: &message };
                cache.answer(origin, answer, SystemTime::now())
            }
            Err(_) => {
                let answer = robots::Answer::Error { timeout: true, message: "it took too long" };
                cache.answer(origin, answer, SystemTime::now())
            }
        };
        match answered {
            Answered::Known(policy) => return Some(policy),
            Answered::Follow(next) => address = next,
            Answered::Again(_) => return None,
        }
    }
}
