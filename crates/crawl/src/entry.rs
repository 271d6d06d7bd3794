//! What the frontier keeps of an address: the entry, how it was come by, and what became of it.

use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;
use crate::url::Fingerprint;

/// An entry's number in its frontier; entries that were found first have lower ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EntryId(pub u64);

/// What is done with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EntryKind {
    /// It is a page: delivered, and its links followed.
    Page,
    /// It is a sitemap: its addresses are added, nothing is delivered.
    Sitemap,
}

/// What a request has besides its address, where a program asked for more than a GET.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestParts {
    /// The method; empty for GET.
    pub method: String,
    /// Headers of this request alone, in order.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
    /// JSON that comes back with the page, for the program; empty for none.
    pub data: String,
}

/// What a server gave for asking later whether a page has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    /// The `ETag` header, as sent.
    pub etag: Option<String>,
    /// The `Last-Modified` header, as sent.
    pub last_modified: Option<String>,
}

/// An address that was found, before the frontier has looked whether it is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// The address as it will be requested: a whole WHATWG URL without fragment.
    pub url: String,
    /// The hash of its canonical form, by which it is known (and of method and body, where they matter).
    pub fingerprint: Fingerprint,
    /// How many links it is away from a seed.
    pub depth: u32,
    /// The address of the page that it was found on; none for a seed.
    pub parent: Option<Arc<str>>,
    /// What to do with the answer.
    pub kind: EntryKind,
    /// What the request has besides its address.
    pub request: Option<Box<RequestParts>>,
}

/// An address that the frontier has handed out: nobody else gets it until it is recorded or its lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number in the frontier.
    pub id: EntryId,
    /// The address to request.
    pub url: String,
    /// The hash that it is known by.
    pub fingerprint: Fingerprint,
    /// How many links it is away from a seed.
    pub depth: u32,
    /// The address of the page that it was found on.
    pub parent: Option<Arc<str>>,
    /// What to do with the answer.
    pub kind: EntryKind,
    /// How often it has been tried before.
    pub tries: u32,
    /// What the last visit's answer gave for asking whether it changed.
    pub validators: Validators,
    /// What the request has besides its address.
    pub request: Option<Box<RequestParts>>,
}

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryState {
    /// It was answered, with this status, and everything that follows from it is recorded.
    Done(u16),
    /// It was answered and its links are recorded; the program has its page and has not said yet what it made of it.
    /// After a crash it is fetched again.
    Delivered(u16),
    /// It could not be had; the reason in words.
    Failed(String),
    /// It was not asked for, or its answer not taken.
    Refused(Refusal),
    /// It is to be tried again, not before the time; the reason in words.
    Retry(SystemTime, String),
}

/// One item that a program or the declared fields made of a page: a JSON object in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The JSON text, without a line feed.
    pub json: String,
}

/// What one visit changes in the frontier: recorded as a whole or not at all.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The entry that was visited.
    pub entry: EntryId,
    /// What became of it.
    pub state: EntryState,
    /// The address after redirects, where it is another one; already known by its fingerprint from now on.
    pub final_url: Option<(String, Fingerprint)>,
    /// What the answer gave for asking whether it changed.
    pub validators: Validators,
    /// The addresses found on it which the scope admits, in the order of the page.
    pub links: Vec<NewEntry>,
    /// What was made of it.
    pub items: Vec<Item>,
    /// Its records for a web archive, as `sink::archive_page` gives them; empty where none is written.
    pub archived: Vec<u8>,
}

impl Visit {
    /// A visit that changes nothing but the entry's state.
    pub fn new(entry: EntryId, state: EntryState) -> Self {
        Self {
            entry,
            state,
            final_url: None,
            validators: Validators::default(),
            links: Vec::new(),
            items: Vec::new(),
            archived: Vec::new(),
        }
    }
}

/// How many entries the frontier has in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Known and not handed out, those to be tried again included.
    pub queued: u64,
    /// Handed out.
    pub leased: u64,
    /// Answered, and recorded in full.
    pub done: u64,
    /// Not to be had.
    pub failed: u64,
    /// Refused.
    pub refused: u64,
}
