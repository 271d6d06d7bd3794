//! One request outside a crawl, with its redirects, as a page.

use std::sync::Arc;

use bytes::Bytes;

use crate::engine::crawl::runtime;
use crate::engine::prepare::{clients, seed_url};
use crate::engine::redirects::HOP_LIMIT;
use crate::engine::settle::page_links;
use crate::engine::{CrawlError, CrawlOptions};
use crate::entry::EntryId;
use crate::extract::{self, Source};
use crate::fetch::{Admission, Answer, Client, Request};
use crate::page::{Page, PageError};
use crate::url::{Addresses, Fingerprints, Scope, Url};

/// A request that a person asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchRequest {
    /// The address; `http://` where it names no scheme.
    pub url: String,
    /// The method; empty for GET.
    pub method: String,
    /// More headers, in order.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
    /// False to take a redirect for the answer.
    pub follow: bool,
}

impl Default for FetchRequest {
    fn default() -> Self {
        Self { url: String::new(), method: String::new(), headers: Vec::new(), body: Vec::new(), follow: true }
    }
}

/// Does one request. A person asks for it: neither robots.txt nor the guard against private addresses is asked.
///
/// # Errors
/// Where the address or an option is wrong; a request that fails is a page with an error.
///
/// # Blocking
/// Until the answer is there. Not to be called within a tokio runtime.
#[allow(clippy::needless_pass_by_value, reason = "a request is made for one use")]
pub fn fetch_one(options: &CrawlOptions, request: FetchRequest) -> Result<Page, CrawlError> {
    let mut url = seed_url(&request.url)?;
    url.set_fragment(None);
    let client = clients(options, std::slice::from_ref(&url), 1)?.remove(0);
    let mut page = empty(&url);
    let first = prepared(&request, url.clone(), true)?;
    let (url, result) = runtime()?.block_on(followed(&client, &request, first, url));
    page.final_url = Arc::from(url.as_str());
    match result {
        Ok(answer) => fill(&mut page, &url, answer),
        Err(error) => page.error = Some(error),
    }
    Ok(page)
}

fn prepared(request: &FetchRequest, url: Url, with_body: bool) -> Result<Request, CrawlError> {
    let method = if request.method.is_empty() || !with_body { "GET" } else { &request.method };
    let mut prepared = Request::new(method, url).map_err(|error| CrawlError::Options(error.to_string()))?;
    let headers = request.headers.iter();
    prepared.headers.extend(headers.map(|(name, value)| (name.clone(), Bytes::from(value.clone()))));
    if with_body && !request.body.is_empty() {
        prepared.body = request.body.clone().into();
    }
    prepared.admission = Admission::All;
    Ok(prepared)
}

/// The last answer, and where it came from.
async fn followed(
    client: &Client,
    request: &FetchRequest,
    mut next: Request,
    mut url: Url,
) -> (Url, Result<Answer, PageError>) {
    let mut with_body = true;
    for _ in 0..=HOP_LIMIT {
        let answer = match client.fetch(next).await {
            Ok(answer) => answer,
            Err(error) => return (url, Err(error.into())),
        };
        let location = answer.headers.get("location").filter(|_| request.follow);
        let (301..=303 | 307 | 308, Some(location)) = (answer.status, location) else {
            return (url, Ok(answer));
        };
        let Ok(target) = url.join(&String::from_utf8_lossy(location)) else {
            return (url, Ok(answer));
        };
        with_body &= matches!(answer.status, 307 | 308) || request.method.eq_ignore_ascii_case("HEAD");
        url = target;
        next = match prepared(request, url.clone(), with_body) {
            Ok(next) => next,
            Err(error) => return (url, Err(PageError { kind: "protocol", message: error.to_string() })),
        };
    }
    let message = format!("{url} is the end of more than {HOP_LIMIT} redirects");
    (url, Err(PageError { kind: "protocol", message }))
}

fn empty(url: &Url) -> Page {
    let address: Arc<str> = Arc::from(url.as_str());
    Page::without_answer(EntryId(0), Arc::clone(&address), address)
}

fn fill(page: &mut Page, url: &Url, answer: Answer) {
    let content_type = answer.headers.text("content-type");
    if extract::is_html(content_type, &answer.body) {
        let source = Source { body: &answer.body, content_type, url: url.as_str(), agent: "", media: false };
        if let Ok(scope) = Scope::new(&crate::engine::ScopeKind::Host, std::slice::from_ref(url), &[], &[]) {
            let addresses = Addresses::new(Fingerprints::new([0; 16]), Arc::new(scope), true, 256);
            let extracted = extract::page(&source, &addresses);
            page.links = page_links(&extracted);
            page.title = extracted.title;
            page.charset = Some(extracted.charset);
        }
    } else {
        page.charset = extract::charset(&answer.body, content_type);
    }
    page.status = answer.status;
    page.headers = answer.headers.into_inner();
    page.body = answer.body;
    page.elapsed = answer.elapsed;
    page.wire_bytes = answer.wire_bytes;
}
