//! A frontier in Postgres, which any number of processes share: each leases whole hosts, so that only one asks a host.

mod group;
mod lease;
mod link;
mod open;
mod schema;
mod tls;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hashbrown::{HashMap, HashSet};
use tokio::time::Instant;

use super::any::FrontierSettings;
use super::book::{Book, Queued, Taking};
use super::filter::KnownFilter;
use super::seen::{Known, Seen};
use super::sqlite::value::{duration_of_millis, kind_of, of_blob, of_millis, of_number, to_millis, to_number};
use super::{Frontier, FrontierError, HostState, Identity, Wanted};
use crate::entry::{Counts, Entry, EntryId, EntryState, NewEntry, Validators, Visit};
use crate::sink::Exporter;
use crate::url::Fingerprint;
use group::{Answer, Author, Group, HostVisit};
use lease::{Leases, Renewal};
use link::Link;

/// How many entries of a host are read at once.
const READ_COUNT: i64 = 512;
/// How often the database is asked for work that others may have brought.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// What is leased to this worker.
struct Leased {
    /// The host's number in the book.
    host: usize,
    used: Instant,
}

/// The frontier of one worker.
pub(super) struct PostgresFrontier {
    link: Link,
    leases: Leases,
    _renewal: Renewal,
    worker: String,
    book: Book,
    seen: Seen,
    /// By the hosts' numbers in the database.
    leased: HashMap<i64, Leased>,
    ids: HashMap<usize, i64>,
    groups: VecDeque<Group>,
    group_number: i64,
    /// New links of groups whose `record` failed for a while.
    uncounted: u64,
    exporter: Option<Exporter>,
    file: String,
    hash_key: [u8; 16],
    is_resumed: bool,
    new_hosts: Vec<HostState>,
    /// Nothing was found then; ask again when some time has passed, or something new was recorded.
    asked: Option<SystemTime>,
}

