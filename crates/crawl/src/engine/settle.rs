//! What becomes of an entry when its request has an answer, or has none.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::SystemTime;

use crate::engine::job::PageJob;
use crate::engine::plan::Plan;
use crate::engine::redirects::{Hop, Way, hop};
use crate::engine::tally::Count;
use crate::entry::{EntryKind, EntryState, Item, Validators, Visit};
use crate::extract::{self, Extracted, Link, Source};
use crate::fetch::{Answer, FetchError};
use crate::page::{Page, PageError};
use crate::politeness::{self, Outcome, parse_retry_after};
use crate::refusal::Refusal;
use crate::robots::Directives;
use crate::sink::{self, OutputFormat};

/// What follows from a request.
pub(crate) enum Next {
    /// The entry is through: to be recorded, and its page delivered where there is one.
    Visited(Box<Visit>, Option<Box<Page>>),
    /// The entry of this depth is to be tried again.
    Later(Box<Visit>, u32),
    /// The entry is through: it led to another page, by this way.
    Led(Box<Visit>, Box<Way>),
    /// The same entry asks once more, at another address.
    Again(Box<PageJob>),
}

/// A request's end.
pub(crate) struct Settled {
    /// What politeness learns from it.
    pub(crate) outcome: Outcome,
    /// What is counted.
    pub(crate) count: Count,
    /// The hash of the body, where it may be one that a trap repeats.
    pub(crate) body_hash: Option<u64>,
    /// What follows.
    pub(crate) next: Next,
}

impl Plan {
    /// What follows from an answer.
    pub(crate) fn settle(&self, job: Box<PageJob>, result: Result<Answer, FetchError>) -> Settled {
        match result {
            Ok(answer) => self.settle_answer(job, answer),
            Err(error) => self.settle_failure(job, error),
        }
    }

    fn settle_answer(&self, job: Box<PageJob>, answer: Answer) -> Settled {
        let now = SystemTime::now();
        let retry_after = answer.headers.get("retry-after").and_then(|value| parse_retry_after(value, now));
        let outcome = Outcome::of_status(answer.status, answer.first_byte, retry_after);
        let mut count = Count { status: Some(answer.status), bytes: answer.body.len() as u64, ..Count::default() };
        if let (301..=303 | 307 | 308, Some(location)) = (answer.status, answer.headers.get("location")) {
            let location = String::from_utf8_lossy(location).into_owned();
            let next = self.redirected(job, &answer, &location, &mut count);
            return Settled { outcome, count, body_hash: None, next };
        }
        let delay = self.retry.after_status(answer.status, job.entry.tries, retry_after, chance(&job));
        if let Some(delay) = delay {
            let reason = format!("{} answered with status {}", job.url(), answer.status);
            let next = retried(&job, now + delay, reason);
            return Settled { outcome, count, body_hash: None, next };
        }
        let body_hash =
            (answer.status == 200 && !answer.body.is_empty()).then(|| self.hasher.hash_one(&answer.body[..]));
        let next = self.answered(job, answer, &mut count);
        Settled { outcome, count, body_hash, next }
    }

    fn settle_failure(&self, job: Box<PageJob>, error: FetchError) -> Settled {
        let mut count = Count::default();
        let error = PageError::from(error);
        let refusal = match error.kind {
            "private_address" => Some(Refusal::PrivateAddress),
            "too_large" => Some(Refusal::TooLarge),
            "request" => Some(Refusal::NotFetchable),
            _ => None,
        };
        let kind = match refusal {
            Some(Refusal::TooLarge) => politeness::OutcomeKind::Answered(200),
            Some(_) => politeness::OutcomeKind::Dropped,
            None => politeness::OutcomeKind::Failed,
        };
        let outcome = Outcome { latency: None, kind };
        let next = if let Some(refusal) = refusal {
            count.refusals.count(refusal);
            Next::Visited(Box::new(Visit::new(job.entry.id, EntryState::Refused(refusal))), None)
        } else if let Some(delay) = self.retry.after_error(error.kind, job.entry.tries, chance(&job)) {
            retried(&job, SystemTime::now() + delay, error.message)
        } else {
            count.error = Some((error.kind, error.message.clone()));
            let visit = Box::new(Visit::new(job.entry.id, EntryState::Failed(error.message.clone())));
            let page = self.needs_pages().then(|| Box::new(failed_page(*job, error)));
            Next::Visited(visit, page)
        };
        Settled { outcome, count, body_hash: None, next }
    }

