//! What is known of the crawl's addresses, and which come next: in memory, in one SQLite file, or in a Postgres that many share.

mod any;
mod bloom;
mod book;
mod filter;
mod host;
mod identity;
mod keeper;
mod local;
mod postgres;
mod seen;
mod sqlite;
mod store;

use std::future::Future;
use std::time::{Duration, SystemTime};

pub use any::{AnyFrontier, FrontierSettings, open};
pub use filter::KnownFilter;
pub use identity::Identity;
pub use sqlite::{KnownEntry, look_up};

use crate::entry::{Counts, Entry, EntryId, NewEntry, Visit};

/// Why a frontier can't go on; what was recorded before is kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrontierError {
    /// The state is of another crawl, of another version, or no state at all.
    #[error("{0}")]
    Unusable(String),
    /// The store fails (a full disk, a database that is gone): the crawl may be resumed later.
    #[error("{0}")]
    Store(String),
    /// The store is away for now, and the call has waited before it tried again. `add`, `take`, `counts` and
    /// `next_due` may be repeated; what `record`, `give_back` and `keep_hosts` were given is held, and the next call
    /// of any kind brings it first.
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
    /// Hosts (as `url::host_key` gives them) that have enough for now.
    pub full_hosts: &'a [String],
    /// The time: entries that are to be tried again later are left out.
    pub now: SystemTime,
}

/// What is kept of a host besides its entries, so that whoever goes on with it does so politely. To keep none of something is to
/// leave what was kept of it before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostState {
    /// The host, as `url::host_key` gives it.
    pub host: String,
    /// Before this time it must not be asked.
    pub next_allowed: Option<SystemTime>,
    /// Its Crawl-delay.
    pub crawl_delay: Option<Duration>,
    /// What the engine keeps of its robots.txt, in the engine's own form.
    pub robots: Option<String>,
    /// What it has counted of addresses that may be traps, in the engine's own form.
    pub traps: Option<String>,
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

    /// Records visits, each as a whole or not at all, and returns how many of their links were new. Visits of entries
    /// that are not handed out (any more) are left out.
    ///
    /// # Errors
    /// See [`FrontierError`].
    fn record(&mut self, visits: Vec<Visit>) -> impl Future<Output = Result<u64, FrontierError>> + Send;

    /// Gives entries back that were taken and not tried.
    ///
    /// # Errors
    /// See [`FrontierError`].
    fn give_back(&mut self, entries: Vec<EntryId>) -> impl Future<Output = Result<(), FrontierError>> + Send;

    /// Keeps what is to be known of hosts by whoever goes on with them.
    ///
    /// # Errors
    /// See [`FrontierError`].
    fn keep_hosts(&mut self, hosts: Vec<HostState>) -> impl Future<Output = Result<(), FrontierError>> + Send;

    /// What was kept of the hosts that came to this frontier since the last call (by resuming, or with a lease); to be
    /// called after `take`, before its entries are fetched.
    fn new_hosts(&mut self) -> Vec<HostState>;

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

    /// When something becomes due by itself, where [`Frontier::take`] gives nothing: a retry, or another process's lease that
    /// ends. None where nothing waits for a time.
    ///
    /// # Errors
    /// See [`FrontierError`].
    fn next_due(&mut self) -> impl Future<Output = Result<Option<SystemTime>, FrontierError>> + Send;
}
