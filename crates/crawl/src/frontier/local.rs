//! The frontier of one process: queues and known addresses in memory, within budgets; a database behind them, or none until
//! they don't fit.

use std::sync::Arc;
use std::time::SystemTime;

use hashbrown::HashSet;

use super::book::{Book, Out, Queued, Taking};
use super::filter::KnownFilter;
use super::host::Place;
use super::keeper::Keeper;
use super::seen::{Known, Seen};
use super::sqlite::{Batch, Database, Opened};
use super::store::{Operation, Store, VisitRow};
use super::{Frontier, FrontierError, HostState, Wanted};
use crate::entry::{Counts, Entry, EntryId, EntryState, NewEntry, Visit};
use crate::sink::Exporter;
use crate::url::{Fingerprint, host_key};

/// How much of a frontier is in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// For known addresses.
    pub(super) seen_bytes: usize,
    /// Queued entries; those beyond are in the store only.
    pub(super) held: usize,
    /// Queued entries that each host may have beyond that, and the number that is read at once.
    pub(super) of_host: usize,
}

/// A frontier in memory or in a folder.
pub(super) struct LocalFrontier {
    book: Book,
    seen: Seen,
    budget: Budget,
    keeper: Option<Keeper>,
    has_database: bool,
    /// The store can be asked for an address.
    is_indexed: bool,
    hash_key: [u8; 16],
    is_resumed: bool,
    last_id: u64,
    counts: Counts,
    new_hosts: Vec<HostState>,
}

impl LocalFrontier {
    /// A frontier in memory; the output file, where there is one, is written beside.
    pub(super) fn in_memory(
        hash_key: [u8; 16],
        budget: Budget,
        exporter: Option<Exporter>,
    ) -> Result<Self, FrontierError> {
        let keeper = match exporter {
            Some(exporter) => Some(Keeper::start(Store { database: None, exporter: Some(exporter) })?),
            None => None,
        };
        Ok(Self {
            book: Book::default(),
            seen: Seen::new(budget.seen_bytes),
            budget,
            keeper,
            has_database: false,
            is_indexed: false,
            hash_key,
            is_resumed: false,
            last_id: 0,
            counts: Counts::default(),
            new_hosts: Vec::new(),
        })
    }

    /// A frontier that begins with what a database holds.
    pub(super) fn in_database(
        opened: Opened,
        budget: Budget,
        exporter: Option<Exporter>,
    ) -> Result<Self, FrontierError> {
        let Opened { database, hash_key, loaded } = opened;
        let mut frontier = Self::in_memory(hash_key, budget, None)?;
        let seen = &mut frontier.seen;
        database.each_fingerprint(|fingerprint| {
            seen.insert(fingerprint);
            if seen.is_full() {
                seen.forget();
            }
        })?;
        if !seen.is_exact() {
            database.index_fingerprints()?;
            frontier.is_indexed = true;
        }
        for host in &loaded.hosts {
            frontier.book.host(&host.host);
        }
        if !loaded.queued_hosts.is_empty() {
            database.index_queue()?;
        }
        for host in loaded.queued_hosts {
            frontier.book.set_beyond(host, Some((0, 0)));
        }
        frontier.is_resumed = loaded.last_id > 0;
        frontier.last_id = loaded.last_id;
        frontier.counts = loaded.counts;
        frontier.new_hosts = loaded.hosts;
        frontier.has_database = true;
        frontier.keeper = Some(Keeper::start(Store { database: Some(database), exporter })?);
        Ok(frontier)
    }

    pub(super) fn hash_key(&self) -> [u8; 16] {
        self.hash_key
    }

    pub(super) fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    pub(super) fn known_filter(&self) -> Arc<KnownFilter> {
        self.seen.filter()
    }

