//! What a program made of its pages, on its way back to the engine.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use threefold_crawl::engine::Crawl;
use threefold_crawl::sink::Made;
use threefold_crawl::{Item, Page, Refusal};
use url::Url;

use super::page::PyPage;
use super::request::PyRequest;

/// What was made of one page: items as JSON, requests, and the error of the program's function.
pub(super) type Outcome = (Vec<String>, Vec<Py<PyRequest>>, Option<String>);

/// An address as a page means it, without its fragment.
///
/// # Errors
/// A sentence: it is none.
pub(super) fn join(page: &Page, url: &str) -> Result<String, String> {
    let joined = Url::parse(&page.final_url).and_then(|base| base.join(url)).or_else(|_odd| Url::parse(url));
    let mut joined = joined.map_err(|error| format!("{url:?} is no address: {error}"))?;
    joined.set_fragment(None);
    Ok(joined.into())
}

/// What the engine is to be told of a page; nothing was made of it where there is no outcome. A request whose address is none is
/// an error of the page.
pub(super) fn made(crawl: &Crawl, page: &PyPage, outcome: Option<&Outcome>) -> Made {
    let page = &page.page;
    let Some((items, requests, error)) = outcome else {
        return Made { entry: Some(page.entry), ..Made::default() };
    };
    let mut made = Made { entry: Some(page.entry), error: error.clone(), ..Made::default() };
    made.items = items.iter().map(|json| Item { json: json.clone() }).collect();
    for request in requests {
        if let Err(sentence) = add(crawl, &mut made, Some(page), request.get()) {
            made.error.get_or_insert(sentence);
        }
    }
    made
}

/// Requests that belong to no answer.
///
/// # Errors
/// `ValueError`: an address is none.
pub(super) fn requests(crawl: &Crawl, page: Option<&Page>, requests: &[Py<PyRequest>]) -> PyResult<Made> {
    let mut made = Made::default();
    for request in requests {
        add(crawl, &mut made, page, request.get()).map_err(PyValueError::new_err)?;
    }
    Ok(made)
}

/// Adds a request. One that the scope or another rule refuses is counted by the engine and left out.
fn add(crawl: &Crawl, made: &mut Made, page: Option<&Page>, request: &PyRequest) -> Result<(), String> {
    let (parts, parent) = (request.parts.as_deref(), page.map(|page| &page.final_url));
    let depth = page.map_or(0, |page| page.depth + 1);
    let is_absolute = request.url.starts_with("http://") || request.url.starts_with("https://");
    let entry = match page {
        Some(page) if !is_absolute => crawl.new_entry(&join(page, &request.url)?, depth, parent, parts),
        _ => crawl.new_entry(&request.url, depth, parent, parts),
    };
    match entry {
        Ok(entry) => made.requests.extend(entry),
        Err(Refusal::NotFetchable) => {
            Url::parse(&request.url).map(drop).map_err(|error| format!("{:?} is no address: {error}", request.url))?;
        }
        Err(_refused) => {}
    }
    Ok(())
}