    fn redirected(&self, mut job: Box<PageJob>, answer: &Answer, location: &str, count: &mut Count) -> Next {
        let id = job.entry.id;
        let refuse = |refusal: Refusal, count: &mut Count| {
            count.refusals.count(refusal);
            Next::Visited(Box::new(Visit::new(id, EntryState::Refused(refusal))), None)
        };
        let source = job.url();
        let Some(target) = self.addresses.join(source, location) else {
            return refuse(Refusal::NotFetchable, count);
        };
        if let Err(refusal) = self.verdict(&target) {
            if refusal == Refusal::OutOfScope && job.entry.parent.is_none() {
                let sentence = format!("{source} leads to {}, which is outside the scope: begin there", target.url);
                count.dead_end = Some(sentence);
            }
            return refuse(refusal, count);
        }
        let (mut passed, mut claimed, has_cookie, is_get) = match &job.way {
            None => (Vec::new(), Vec::new(), false, false),
            Some(way) => (way.passed.clone(), way.claimed.clone(), way.has_cookie, way.is_get),
        };
        passed.push(source.into());
        claimed.push(job.fingerprint());
        let has_cookie = has_cookie || answer.headers.get("set-cookie").is_some();
        let is_get = is_get || !matches!(answer.status, 307 | 308);
        let hop = hop(&passed, &claimed, has_cookie, (&target.url, target.fingerprint));
        let way = Box::new(Way { target, passed, claimed, has_cookie, is_get });
        match hop {
            Hop::Loop => refuse(Refusal::RedirectLoop, count),
            Hop::Again => {
                job.way = Some(way);
                job.is_again = true;
                Next::Again(job)
            }
            Hop::Onward => {
                let mut visit = Box::new(Visit::new(id, EntryState::Done(answer.status)));
                visit.links.extend(self.led(&job.entry, &way));
                Next::Led(visit, way)
            }
        }
    }

    fn answered(&self, job: Box<PageJob>, answer: Answer, count: &mut Count) -> Next {
        let mut visit = Visit::new(job.entry.id, EntryState::Done(answer.status));
        visit.validators = Validators {
            etag: answer.headers.text("etag").map(str::to_owned),
            last_modified: answer.headers.text("last-modified").map(str::to_owned),
        };
        if job.is_again {
            visit.final_url = Some((job.url().to_owned(), job.fingerprint()));
        }
        if job.entry.kind == EntryKind::Sitemap {
            if let (200..=299, Ok(sitemap)) = (answer.status, extract::sitemap(&answer.body)) {
                visit.links = self.listed(&sitemap, job.entry.depth, job.url(), &mut count.refusals);
            }
            return Next::Visited(Box::new(visit), None);
        }
        count.is_page = true;
        let content_type = answer.headers.text("content-type");
        let mut extracted = extract::is_html(content_type, &answer.body).then(|| {
            let source = Source { body: &answer.body, content_type, url: job.url(), agent: &self.token, media: false };
            extract::page(&source, &self.addresses)
        });
        if let Some(extracted) = &mut extracted {
            if answer.headers.get("x-robots-tag").is_some() {
                let values = answer.headers.get_all("x-robots-tag");
                extracted.robots.no_follow |= Directives::from_header(values, &self.token).nofollow;
            }
            if (200..300).contains(&answer.status) {
                visit.links = self.new_links(extracted, job.entry.depth, job.url(), &mut count.refusals);
            }
        }
        if answer.status >= 500 || matches!(answer.status, 408 | 425 | 429) {
            let message = format!("{} answered with status {}", job.url(), answer.status);
            count.error = Some(("status", message.clone()));
            visit.state = EntryState::Failed(message);
        }
        let page = self.needs_pages().then(|| Box::new(self.page(*job, answer, extracted, &visit.state)));
        if let Some(page) = &page {
            self.make_items(page, &mut visit);
            count.items = visit.items.len() as u64;
        }
        Next::Visited(Box::new(visit), page)
    }

