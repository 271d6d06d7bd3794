//! The fetches: each takes a job, does it, hands in what came of it, and takes the next.

use std::mem;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;

use crate::engine::desk::{Desk, Given};
use crate::engine::job::{Job, PageJob};
use crate::engine::plan::Plan;
use crate::engine::settle::{Next, Settled};
use crate::engine::shared::Shared;
use crate::entry::EntryState;
use crate::fetch::{Admission, Answer, Client, ErrorKind, FetchError, Request};
use crate::politeness::{Outcome, OutcomeKind, Ticket, parse_retry_after};
use crate::robots;
use crate::sink::Sink;
use crate::url::Url;

/// One fetch: does one job after the other until the crawl is over.
pub(crate) async fn run(shared: Arc<Shared>, client: Client, sink: Option<Arc<dyn Sink>>) {
    let mut given = shared.next(|_| ());
    loop {
        match given {
            Given::End => return,
            Given::Nothing => {
                shared.work.notified().await;
                given = shared.next(|_| ());
                if matches!(given, Given::Job(..)) {
                    // Whoever woke this one knew of something to do, not of how much.
                    shared.work.notify_one();
                }
            }
            Given::Job(ticket, Job::Robots { origin, address }) => {
                given = ask_robots(&shared, &client, ticket, &origin, &address).await;
                // The host's pages may start now, as many as it is asked for at a time.
                shared.work.notify_one();
            }
            Given::Job(ticket, Job::Page(job)) => given = visit(&shared, &client, sink.as_deref(), ticket, job).await,
        }
    }
}

/// Visits a page: asks for it, hands in what came of it, delivers it.
async fn visit(shared: &Shared, client: &Client, sink: Option<&dyn Sink>, ticket: Ticket, job: Box<PageJob>) -> Given {
    let plan = &shared.plan;
    let url = job.url().to_owned();
    let result = match plan.request(&job) {
        Ok(request) => client.fetch(request).await,
        Err(error) => Err(error),
    };
    let Settled { outcome, count, body_hash, next } = plan.settle(job, result);
    let finish = |desk: &mut Desk| {
        desk.finish(ticket, outcome, Instant::now());
        if let Some(hash) = body_hash {
            desk.traps.body(&url, hash);
        }
        desk.count(plan, &url, count);
    };
    let (mut visit, page) = match next {
        Next::Visited(visit, page) => (*visit, page),
        Next::Later(visit, depth) => {
            return shared.next(|desk| {
                finish(desk);
                desk.retrying.insert(visit.entry, depth);
                desk.record(*visit);
            });
        }
        Next::Led(visit, way) => {
            return shared.next(|desk| {
                finish(desk);
                desk.ways.remember(way);
                desk.record(*visit);
            });
        }
        Next::Again(job) => {
            return shared.next(|desk| {
                finish(desk);
                desk.put(job, SystemTime::now());
            });
        }
    };
    let (Some(page), Some(sink)) = (page, sink) else {
        return shared.next(|desk| {
            finish(desk);
            desk.record(visit);
        });
    };
    if plan.is_answered {
        let state = mem::replace(&mut visit.state, EntryState::Delivered(page.status));
        shared.change(|desk| {
            finish(desk);
            desk.open.insert(visit.entry, state);
            desk.record(visit);
        });
        sink.deliver(*page).await;
        return shared.next(|_| ());
    }
    // Delivered first and recorded then: what a dying process did not record is fetched, and delivered, again.
    shared.change(finish);
    sink.deliver(*page).await;
    shared.next(|desk| desk.record(visit))
}

/// Asks for a robots.txt.
async fn ask_robots(shared: &Shared, client: &Client, ticket: Ticket, origin: &str, address: &str) -> Given {
    let plan = &shared.plan;
    let result = match plan.robots_request(address) {
        Ok(request) => client.fetch(request).await,
        Err(error) => Err(error),
    };
    let now = SystemTime::now();
    let (outcome, answer, failure) = match result {
        Ok(answer) => {
            let retry_after = answer.headers.get("retry-after").and_then(|value| parse_retry_after(value, now));
            (Outcome::of_status(answer.status, answer.first_byte, retry_after), Some(answer), None)
        }
        // Of a file that is too large, its beginning counts.
        Err(FetchError { received: Some(answer), .. }) if answer.status == 200 => {
            (Outcome::of_status(200, answer.first_byte, None), Some(*answer), None)
        }
        Err(error) => {
            let kind = error.kind();
            let outcome = Outcome { latency: None, kind: OutcomeKind::Failed };
            (outcome, None, Some((kind, error.to_string())))
        }
    };
    shared.next(|desk| {
        desk.finish(ticket, outcome, Instant::now());
        match (&answer, failure) {
            (Some(answer), _) => desk.robots_answered(plan, origin, robots_answer(answer), now),
            (None, Some((kind, message))) => {
                let is_timeout = matches!(kind, "timeout" | "too_slow");
                let answer = robots::Answer::Error { timeout: is_timeout, message: &message };
                desk.robots_answered(plan, origin, answer, now);
                desk.tally.fail(kind, message);
            }
            (None, None) => {}
        }
    })
}

pub(crate) fn robots_answer(answer: &Answer) -> robots::Answer<'_> {
    robots::Answer::Status {
        status: answer.status,
        location: answer.headers.get("location"),
        retry_after: answer.headers.get("retry-after"),
        body: &answer.body,
    }
}

impl Plan {
    /// The request for a page.
    fn request(&self, job: &PageJob) -> Result<Request, FetchError> {
        let url = Url::parse(job.url())
            .map_err(|error| FetchError::new(ErrorKind::Request, format!("{}: {error}", job.url())))?;
        let admission = self.admission(&url);
        let mut request = match &job.entry.request {
            Some(parts) if !job.way.as_ref().is_some_and(|way| way.is_get) => {
                let method = if parts.method.is_empty() { "GET" } else { &parts.method };
                let mut request = Request::new(method, url)?;
                request.body = parts.body.clone().into();
                request
            }
            _ => Request::get(url),
        };
        if let Some(parts) = &job.entry.request {
            let headers = parts.headers.iter();
            request.headers.extend(headers.map(|(name, value)| (name.clone(), Bytes::from(value.clone()))));
        }
        if self.options.revisit {
            let validators = &job.entry.validators;
            let conditions = [("if-none-match", &validators.etag), ("if-modified-since", &validators.last_modified)];
            for (name, value) in conditions {
                if let Some(value) = value {
                    request.headers.push((name.to_owned(), Bytes::from(value.clone())));
                }
            }
        }
        request.admission = admission;
        Ok(request)
    }

    fn robots_request(&self, address: &str) -> Result<Request, FetchError> {
        let url =
            Url::parse(address).map_err(|error| FetchError::new(ErrorKind::Request, format!("{address}: {error}")))?;
        let admission = self.admission(&url);
        Ok(Request { admission, ..Request::get(url) })
    }

    fn admission(&self, url: &Url) -> Admission {
        let is_private =
            self.options.allow_private || url.host_str().is_some_and(|host| self.private_hosts.contains(host));
        if is_private { Admission::All } else { Admission::Public }
    }
}
