//! What is read from the tables: the whole at the start, and queued entries and known addresses where memory doesn't hold them.

use std::sync::Arc;
use std::time::SystemTime;

use rusqlite::{Row, params};

use super::Database;
use super::apply::host_id;
use super::value::{duration_of_millis, kind_of, of_blob, of_millis, of_number, to_blob, to_number};
use crate::entry::{Counts, Validators};
use crate::frontier::book::Queued;
use crate::frontier::host::Place;
use crate::frontier::{FrontierError, HostState};
use crate::url::Fingerprint;

/// What a frontier begins with.
#[derive(Default)]
pub(in crate::frontier) struct Loaded {
    /// In the order of their numbers.
    pub(in crate::frontier) hosts: Vec<HostState>,
    /// The numbers of the hosts that have queued entries.
    pub(in crate::frontier) queued_hosts: Vec<usize>,
    pub(in crate::frontier) counts: Counts,
    pub(in crate::frontier) last_id: u64,
    pub(super) item_count: i64,
}

/// Entries of one host in their order, each with the time before which it must not be tried.
pub(in crate::frontier) type Batch = Vec<(Queued, Option<SystemTime>)>;

pub(super) fn load(database: &mut Database, revisit: bool) -> Result<Loaded, FrontierError> {
    // What the program had not answered for is visited again.
    database.change("UPDATE entries SET state = 'queued', tries = 0 WHERE state = 'delivered'", [])?;
    let is_over = database.one("SELECT 1 FROM entries WHERE state = 'queued' LIMIT 1", [])? != Some(1);
    if revisit && is_over {
        // A revisit that was interrupted is gone on with; it begins again only when all of it is done.
        let again =
            "UPDATE entries SET state = 'queued', tries = 0, not_before = NULL WHERE state IN ('done', 'failed')";
        database.change(again, [])?;
    }
    let mut loaded = Loaded {
        hosts: database.hosts()?,
        last_id: of_number(database.one("SELECT max(id) FROM entries", [])?.unwrap_or(0)),
        item_count: database.one("SELECT max(id) FROM items", [])?.unwrap_or(0),
        ..Loaded::default()
    };
    let states = database.rows("SELECT state, count(*) FROM entries GROUP BY state", [], |row| {
        Ok((row.get::<_, String>(0)?, of_number(row.get(1)?)))
    })?;
    for (state, count) in states {
        match state.as_str() {
            "queued" => loaded.counts.queued = count,
            "done" => loaded.counts.done = count,
            "failed" => loaded.counts.failed = count,
            _ => loaded.counts.refused += count,
        }
    }
    let queued = "SELECT DISTINCT host FROM entries WHERE state = 'queued' ORDER BY host";
    let numbers: Vec<i64> = database.rows(queued, [], |row| row.get(0))?;
    loaded.queued_hosts = numbers.into_iter().filter_map(|id| usize::try_from(id - 1).ok()).collect();
    Ok(loaded)
}

impl Database {
    pub(super) fn rows<T>(
        &self,
        query: &str,
        values: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, FrontierError> {
        let rows = self.connection.prepare_cached(query).and_then(|mut query| query.query_map(values, read)?.collect());
        rows.map_err(|error| self.failed(&error))
    }

    fn hosts(&self) -> Result<Vec<HostState>, FrontierError> {
        self.rows("SELECT key, next_allowed, crawl_delay, robots, traps FROM hosts ORDER BY id", [], |row| {
            Ok(HostState {
                host: row.get(0)?,
                next_allowed: row.get::<_, Option<i64>>(1)?.map(of_millis),
                crawl_delay: row.get::<_, Option<i64>>(2)?.map(duration_of_millis),
                robots: row.get(3)?,
                traps: row.get(4)?,
            })
        })
    }

    /// Calls with every known address, until it is told to stop.
    pub(in crate::frontier) fn each_fingerprint(&self, mut take: impl FnMut(Fingerprint)) -> Result<(), FrontierError> {
        let query = "SELECT fingerprint FROM entries UNION ALL SELECT fingerprint FROM aliases";
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare(query)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                if let Some(fingerprint) = row.get_ref(0)?.as_blob().ok().and_then(of_blob) {
                    take(fingerprint);
                }
            }
            Ok(())
        };
        read().map_err(|error| self.failed(&error))
    }

    /// Which of the addresses are known.
    pub(in crate::frontier) fn know(&self, fingerprints: &[Fingerprint]) -> Result<Vec<bool>, FrontierError> {
        let query = "SELECT EXISTS (SELECT 1 FROM entries WHERE fingerprint = ?1)
                         OR EXISTS (SELECT 1 FROM aliases WHERE fingerprint = ?1)";
        let know = |fingerprint: &Fingerprint| self.one::<bool>(query, params![to_blob(*fingerprint)]);
        fingerprints.iter().map(|fingerprint| Ok(know(fingerprint)? == Some(true))).collect()
    }

    /// The next queued entries of a host, and the place after them where there may be more.
    pub(in crate::frontier) fn queued(
        &self,
        host: usize,
        from: Place,
        limit: usize,
    ) -> Result<(Batch, Option<Place>), FrontierError> {
        let query = "SELECT id, url, fingerprint, depth, parent, kind, tries, etag, last_modified, request, not_before
                     FROM entries WHERE host = ?1 AND state = 'queued' AND (depth, id) >= (?2, ?3)
                     ORDER BY depth, id LIMIT ?4";
        let values = params![host_id(host), from.0, to_number(from.1), to_number(limit as u64)];
        let batch: Batch =
            self.rows(query, values, |row| Ok((read_entry(row)?, row.get::<_, Option<i64>>(10)?.map(of_millis))))?;
        let last = batch.last().filter(|_| batch.len() >= limit);
        let beyond = last.map(|(entry, _)| (entry.depth, entry.id + 1));
        Ok((batch, beyond))
    }
}

fn read_entry(row: &Row<'_>) -> rusqlite::Result<Queued> {
    let (url, parent, kind): (String, Option<String>, String) = (row.get(1)?, row.get(4)?, row.get(5)?);
    let validators = Validators { etag: row.get(7)?, last_modified: row.get(8)? };
    let request: Option<String> = row.get(9)?;
    Ok(Queued {
        id: of_number(row.get(0)?),
        url: url.into(),
        fingerprint: row.get_ref(2)?.as_blob().ok().and_then(of_blob).unwrap_or(Fingerprint(0)),
        depth: row.get(3)?,
        parent: parent.map(Arc::from),
        kind: kind_of(&kind),
        tries: row.get(6)?,
        validators: (validators != Validators::default()).then(|| Box::new(validators)),
        request: request.and_then(|request| serde_json::from_str(&request).ok()),
    })
}