    async fn keep(&self, operation: Operation) -> Result<(), FrontierError> {
        match &self.keeper {
            Some(keeper) => keeper.keep(operation).await,
            None => Ok(()),
        }
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Database) -> Result<T, FrontierError> + Send + 'static,
    ) -> Result<Option<T>, FrontierError> {
        let Some(keeper) = &self.keeper else { return Ok(None) };
        let answer = keeper.ask(move |store| store.database.as_mut().map(question).transpose());
        answer.await
    }

    /// What memory knows of the addresses of a call: those that are known, and those that the store must be asked for.
    fn look(&self, addresses: impl Iterator<Item = Fingerprint>) -> (HashSet<Fingerprint>, Vec<Fingerprint>) {
        let (mut known, mut open) = (HashSet::new(), Vec::new());
        if !self.seen.is_exact() {
            for fingerprint in addresses {
                match self.seen.look(fingerprint) {
                    Known::Yes => drop(known.insert(fingerprint)),
                    Known::No => {}
                    Known::Perhaps => open.push(fingerprint),
                }
            }
        }
        (known, open)
    }

    /// Asks the store for what memory can't tell. The answers hold for the call alone: its own new addresses may push older
    /// ones out of memory, and make the filter doubt what it was sure of.
    async fn settle(
        &mut self,
        looked: (HashSet<Fingerprint>, Vec<Fingerprint>),
    ) -> Result<HashSet<Fingerprint>, FrontierError> {
        let (mut known, open) = looked;
        if open.is_empty() {
            return Ok(known);
        }
        let asked = open.clone();
        let answers = self.ask(move |database| database.know(&asked)).await?.unwrap_or_default();
        for (fingerprint, is_known) in open.into_iter().zip(answers) {
            if is_known {
                self.seen.insert(fingerprint);
                known.insert(fingerprint);
            }
        }
        Ok(known)
    }

    /// Makes an address known; false where it was.
    fn learn(&mut self, fingerprint: Fingerprint, settled: &mut HashSet<Fingerprint>) -> bool {
        let is_new =
            if self.seen.is_exact() { self.seen.look(fingerprint) == Known::No } else { settled.insert(fingerprint) };
        if is_new {
            self.seen.insert(fingerprint);
        }
        is_new
    }

    /// Gives a new entry its number and queues it; what is to be kept of it goes to `admitted`, where there is a database.
    async fn admit(&mut self, entry: NewEntry, admitted: &mut Vec<(usize, Queued)>) -> Result<(), FrontierError> {
        let (host, is_new) = self.book.host(&host_key(&entry.url));
        if is_new && self.has_database {
            self.keep(Operation::Host(host, Arc::clone(self.book.key(host)))).await?;
        }
        self.last_id += 1;
        self.counts.queued += 1;
        let queued = Queued {
            id: self.last_id,
            url: entry.url.into(),
            fingerprint: entry.fingerprint,
            depth: entry.depth,
            parent: entry.parent,
            kind: entry.kind,
            tries: 0,
            validators: None,
            request: entry.request,
        };
        let (mut limit, least) = (self.budget.held, self.budget.of_host);
        if self.has_database {
            admitted.push((host, queued.clone()));
        } else {
            limit = usize::MAX;
        }
        if self.book.push(host, queued, limit, least) {
            self.index_queue().await?;
        }
        Ok(())
    }

    async fn index_queue(&self) -> Result<(), FrontierError> {
        self.ask(|database| database.index_queue()).await.map(drop)
    }

    /// Goes over to a database when memory is full, and to questions when it holds no more addresses.
    async fn stay_within_budget(&mut self) -> Result<(), FrontierError> {
        if !self.has_database && (self.seen.is_full() || self.book.held() >= self.budget.held) {
            self.spill().await?;
        }
        if self.seen.is_full() {
            if !self.is_indexed {
                self.ask(|database| database.index_fingerprints()).await?;
                self.is_indexed = true;
            }
            self.seen.forget();
        }
        Ok(())
    }

    /// Has a temporary database go on from what is in memory.
    async fn spill(&mut self) -> Result<(), FrontierError> {
        let mut database = Database::temporary()?;
        let hosts: Vec<Arc<str>> = (0..self.book.host_count()).map(|host| Arc::clone(self.book.key(host))).collect();
        for (host, key) in hosts.into_iter().enumerate() {
            database.add_host(host, &key)?;
        }
        let mut held: Vec<(usize, Queued)> = self.book.visiting().map(|(host, entry)| (host, entry.clone())).collect();
        held.extend(self.book.waiting().map(|(host, entry)| (host, entry.clone())));
        held.sort_by_key(|(_, entry)| entry.id);
        database.begin()?;
        let in_tables: HashSet<Fingerprint> = held.iter().map(|(_, entry)| entry.fingerprint).collect();
        database.add(&held)?;
        for fingerprint in self.seen.all().into_iter().filter(|fingerprint| !in_tables.contains(fingerprint)) {
            database.alias(fingerprint, 0)?;
        }
        database.commit()?;
        match &self.keeper {
            Some(keeper) => {
                keeper
                    .ask(move |store| {
                        database.begin()?;
                        store.database = Some(database);
                        Ok(())
                    })
                    .await?;
            }
            None => self.keeper = Some(Keeper::start(Store { database: Some(database), exporter: None })?),
        }
        self.has_database = true;
        Ok(())
    }

    async fn feed(&mut self) -> Result<bool, FrontierError> {
        let hungry: Vec<(usize, Place)> = self.book.hungry();
        let limit = self.budget.of_host.max(1);
        for &(host, from) in &hungry {
            let read = move |database: &mut Database| database.queued(host, from, limit);
            let (batch, beyond): (Batch, Option<Place>) = self.ask(read).await?.unwrap_or_default();
            self.book.feed(host, batch, beyond);
        }
        Ok(!hungry.is_empty())
    }

    /// Changes what the book says of an entry, and the counts; false where it is not handed out.
    fn close(&mut self, id: u64, state: &EntryState) -> bool {
        let Some(out) = self.book.take_back(id) else { return false };
        let host = out.host();
        match (state, out) {
            (EntryState::Done(_), _) => self.counts.done += 1,
            (EntryState::Failed(_), _) => self.counts.failed += 1,
            (EntryState::Refused(_), _) => self.counts.refused += 1,
            (EntryState::Delivered(_), _) | (EntryState::Retry(..), Out::Delivered { .. }) => {
                self.book.deliver(id, host);
            }
            (EntryState::Retry(due, _), Out::Visiting { mut entry, .. }) => {
                entry.tries += 1;
                self.book.put_off(host, entry, *due);
                self.counts.queued += 1;
            }
        }
        true
    }
}

