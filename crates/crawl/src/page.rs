//! A fetched page, as a program gets it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::entry::{EntryId, RequestParts};

/// Why there is no answer; `kind` is one of the names under which the report counts errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageError {
    /// The kind: `dns`, `connect`, `tls`, `timeout`, `too_slow`, `too_large`, `decompression`, `protocol`, `closed`, `status`.
    pub kind: &'static str,
    /// What was being done, to what, and what happened.
    pub message: String,
}

/// One visited address with its answer or its error.
#[derive(Debug, Clone)]
pub struct Page {
    /// The entry in the frontier that it answers.
    pub entry: EntryId,
    /// The address that was asked for.
    pub url: Arc<str>,
    /// The address that answered, after redirects.
    pub final_url: Arc<str>,
    /// The status; 0 where there was no answer.
    pub status: u16,
    /// The answer's headers in order, names in lower case; values as bytes, as servers send them.
    pub headers: Vec<(String, Bytes)>,
    /// The body, decompressed.
    pub body: Bytes,
    /// The links that were found, absolute and without fragment, each once, in order; whether they are followed or not.
    pub links: Vec<String>,
    /// The text of the title, white space collapsed.
    pub title: Option<String>,
    /// The name of the encoding in the WHATWG standard that the body is decoded with; none for what is no text.
    pub charset: Option<&'static str>,
    /// The values of the declared fields as a JSON object; none where no fields are declared.
    pub fields: Option<String>,
    /// How many links it is away from a seed.
    pub depth: u32,
    /// The address of the page that it was found on.
    pub parent: Option<Arc<str>>,
    /// From the start of the (last) request to the end of the body.
    pub elapsed: Duration,
    /// Bytes that came over the wire for the body.
    pub wire_bytes: u64,
    /// What the request had besides its address.
    pub request: Option<Box<RequestParts>>,
    /// Why there is no answer.
    pub error: Option<PageError>,
}

impl Page {
    /// A page of which nothing is known yet but its addresses.
    #[must_use]
    pub fn without_answer(entry: EntryId, url: Arc<str>, final_url: Arc<str>) -> Self {
        Self {
            entry,
            url,
            final_url,
            status: 0,
            headers: Vec::new(),
            body: Bytes::new(),
            links: Vec::new(),
            title: None,
            charset: None,
            fields: None,
            depth: 0,
            parent: None,
            elapsed: Duration::ZERO,
            wire_bytes: 0,
            request: None,
            error: None,
        }
    }
}