    fn make_items(&self, page: &Page, visit: &mut Visit) {
        // What has not changed has been exported before.
        if !self.makes_items() || page.status == 304 {
            return;
        }
        if let Some(OutputFormat::Warc { gzip }) = self.output {
            visit.archived = sink::archive_page(page, SystemTime::now(), &self.hash_key, gzip);
        } else if self.fields.is_some() {
            // An answer that is no page of the site, and what is no HTML, has no values.
            let fields = page.fields.as_ref().filter(|_| (200..300).contains(&page.status));
            visit.items.extend(fields.map(|fields| Item { json: with_url(&page.url, fields) }));
        } else if self.output.is_some() {
            visit.items.push(sink::page_row(page));
        }
    }

    fn page(&self, job: PageJob, answer: Answer, extracted: Option<Extracted>, state: &EntryState) -> Page {
        let content_type = answer.headers.text("content-type");
        let charset = match &extracted {
            Some(extracted) => Some(extracted.charset),
            None => extract::charset(&answer.body, content_type),
        };
        let fields = match (&self.fields, &extracted) {
            (Some(fields), Some(_)) => Some(fields.read(&extract::decode(&answer.body, charset, content_type))),
            _ => None,
        };
        let (links, title) = extracted.map_or_else(Default::default, |extracted| {
            let links = page_links(&extracted);
            (links, extracted.title)
        });
        let error = match state {
            EntryState::Failed(message) => Some(PageError { kind: "status", message: message.clone() }),
            _ => None,
        };
        let mut page = empty_page(job);
        page.status = answer.status;
        page.headers = answer.headers.into_inner();
        page.body = answer.body;
        page.elapsed = answer.elapsed;
        page.wire_bytes = answer.wire_bytes;
        Page { links, title, charset, fields, error, ..page }
    }
}

/// The links that a page is delivered with: those of it that are addresses to go to.
pub(crate) fn page_links(extracted: &Extracted) -> Vec<String> {
    let is_page = |link: &&Link| link.kind.is_navigation() && link.target.verdict != Err(Refusal::NotFetchable);
    extracted.links.iter().filter(is_page).map(|link| String::from(&*link.target.url)).collect()
}

fn retried(job: &PageJob, time: SystemTime, reason: String) -> Next {
    Next::Later(Box::new(Visit::new(job.entry.id, EntryState::Retry(time, reason))), job.entry.depth)
}

fn empty_page(job: PageJob) -> Page {
    let PageJob { entry, way, .. } = job;
    let (url, final_url): (Arc<str>, Arc<str>) = if let Some(way) = way {
        (Arc::from(way.passed.first().map_or(&*entry.url, |first| first)), Arc::from(&*way.target.url))
    } else {
        let url = Arc::from(entry.url);
        (Arc::clone(&url), url)
    };
    Page {
        depth: entry.depth,
        parent: entry.parent,
        request: entry.request,
        ..Page::without_answer(entry.id, url, final_url)
    }
}

fn failed_page(job: PageJob, error: PageError) -> Page {
    Page { error: Some(error), ..empty_page(job) }
}

/// The declared fields with the page's address before them.
fn with_url(url: &str, fields: &str) -> String {
    let Ok(address) = serde_json::to_string(url) else { return fields.to_owned() };
    match fields.strip_prefix('{') {
        Some("}") => format!("{{\"url\":{address}}}"),
        Some(_) if fields.contains("\"url\":") => fields.to_owned(),
        Some(rest) => format!("{{\"url\":{address},{rest}"),
        None => fields.to_owned(),
    }
}

/// A number from 0 to 1 for the jitter of a retry.
#[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
fn chance(job: &PageJob) -> f64 {
    let bits = RandomState::new().hash_one((job.entry.id, job.entry.tries)) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}