impl PostgresFrontier {
    pub(super) async fn open(
        address: &str,
        identity: &Identity,
        settings: &FrontierSettings,
    ) -> Result<Self, FrontierError> {
        let address = open::Address::read(address, identity)?;
        let worker = open::worker_name(settings.hash_key);
        let mut link = Link::new(address.config.clone(), &address.schema, &worker)?;
        // At the start nothing is worth waiting for: a database that is away is a wrong address.
        let unusable = |error| match error {
            FrontierError::Away(sentence) => FrontierError::Unusable(sentence),
            other => other,
        };
        let found = open::enter(&mut link, &address.schema, &worker, identity, settings).await.map_err(unusable)?;
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let file =
            settings.output.as_ref().map_or(String::new(), |output| format!("{machine}:{}", Exporter::name(output)));
        let exporter = open::export(&mut link, &file, settings).await?;
        let leases = Leases::new(address.lease.unwrap_or(settings.lease));
        let renewing = Link::new(address.config, &address.schema, &format!("{worker} lease"))?;
        Ok(Self {
            link,
            _renewal: Renewal::start(renewing, leases.clone(), worker.clone()),
            leases,
            worker,
            book: Book::default(),
            seen: Seen::new(settings.seen_bytes),
            leased: HashMap::new(),
            ids: HashMap::new(),
            groups: VecDeque::new(),
            group_number: 0,
            uncounted: 0,
            exporter,
            file,
            hash_key: found.hash_key,
            is_resumed: found.is_resumed,
            new_hosts: Vec::new(),
            asked: None,
        })
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

    /// Gives the hosts back, for others to go on with.
    pub(super) async fn close(mut self) -> Result<(), FrontierError> {
        self.settle().await?;
        let ids: Vec<i64> = self.leased.keys().copied().collect();
        self.link.query(schema::RELEASE, &[&self.worker, &ids]).await.map(drop)
    }

    fn group(&mut self, visits: Vec<HostVisit>, added: Vec<NewEntry>, hosts: Vec<HostState>) {
        self.group_number += 1;
        self.groups.push_back(Group {
            number: self.group_number,
            visits,
            added,
            hosts,
            tries: 0,
            mark: None,
            was_sent: false,
        });
    }

    /// Has every group applied, and gives what the last one came to.
    async fn settle(&mut self) -> Result<Answer, FrontierError> {
        let mut last = Answer::default();
        while let Some(group) = self.groups.front_mut() {
            let mut author = Author { worker: &self.worker, exporter: self.exporter.as_mut(), file: &self.file };
            last = group.apply(&mut self.link, &mut author).await?;
            let known = group.visits.iter().flat_map(|visit| &visit.visit.links).chain(&group.added);
            for entry in known {
                if self.seen.is_full() {
                    self.seen.clear();
                }
                self.seen.insert(entry.fingerprint);
            }
            self.uncounted += last.new.len() as u64;
            if !last.new.is_empty() {
                self.asked = None;
            }
            self.groups.pop_front();
        }
        Ok(last)
    }

    /// Makes sure that what is handed out is leased for long enough; what isn't any more is forgotten.
    async fn stay_leased(&mut self) -> Result<(), FrontierError> {
        if self.leased.is_empty() || self.leases.hold() {
            return Ok(());
        }
        let sent = Instant::now();
        let rows = self.link.query(schema::RENEW, &[&self.worker, &self.leases.millis()]).await?;
        let mine: HashSet<i64> = rows.iter().map(|row| row.get(0)).collect();
        self.leases.renew(sent);
        let lost: Vec<i64> = self.leased.keys().filter(|id| !mine.contains(*id)).copied().collect();
        for id in lost {
            self.forget(id);
        }
        Ok(())
    }

    fn forget(&mut self, id: i64) {
        if let Some(leased) = self.leased.remove(&id) {
            self.book.forget(leased.host);
            self.ids.remove(&leased.host);
        }
    }

    /// Reads further entries of leased hosts whose queues are empty; true where there were any.
    async fn feed(&mut self, now: SystemTime) -> Result<bool, FrontierError> {
        let dry: Vec<i64> =
            self.leased.iter().filter(|(_, leased)| self.book.held_of(leased.host) == 0).map(|(id, _)| *id).collect();
        if dry.is_empty() {
            return Ok(false);
        }
        let out: Vec<i64> = self.book.out().map(|(id, _)| to_number(id)).collect();
        let rows = self.link.query(schema::FED, &[&dry, &to_millis(now), &out]).await?;
        let mut fed: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        fed.sort_unstable();
        for id in &fed {
            let rows = self.link.query(schema::QUEUED, &[id, &to_millis(now), &out, &READ_COUNT]).await?;
            let entries = rows.iter().map(|row| (read_entry(row), None)).collect();
            if let Some(leased) = self.leased.get_mut(id) {
                leased.used = Instant::now();
                self.book.feed(leased.host, entries, None);
            }
        }
        Ok(!fed.is_empty())
    }

    /// Leases further hosts that have something to fetch; true where there were any.
    async fn lease(&mut self, count: usize, wanted: &Wanted<'_>) -> Result<bool, FrontierError> {
        let count = to_number(count.clamp(2, 64) as u64);
        let (now, full) = (to_millis(wanted.now), wanted.full_hosts);
        let known: Vec<i64> = self.leased.keys().copied().collect();
        let sent = Instant::now();
        let was_empty = self.leased.is_empty();
        let rows =
            self.link.query(schema::LEASE, &[&self.worker, &self.leases.millis(), &now, &count, &full, &known]).await?;
        if rows.is_empty() {
            return Ok(false);
        }
        if was_empty {
            self.leases.renew(sent);
        }
        let ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        self.link.query(schema::TAKE_OVER, &[&ids]).await?;
        for row in &rows {
            let (id, key): (i64, String) = (row.get(0), row.get(1));
            let (host, _) = self.book.host(&key);
            // A lease that had ended unnoticed: what was handed out under it is not this lease's.
            self.book.forget(host);
            self.leased.insert(id, Leased { host, used: sent });
            self.ids.insert(host, id);
            self.new_hosts.push(HostState {
                host: key,
                next_allowed: row.get::<_, Option<i64>>(2).map(of_millis),
                crawl_delay: row.get::<_, Option<i64>>(3).map(duration_of_millis),
                robots: row.get(4),
                traps: row.get(5),
            });
        }
        Ok(true)
    }

    /// Gives hosts back that had nothing to fetch for the length of a lease, which no delay between requests exceeds.
    async fn release(&mut self) -> Result<(), FrontierError> {
        let busy: HashSet<usize> = self.book.out().map(|(_, host)| host).collect();
        let idle = |leased: &Leased| {
            leased.used.elapsed() > self.leases.length.max(Duration::from_secs(60))
                && self.book.held_of(leased.host) == 0
                && !busy.contains(&leased.host)
        };
        let ids: Vec<i64> = self.leased.iter().filter(|(_, leased)| idle(leased)).map(|(id, _)| *id).collect();
        if !ids.is_empty() {
            // What is forgotten and can't be given back now is leased again when it is wanted.
            for id in &ids {
                self.forget(*id);
            }
            self.link.query(schema::RELEASE, &[&self.worker, &ids]).await?;
        }
        Ok(())
    }

    /// Looks for more than memory has.
    async fn fill(&mut self, wanted: &Wanted<'_>, taking: &mut Taking) -> Result<(), FrontierError> {
        if self.asked.is_some_and(|asked| wanted.now.duration_since(asked).is_ok_and(|passed| passed < ASK_AGAIN)) {
            return Ok(());
        }
        self.release().await?;
        let before = taking.entries.len();
        while taking.entries.len() < wanted.count && self.feed(wanted.now).await? {
            self.book.take(wanted, taking);
        }
        let missing = wanted.count.saturating_sub(taking.entries.len()).div_ceil(wanted.per_host.max(1));
        if missing > 0 && self.lease(missing, wanted).await? && self.feed(wanted.now).await? {
            self.book.take(wanted, taking);
        }
        self.asked = (taking.entries.len() == before).then_some(wanted.now);
        Ok(())
    }
}

fn read_entry(row: &tokio_postgres::Row) -> Queued {
    let validators = Validators { etag: row.get(7), last_modified: row.get(8) };
    let small = |index| u32::try_from(row.get::<_, i64>(index)).unwrap_or_default();
    Queued {
        id: of_number(row.get(0)),
        url: row.get::<_, &str>(1).into(),
        fingerprint: of_blob(row.get(2)).unwrap_or(Fingerprint(0)),
        depth: small(3),
        parent: row.get::<_, Option<&str>>(4).map(Arc::from),
        kind: kind_of(row.get(5)),
        tries: small(6),
        validators: (validators != Validators::default()).then(|| Box::new(validators)),
        request: row.get::<_, Option<&str>>(9).and_then(|request| serde_json::from_str(request).ok()),
    }
}

impl Frontier for PostgresFrontier {
    async fn add(&mut self, entries: Vec<NewEntry>) -> Result<Vec<bool>, FrontierError> {
        self.settle().await?;
        let order: Vec<Fingerprint> = entries.iter().map(|entry| entry.fingerprint).collect();
        self.group(Vec::new(), entries, Vec::new());
        let answer = self.settle().await?;
        self.uncounted -= answer.new.len() as u64;
        let mut new: HashSet<Fingerprint> = answer.new.into_iter().collect();
        Ok(order.into_iter().map(|fingerprint| new.remove(&fingerprint)).collect())
    }

