//! What is known of the crawl's addresses, and which come next: in memory, in one SQLite file, or in a Postgres that many share.

use std::future::Future;
use std::time::SystemTime;

use crate::entry::{Counts, Entry, EntryId, NewEntry, Visit};

/// Why a frontier can't go on; what was recorded before is kept.
#[derive(Debug, thiserror::Error)]
pub enum FrontierError {
    /// The state is of another crawl, of another version, or no state at all.
    #[error("{0}")]
    Unusable(String),
    /// The store fails (a full disk, a database that is gone): the crawl may be resumed later.
    #[error("{0}")]
    Store(String),
    /// The store is away for now; the call may be repeated.
    #[error("{0}")]
    Away(String),
}

/// What may be handed out.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// At most so many entries.
    pub count: usize,
    /// At most so many of one host.
    pub per_host: usize,
    /// Hosts (`scheme://host:port`) that have enough for now.
    pub full_hosts: &'a [String],
    /// The time: entries that are to be tried again later are left out.
    pub now: SystemTime,
}

/// The addresses of a crawl. One engine uses it; several processes may share one store.
///
/// Calls return when the frontier has taken what they say; [`Frontier::flush`] returns when it is kept.
pub trait Frontier: Send + 'static {
    /// Adds addresses that are not known yet, and returns which of them were new, in order.
    ///
    /// # Errors
    /// See [`FrontierError`]; nothing was added then.
    fn add(&mut self, entries: Vec<NewEntry>) -> impl Future<Output = Result<Vec<bool>, FrontierError>> + Send;

    /// Hands out entries that may be fetched now: the least deep first, hosts in turn.
    ///
    /// # Errors
    /// See [`FrontierError`].
    fn take(&mut self, wanted: Wanted<'_>) -> impl Future<Output = Result<Vec<Entry>, FrontierError>> + Send;

    /// Records visits, each as a whole or not at all, and returns how many of their links were new.
    ///
    /// # Errors
    /// See [`FrontierError`].
    fn record(&mut self, visits: Vec<Visit>) -> impl Future<Output = Result<u64, FrontierError>> + Send;

    /// Gives entries back that were taken and not tried.
    ///
    /// # Errors
    /// See [`FrontierError`].
    fn give_back(&mut self, entries: Vec<EntryId>) -> impl Future<Output = Result<(), FrontierError>> + Send;

    /// Waits until all that was recorded is kept (and exported, where the frontier exports items).
    ///
    /// # Errors
    /// See [`FrontierError`].
    fn flush(&mut self) -> impl Future<Output = Result<(), FrontierError>> + Send;

    /// How many entries there are in each state. Of a shared store: of all who share it.
    ///
    /// # Errors
    /// See [`FrontierError`].
    fn counts(&mut self) -> impl Future<Output = Result<Counts, FrontierError>> + Send;

    /// When the next queued entry may be fetched, where none may now: a retry, or another process's lease that ends.
    ///
    /// # Errors
    /// See [`FrontierError`].
    fn next_due(&mut self) -> impl Future<Output = Result<Option<SystemTime>, FrontierError>> + Send;
}
