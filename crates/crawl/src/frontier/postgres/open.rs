//! Connects to a crawl in Postgres, and makes its tables where it is new.

use std::hash::Hasher;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use siphasher::sip::SipHasher13;
use tokio_postgres::Config;

use super::link::Link;
use super::{group, schema};
use crate::frontier::any::FrontierSettings;
use crate::frontier::sqlite::value::{of_hex, of_number, to_hex};
use crate::frontier::{FrontierError, Identity};
use crate::sink::{Exporter, Mark};

/// What is asked for with `postgres://...?crawl=NAME`; the rest of the address is Postgres's own.
pub(super) struct Address {
    pub(super) config: Config,
    pub(super) schema: String,
}

impl Address {
    /// Reads an address; a crawl without a name is named after what makes it that crawl.
    pub(super) fn read(address: &str, identity: &Identity) -> Result<Self, FrontierError> {
        let unusable = FrontierError::Unusable;
        let (place, query) = address.split_once('?').unwrap_or((address, ""));
        let (named, others): (Vec<&str>, Vec<&str>) =
            query.split('&').filter(|part| !part.is_empty()).partition(|part| part.starts_with("crawl="));
        let address = if others.is_empty() { place.to_owned() } else { format!("{place}?{}", others.join("&")) };
        let config = Config::from_str(&address)
            .map_err(|error| unusable(format!("{place} is no address of a Postgres: {error}")))?;
        let name = named.last().map_or_else(|| name_of(identity), |named| named["crawl=".len()..].to_owned());
        let is_plain =
            |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '_';
        if name.is_empty() || name.len() > 40 || !name.chars().all(is_plain) {
            return Err(unusable(format!("the crawl's name {name:?} is not made of 1 to 40 of a-z, 0-9 and _")));
        }
        Ok(Self { config, schema: format!("threefold_{name}") })
    }
}

fn name_of(identity: &Identity) -> String {
    let mut hasher = SipHasher13::new();
    hasher.write(identity.to_json().as_bytes());
    format!("{:016x}", hasher.finish())
}

/// A name that no other worker has.
pub(super) fn worker_name(random: [u8; 16]) -> String {
    let mut hasher = SipHasher13::new_with_key(&random);
    hasher.write_u32(std::process::id());
    hasher.write_u128(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos());
    let count = {
        use std::sync::atomic::{AtomicU64, Ordering};
        static COUNT: AtomicU64 = AtomicU64::new(0);
        COUNT.fetch_add(1, Ordering::Relaxed)
    };
    hasher.write_u64(count);
    format!("threefold {:016x}", hasher.finish())
}

/// What is in force in the crawl that was opened.
pub(super) struct Found {
    pub(super) hash_key: [u8; 16],
    pub(super) is_resumed: bool,
}

/// Makes or checks the tables, and enters the worker.
pub(super) async fn enter(
    link: &mut Link,
    schema_name: &str,
    worker: &str,
    identity: &Identity,
    settings: &FrontierSettings,
) -> Result<Found, FrontierError> {
    // Several workers may start at once: one makes the tables, the others wait for it.
    link.batch("BEGIN").await?;
    link.query("SELECT pg_advisory_xact_lock(hashtext($1))", &[&schema_name]).await?;
    let is_there = !link.query("SELECT 1 FROM pg_namespace WHERE nspname = $1", &[&schema_name]).await?.is_empty();
    let hash_key = if is_there {
        check(link, schema_name, identity).await?
    } else {
        link.batch(&format!("CREATE SCHEMA \"{schema_name}\"; {}", schema::TABLES)).await?;
        let set =
            "INSERT INTO meta (name, value) VALUES ('format', $1), ('version', $2), ('identity', $3), ('hash_key', $4)";
        let version = env!("CARGO_PKG_VERSION");
        link.query(set, &[&schema::FORMAT, &version, &identity.to_json(), &to_hex(settings.hash_key)]).await?;
        settings.hash_key
    };
    link.query("INSERT INTO workers (id) VALUES ($1)", &[&worker]).await?;
    if settings.revisit {
        revisit(link, worker).await?;
    }
    let is_resumed = !link.query("SELECT 1 FROM entries LIMIT 1", &[]).await?.is_empty();
    link.batch("COMMIT").await?;
    Ok(Found { hash_key, is_resumed })
}

async fn check(link: &mut Link, schema_name: &str, identity: &Identity) -> Result<[u8; 16], FrontierError> {
    let rows = link.query("SELECT name, value FROM meta", &[]).await.map_err(|error| match error {
        FrontierError::Store(_) => {
            FrontierError::Unusable(format!("the schema {schema_name} of the database is not the state of a crawl"))
        }
        other => other,
    })?;
    let value = |name: &str| rows.iter().find(|row| row.get::<_, &str>(0) == name).map(|row| row.get::<_, String>(1));
    let format = value("format").unwrap_or_default();
    if format != schema::FORMAT {
        return Err(FrontierError::Unusable(format!(
            "the crawl in the schema {schema_name} is of threefold {} (format {format}), this one reads format {}",
            value("version").unwrap_or_default(),
            schema::FORMAT
        )));
    }
    let damaged = || {
        FrontierError::Unusable(format!(
            "the crawl in the schema {schema_name} is damaged: its table meta is incomplete"
        ))
    };
    let stored = value("identity").as_deref().and_then(Identity::from_json).ok_or_else(damaged)?;
    if let Some(difference) = identity.difference(&stored) {
        return Err(FrontierError::Unusable(format!("the schema {schema_name} holds another crawl: {difference}")));
    }
    value("hash_key").as_deref().and_then(of_hex).ok_or_else(damaged)
}

/// Queues what was visited again, where nothing is left to visit.
async fn revisit(link: &mut Link, worker: &str) -> Result<(), FrontierError> {
    let open = link.query(schema::COUNTS, &[]).await?.first().and_then(|row| row.get::<_, Option<i64>>(0)).unwrap_or(0);
    if open > 0 {
        return Ok(());
    }
    let again = "WITH again AS (
            UPDATE entries SET state = 'queued', tries = 0, not_before = 0 FROM entries AS before
            WHERE before.id = entries.id AND before.state IN ('done', 'failed') RETURNING before.state)
        UPDATE workers SET open = open + (SELECT count(*) FROM again),
            done = done - (SELECT count(*) FROM again WHERE state = 'done'),
            failed = failed - (SELECT count(*) FROM again WHERE state = 'failed') WHERE id = $1";
    link.query(again, &[&worker]).await.map(drop)
}

/// Opens the output of this worker: cut back to what is recorded of it, or new.
pub(super) async fn export(
    link: &mut Link,
    exporter_name: &str,
    settings: &FrontierSettings,
) -> Result<Option<Exporter>, FrontierError> {
    let Some(output) = &settings.output else { return Ok(None) };
    let rows = link.query("SELECT bytes, items, columns FROM exports WHERE file = $1", &[&exporter_name]).await?;
    let Some(row) = rows.first() else { return Exporter::create(output).map(Some) };
    let columns: Option<String> = row.get(2);
    let mark = Mark {
        bytes: of_number(row.get(0)),
        items: of_number(row.get(1)),
        columns: columns.and_then(|columns| serde_json::from_str(&columns).ok()),
    };
    if let Some(exporter) = Exporter::reopen(output, mark)? {
        return Ok(Some(exporter));
    }
    // Other workers' items are in their files: what this one lost is in the table `items` only.
    let exporter = Exporter::create(output)?;
    group::set_mark(link, exporter_name, &exporter.mark()).await?;
    Ok(Some(exporter))
}
