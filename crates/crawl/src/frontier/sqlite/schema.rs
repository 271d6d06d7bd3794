//! The tables of a crawl in one SQLite file.

/// The format of the file; another one is another version's.
pub(super) const FORMAT: i32 = 1;

/// "3fld" in the file's header, by which `file` and we know it.
pub(super) const APPLICATION_ID: i32 = 0x3366_6c64;

pub(super) const TABLES: &str = "
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- Hosts, as scheme://host, and what whoever goes on with the crawl must know of them. Times are milliseconds since 1970.
CREATE TABLE hosts (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    next_allowed INTEGER,
    crawl_delay INTEGER,
    robots TEXT,
    traps TEXT
);

-- Addresses. state: queued, delivered (the program has not answered yet), done, failed, refused.
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    state TEXT NOT NULL,
    status INTEGER,
    host INTEGER NOT NULL,
    depth INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    kind TEXT NOT NULL,
    url TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    parent TEXT,
    reason TEXT,
    not_before INTEGER,
    etag TEXT,
    last_modified TEXT,
    final_url TEXT,
    request TEXT
);

-- Addresses that are known because a redirect led to them.
CREATE TABLE aliases (
    fingerprint BLOB PRIMARY KEY,
    entry INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE items (
    id INTEGER PRIMARY KEY,
    entry INTEGER NOT NULL,
    json TEXT NOT NULL
);

-- How far each output file has got: its length and the last item in it.
CREATE TABLE exports (
    file TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL,
    items INTEGER NOT NULL,
    columns TEXT
) WITHOUT ROWID;
";

/// Made when not all addresses fit into memory any more: until then nobody asks for one by its fingerprint.
pub(super) const FINGERPRINT_INDEX: &str =
    "CREATE UNIQUE INDEX IF NOT EXISTS entries_by_fingerprint ON entries (fingerprint)";

/// Made when not all queued entries fit into memory any more: until then nobody reads them in this order.
pub(super) const QUEUE_INDEX: &str =
    "CREATE INDEX IF NOT EXISTS entries_queued ON entries (host, depth, id) WHERE state = 'queued'";
