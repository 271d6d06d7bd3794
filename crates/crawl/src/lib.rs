#![forbid(unsafe_code)]
//! A polite, resumable web crawler: from socket to store without Python.
//!
//! `README.md` beside this crate holds the way of a page through the modules, what each of them may know, and the argument
//! that no page is lost and no item exported twice.

pub mod engine;
pub mod entry;
pub mod extract;
pub mod fetch;
pub mod frontier;
pub mod page;
pub mod politeness;
pub mod refusal;
pub mod robots;
pub mod sink;
pub mod url;

pub use entry::{Counts, Entry, EntryId, EntryKind, EntryState, Item, NewEntry, RequestParts, Validators, Visit};
pub use page::{Page, PageError};
pub use refusal::Refusal;