    async fn take(&mut self, wanted: Wanted<'_>) -> Result<Vec<Entry>, FrontierError> {
        self.settle().await?;
        self.stay_leased().await?;
        let mut taking = Taking::default();
        self.book.take(&wanted, &mut taking);
        if taking.entries.len() < wanted.count {
            let filled = self.fill(&wanted, &mut taking).await;
            if taking.entries.is_empty() {
                filled?;
            }
        }
        for entry in &taking.entries {
            let id = self.ids.get(&self.book.host(&crate::url::host_key(&entry.url)).0);
            if let Some(leased) = id.and_then(|id| self.leased.get_mut(id)) {
                leased.used = Instant::now();
            }
        }
        Ok(taking.entries)
    }

    async fn record(&mut self, visits: Vec<Visit>) -> Result<u64, FrontierError> {
        let mut recorded = Vec::with_capacity(visits.len());
        for mut visit in visits {
            let Some(out) = self.book.take_back(visit.entry.0) else { continue };
            let host = out.host();
            let Some(id) = self.ids.get(&host).copied() else { continue };
            if matches!(visit.state, EntryState::Delivered(_)) {
                self.book.deliver(visit.entry.0, host);
            }
            visit.links.retain(|link| self.seen.look(link.fingerprint) != Known::Yes);
            recorded.push(HostVisit { host: id, visit });
        }
        if !recorded.is_empty() {
            self.group(recorded, Vec::new(), Vec::new());
        }
        self.settle().await?;
        Ok(std::mem::take(&mut self.uncounted))
    }

    async fn give_back(&mut self, entries: Vec<EntryId>) -> Result<(), FrontierError> {
        for EntryId(id) in entries {
            self.book.give_back(id);
        }
        Ok(())
    }

    async fn keep_hosts(&mut self, hosts: Vec<HostState>) -> Result<(), FrontierError> {
        self.group(Vec::new(), Vec::new(), hosts);
        self.settle().await.map(drop)
    }

    fn new_hosts(&mut self) -> Vec<HostState> {
        std::mem::take(&mut self.new_hosts)
    }

    async fn flush(&mut self) -> Result<(), FrontierError> {
        self.settle().await.map(drop)
    }

    async fn counts(&mut self) -> Result<Counts, FrontierError> {
        self.settle().await?;
        let rows = self.link.query(schema::COUNTS, &[]).await?;
        let sum = |index| rows.first().and_then(|row| row.get::<_, Option<i64>>(index)).map_or(0, of_number);
        let leased = self.book.out_count() as u64;
        Ok(Counts { queued: sum(0).saturating_sub(leased), leased, done: sum(1), failed: sum(2), refused: sum(3) })
    }

    async fn next_due(&mut self) -> Result<Option<SystemTime>, FrontierError> {
        let counts = self.counts().await?;
        Ok((counts.queued > 0).then(|| SystemTime::now() + ASK_AGAIN))
    }
}
