//! What a program made of its pages, on its way back to the engine.

use std::mem::take;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use threefold_crawl::engine::Crawl;
use threefold_crawl::sink::Made;
use threefold_crawl::{Item, Page, Refusal};
use url::Url;

use super::page::PyPage;
use super::request::{Asked, PyRequest};

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

/// An outcome that the engine can read without the interpreter.
pub(super) struct Told<'a> {
    items: Vec<String>,
    requests: Vec<Asked<'a>>,
    error: Option<String>,
}

impl<'a> Told<'a> {
    pub(super) fn new(py: Python<'a>, outcome: &'a mut Outcome) -> Self {
        let (items, requests, error) = outcome;
        let requests = requests.iter().map(|request| request.get().asked(py)).collect();
        Self { items: take(items), requests, error: error.take() }
    }

    /// What the engine is to be told of the page, and a sentence where the address of a request is none: an error of the page,
    /// where it has none yet.
    pub(super) fn made(self, crawl: &Crawl, page: &PyPage) -> (Made, Option<String>) {
        let page = &page.page;
        let mut made = Made { entry: Some(page.entry), error: self.error, ..Made::default() };
        made.items = self.items.into_iter().map(|json| Item { json }).collect();
        let mut odd = None;
        for request in self.requests {
            if let Err(sentence) = add(crawl, &mut made, Some(page), request) {
                odd.get_or_insert(sentence);
            }
        }
        let odd = odd.filter(|_| made.error.is_none());
        made.error = made.error.or_else(|| odd.clone());
        (made, odd)
    }
}

/// Requests that belong to no answer.
///
/// # Errors
/// `ValueError`: an address is none.
pub(super) fn requests(
    py: Python<'_>,
    crawl: &Crawl,
    page: Option<&Page>,
    requests: &[Py<PyRequest>],
) -> PyResult<Made> {
    let mut made = Made::default();
    for request in requests {
        add(crawl, &mut made, page, request.get().asked(py)).map_err(PyValueError::new_err)?;
    }
    Ok(made)
}

/// Adds a request. One that the scope or another rule refuses is counted by the engine and left out.
fn add(crawl: &Crawl, made: &mut Made, page: Option<&Page>, request: Asked<'_>) -> Result<(), String> {
    let (Asked { url, parts }, parent) = (request, page.map(|page| &page.final_url));
    let depth = page.map_or(0, |page| page.depth + 1);
    let is_absolute = url.starts_with("http://") || url.starts_with("https://");
    let entry = match page {
        Some(page) if !is_absolute => crawl.new_entry(&join(page, url)?, depth, parent, parts),
        _ => crawl.new_entry(url, depth, parent, parts),
    };
    match entry {
        Ok(entry) => made.requests.extend(entry),
        Err(Refusal::NotFetchable) => {
            Url::parse(url).map(drop).map_err(|error| format!("{url:?} is no address: {error}"))?;
        }
        Err(_refused) => {}
    }
    Ok(())
}
