//! What each operation changes in the tables.

use rusqlite::params;

use super::Database;
use super::schema;
use super::value::{duration_to_millis, kind_name, to_blob, to_millis, to_number};
use crate::entry::{EntryState, Item};
use crate::frontier::book::Queued;
use crate::frontier::store::{Operation, VisitRow};
use crate::frontier::{FrontierError, HostState};
use crate::url::Fingerprint;

/// Hosts are numbered from 0 in memory and from 1 in the table.
pub(super) fn host_id(host: usize) -> i64 {
    i64::try_from(host).unwrap_or(i64::MAX - 1) + 1
}

impl Database {
    pub(in crate::frontier) fn apply(&mut self, operation: Operation) -> Result<(), FrontierError> {
        match operation {
            Operation::Host(number, key) => self.add_host(number, &key),
            Operation::Add(entries) => self.add(&entries),
            Operation::Visit(visit) => self.visit(&visit),
            Operation::HostStates(hosts) => hosts.iter().try_for_each(|host| self.keep_host(host)),
        }
    }

    pub(in crate::frontier) fn add_host(&self, number: usize, key: &str) -> Result<(), FrontierError> {
        self.change("INSERT INTO hosts (id, key) VALUES (?1, ?2)", params![host_id(number), key]).map(drop)
    }

    pub(in crate::frontier) fn add(&self, entries: &[(usize, Queued)]) -> Result<(), FrontierError> {
        entries.iter().try_for_each(|(host, entry)| {
            let request = entry.request.as_ref().map(|request| serde_json::json!(request).to_string());
            self.change(
                "INSERT INTO entries (id, state, host, depth, tries, kind, url, fingerprint, parent, request)
                 VALUES (?1, 'queued', ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    to_number(entry.id),
                    host_id(*host),
                    entry.depth,
                    entry.tries,
                    kind_name(entry.kind),
                    &*entry.url,
                    to_blob(entry.fingerprint),
                    entry.parent.as_deref(),
                    request,
                ],
            )
            .map(drop)
        })
    }

    fn visit(&mut self, visit: &VisitRow) -> Result<(), FrontierError> {
        let id = to_number(visit.id);
        self.set_state(id, &visit.state)?;
        if let Some((url, fingerprint)) = &visit.final_url {
            self.change("UPDATE entries SET final_url = ?2 WHERE id = ?1", params![id, url])?;
            self.alias(*fingerprint, id)?;
        }
        if visit.validators.etag.is_some() || visit.validators.last_modified.is_some() {
            self.change(
                "UPDATE entries SET etag = ?2, last_modified = ?3 WHERE id = ?1",
                params![id, visit.validators.etag, visit.validators.last_modified],
            )?;
        }
        self.add(&visit.links)?;
        visit.items.iter().try_for_each(|item| self.add_item(id, item))
    }

    fn set_state(&self, id: i64, state: &EntryState) -> Result<(), FrontierError> {
        match state {
            EntryState::Done(status) => self.change(
                "UPDATE entries SET state = 'done', status = ?2, reason = NULL WHERE id = ?1",
                params![id, status],
            ),
            EntryState::Delivered(status) => {
                self.change("UPDATE entries SET state = 'delivered', status = ?2 WHERE id = ?1", params![id, status])
            }
            EntryState::Failed(reason) => {
                self.change("UPDATE entries SET state = 'failed', reason = ?2 WHERE id = ?1", params![id, reason])
            }
            EntryState::Refused(refusal) => self.change(
                "UPDATE entries SET state = 'refused', reason = ?2 WHERE id = ?1",
                params![id, refusal.as_str()],
            ),
            EntryState::Retry(due, reason) => self.change(
                "UPDATE entries SET tries = tries + 1, not_before = ?2, reason = ?3 WHERE id = ?1",
                params![id, to_millis(*due), reason],
            ),
        }
        .map(drop)
    }

    fn add_item(&mut self, entry: i64, item: &Item) -> Result<(), FrontierError> {
        self.item_count += 1;
        self.change(
            "INSERT INTO items (id, entry, json) VALUES (?1, ?2, ?3)",
            params![self.item_count, entry, item.json],
        )
        .map(drop)
    }

    fn keep_host(&self, host: &HostState) -> Result<(), FrontierError> {
        self.change(
            "UPDATE hosts SET next_allowed = coalesce(?2, next_allowed), crawl_delay = coalesce(?3, crawl_delay),
                robots = coalesce(?4, robots), traps = coalesce(?5, traps) WHERE key = ?1",
            params![
                host.host,
                host.next_allowed.map(to_millis),
                host.crawl_delay.map(duration_to_millis),
                host.robots,
                host.traps
            ],
        )
        .map(drop)
    }

    /// Makes an address known as another name of an entry.
    pub(in crate::frontier) fn alias(&self, fingerprint: Fingerprint, entry: i64) -> Result<(), FrontierError> {
        self.change(
            "INSERT OR IGNORE INTO aliases (fingerprint, entry) VALUES (?1, ?2)",
            params![to_blob(fingerprint), entry],
        )
        .map(drop)
    }

    /// Lets addresses be asked for by their fingerprints from now on.
    pub(in crate::frontier) fn index_fingerprints(&self) -> Result<(), FrontierError> {
        self.run(schema::FINGERPRINT_INDEX)
    }

    /// Lets queued entries be read in their order from now on.
    pub(in crate::frontier) fn index_queue(&self) -> Result<(), FrontierError> {
        self.run(schema::QUEUE_INDEX)
    }
}