impl Frontier for LocalFrontier {
    async fn add(&mut self, entries: Vec<NewEntry>) -> Result<Vec<bool>, FrontierError> {
        let mut settled = {
            let open = self.look(entries.iter().map(|entry| entry.fingerprint));
            self.settle(open).await?
        };
        let (mut are_new, mut admitted) = (Vec::with_capacity(entries.len()), Vec::new());
        for entry in entries {
            let is_new = self.learn(entry.fingerprint, &mut settled);
            are_new.push(is_new);
            if is_new {
                self.admit(entry, &mut admitted).await?;
            }
        }
        if !admitted.is_empty() {
            self.keep(Operation::Add(admitted)).await?;
        }
        self.stay_within_budget().await?;
        Ok(are_new)
    }

    async fn take(&mut self, wanted: Wanted<'_>) -> Result<Vec<Entry>, FrontierError> {
        self.feed().await?;
        let mut taking = Taking::default();
        self.book.take(&wanted, &mut taking);
        while taking.entries.len() < wanted.count && self.feed().await? {
            self.book.take(&wanted, &mut taking);
        }
        self.counts.queued -= taking.entries.len() as u64;
        Ok(taking.entries)
    }

    async fn record(&mut self, visits: Vec<Visit>) -> Result<u64, FrontierError> {
        let open = self.look(visits.iter().flat_map(|visit| {
            visit.links.iter().map(|link| link.fingerprint).chain(visit.final_url.as_ref().map(|(_, target)| *target))
        }));
        let mut settled = self.settle(open).await?;
        let mut new_count = 0;
        for visit in visits {
            if !self.close(visit.entry.0, &visit.state) {
                continue;
            }
            if let Some((_, fingerprint)) = &visit.final_url {
                self.learn(*fingerprint, &mut settled);
            }
            let mut links = Vec::new();
            for link in visit.links {
                if self.learn(link.fingerprint, &mut settled) {
                    new_count += 1;
                    self.admit(link, &mut links).await?;
                }
            }
            if self.keeper.is_some() {
                let Visit { entry, state, final_url, validators, items, archived, .. } = visit;
                let row = VisitRow { id: entry.0, state, final_url, validators, links, items, archived };
                self.keep(Operation::Visit(Box::new(row))).await?;
            }
        }
        self.stay_within_budget().await?;
        Ok(new_count)
    }

    async fn give_back(&mut self, entries: Vec<EntryId>) -> Result<(), FrontierError> {
        for EntryId(id) in entries {
            self.counts.queued += u64::from(self.book.give_back(id));
        }
        Ok(())
    }

    async fn keep_hosts(&mut self, hosts: Vec<HostState>) -> Result<(), FrontierError> {
        if self.has_database { self.keep(Operation::HostStates(hosts)).await } else { Ok(()) }
    }

    fn new_hosts(&mut self) -> Vec<HostState> {
        std::mem::take(&mut self.new_hosts)
    }

    async fn flush(&mut self) -> Result<(), FrontierError> {
        match &self.keeper {
            Some(keeper) => keeper.flush().await,
            None => Ok(()),
        }
    }

    async fn counts(&mut self) -> Result<Counts, FrontierError> {
        Ok(Counts { leased: self.book.out_count() as u64, ..self.counts })
    }

    async fn next_due(&mut self) -> Result<Option<SystemTime>, FrontierError> {
        Ok(self.book.next_due())
    }
}

#[cfg(test)]
mod tests;
