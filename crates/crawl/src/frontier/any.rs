//! Opens the frontier that a crawl's options name.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::filter::KnownFilter;
use super::local::{Budget, LocalFrontier};
use super::postgres::PostgresFrontier;
use super::sqlite::{Database, Way};
use super::{Frontier, FrontierError, HostState, Identity, Wanted};
use crate::engine::{FrontierPlace, OutputFile};
use crate::entry::{Counts, Entry, EntryId, NewEntry, Visit};
use crate::sink::Exporter;

/// The table of some 3.6 million addresses.
pub(super) const SEEN_BYTES: usize = 72 << 20;
/// Queued entries in memory: some 30 MiB of them where there is no database yet, a quarter of that where there is.
const HELD_WITHOUT_DATABASE: usize = 1 << 18;
const HELD_WITH_DATABASE: usize = 1 << 16;
/// What is read for a host at once.
const READ_COUNT: usize = 512;

/// How a frontier is opened, besides where it is.
#[derive(Debug, Clone)]
pub struct FrontierSettings {
    /// Random bytes, which become the key of the fingerprints of a new crawl. The key in force is
    /// [`AnyFrontier::hash_key`].
    pub hash_key: [u8; 16],
    /// How much memory known addresses may take; beyond it the store is asked.
    pub seen_bytes: usize,
    /// The file that items are exported to.
    pub output: Option<OutputFile>,
    /// True to visit again what was visited, where nothing is left to visit.
    pub revisit: bool,
    /// How long a host belongs to one of several crawls without being renewed.
    pub lease: Duration,
}

impl Default for FrontierSettings {
    fn default() -> Self {
        Self { hash_key: [0; 16], seen_bytes: SEEN_BYTES, output: None, revisit: false, lease: Duration::from_secs(60) }
    }
}

enum Inner {
    Local(Box<LocalFrontier>),
    Postgres(Box<PostgresFrontier>),
}

/// A frontier at any place.
pub struct AnyFrontier(Inner);

/// Opens a frontier; one that is there must be of the same crawl.
///
/// # Errors
/// The place can't be used, or holds something else; the output can't be written.
pub async fn open(
    place: &FrontierPlace,
    identity: &Identity,
    settings: FrontierSettings,
) -> Result<AnyFrontier, FrontierError> {
    let mut budget = Budget { seen_bytes: settings.seen_bytes, held: HELD_WITHOUT_DATABASE, of_host: READ_COUNT };
    let output = settings.output.as_ref();
    let local = match place {
        FrontierPlace::Memory => {
            LocalFrontier::in_memory(settings.hash_key, budget, output.map(Exporter::create).transpose()?)?
        }
        FrontierPlace::Folder { path, resume, durable } => {
            budget.held = HELD_WITH_DATABASE;
            let (hash_key, revisit) = (settings.hash_key, settings.revisit);
            let way = Way { folder: path, resume: *resume, is_durable: *durable, hash_key, revisit };
            let mut opened = Database::open(&way, identity)?;
            let exporter = output.map(|output| opened.database.export_to(output)).transpose()?;
            LocalFrontier::in_database(opened, budget, exporter)?
        }
        FrontierPlace::Postgres(address) => {
            let frontier = PostgresFrontier::open(address, identity, &settings).await?;
            return Ok(AnyFrontier(Inner::Postgres(Box::new(frontier))));
        }
    };
    Ok(AnyFrontier(Inner::Local(Box::new(local))))
}

impl AnyFrontier {
    /// The key that the fingerprints of this crawl are made with.
    pub fn hash_key(&self) -> [u8; 16] {
        match &self.0 {
            Inner::Local(frontier) => frontier.hash_key(),
            Inner::Postgres(frontier) => frontier.hash_key(),
        }
    }

    /// True where the crawl had begun before.
    pub fn is_resumed(&self) -> bool {
        match &self.0 {
            Inner::Local(frontier) => frontier.is_resumed(),
            Inner::Postgres(frontier) => frontier.is_resumed(),
        }
    }

    /// Ends the use of the frontier: what was recorded is kept, and leased hosts are given back for others to go on with.
    ///
    /// # Errors
    /// See [`FrontierError`].
    pub async fn close(mut self) -> Result<(), FrontierError> {
        self.flush().await?;
        match self.0 {
            Inner::Local(_) => Ok(()),
            Inner::Postgres(frontier) => frontier.close().await,
        }
    }

    /// What any thread may ask whether an address is known.
    pub fn known_filter(&self) -> Arc<KnownFilter> {
        match &self.0 {
            Inner::Local(frontier) => frontier.known_filter(),
            Inner::Postgres(frontier) => frontier.known_filter(),
        }
    }
}

/// Hands a call on to the frontier that it is.
macro_rules! hand_on {
    ($self:ident, $frontier:ident => $call:expr) => {
        match &mut $self.0 {
            Inner::Local($frontier) => $call,
            Inner::Postgres($frontier) => $call,
        }
    };
}

impl Frontier for AnyFrontier {
    async fn add(&mut self, entries: Vec<NewEntry>) -> Result<Vec<bool>, FrontierError> {
        hand_on!(self, frontier => frontier.add(entries).await)
    }

    async fn take(&mut self, wanted: Wanted<'_>) -> Result<Vec<Entry>, FrontierError> {
        hand_on!(self, frontier => frontier.take(wanted).await)
    }

    async fn record(&mut self, visits: Vec<Visit>) -> Result<u64, FrontierError> {
        hand_on!(self, frontier => frontier.record(visits).await)
    }

    async fn give_back(&mut self, entries: Vec<EntryId>) -> Result<(), FrontierError> {
        hand_on!(self, frontier => frontier.give_back(entries).await)
    }

    async fn keep_hosts(&mut self, hosts: Vec<HostState>) -> Result<(), FrontierError> {
        hand_on!(self, frontier => frontier.keep_hosts(hosts).await)
    }

    fn new_hosts(&mut self) -> Vec<HostState> {
        hand_on!(self, frontier => frontier.new_hosts())
    }

    async fn flush(&mut self) -> Result<(), FrontierError> {
        hand_on!(self, frontier => frontier.flush().await)
    }

    async fn counts(&mut self) -> Result<Counts, FrontierError> {
        hand_on!(self, frontier => frontier.counts().await)
    }

    async fn next_due(&mut self) -> Result<Option<SystemTime>, FrontierError> {
        hand_on!(self, frontier => frontier.next_due().await)
    }
}
