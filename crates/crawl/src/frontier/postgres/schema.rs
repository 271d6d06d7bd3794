//! The tables of a crawl in Postgres, in a schema of its own.

/// The format of the tables; another one is another version's.
pub(super) const FORMAT: &str = "1";

/// Times are milliseconds since 1970, but for leases, which go by the server's clock alone.
pub(super) const TABLES: &str = "
CREATE TABLE meta (name text PRIMARY KEY, value text NOT NULL);

-- One row for each process that ever worked: its last group of changes, what that answered, and what it added to the counts.
CREATE TABLE workers (
    id text PRIMARY KEY,
    group_number bigint NOT NULL DEFAULT 0,
    answer text NOT NULL DEFAULT '',
    open bigint NOT NULL DEFAULT 0,
    done bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    refused bigint NOT NULL DEFAULT 0
);

CREATE TABLE hosts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text NOT NULL UNIQUE,
    lease_owner text,
    lease_until timestamptz,
    next_allowed bigint,
    crawl_delay bigint,
    robots text,
    traps text
);

-- Addresses. state: queued, delivered (the program has not answered yet), done, failed, refused.
-- Their numbers are 2^20 times that of the addition that brought them and their place in it.
CREATE SEQUENCE additions;
CREATE TABLE entries (
    id bigint PRIMARY KEY,
    state text NOT NULL DEFAULT 'queued',
    status bigint,
    host bigint NOT NULL,
    depth bigint NOT NULL,
    tries bigint NOT NULL DEFAULT 0,
    kind text NOT NULL,
    url text NOT NULL,
    fingerprint bytea NOT NULL UNIQUE,
    parent text,
    reason text,
    not_before bigint NOT NULL DEFAULT 0,
    etag text,
    last_modified text,
    final_url text,
    request text
);
CREATE INDEX entries_queued ON entries (host, depth, id) WHERE state = 'queued';
CREATE INDEX entries_delivered ON entries (host) WHERE state = 'delivered';

-- Addresses that are known because a redirect led to them.
CREATE TABLE aliases (fingerprint bytea PRIMARY KEY, entry bigint NOT NULL);

CREATE TABLE items (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, entry bigint NOT NULL, json text NOT NULL);

-- How far each output file has got: machine and path, length, items in it.
CREATE TABLE exports (file text PRIMARY KEY, bytes bigint NOT NULL, items bigint NOT NULL, columns text);
";

pub(super) const RENEW: &str = "
UPDATE hosts SET lease_until = now() + $2::bigint * interval '1 millisecond' WHERE lease_owner = $1 RETURNING id";

/// Hosts that nobody has and that have something to fetch now. Those that others are about to take are passed over. Nobody
/// has those either that this worker was given by a statement whose answer was lost.
pub(super) const LEASE: &str = "
UPDATE hosts SET lease_owner = $1, lease_until = now() + $2::bigint * interval '1 millisecond'
WHERE id IN (
    SELECT id FROM hosts WHERE (lease_owner IS NULL OR lease_until < now() OR (lease_owner = $1 AND id <> ALL ($6)))
        AND (EXISTS (SELECT 1 FROM entries WHERE host = hosts.id AND state = 'queued' AND not_before <= $3)
          OR EXISTS (SELECT 1 FROM entries WHERE host = hosts.id AND state = 'delivered'))
        AND key <> ALL ($5)
    ORDER BY id LIMIT $4 FOR NO KEY UPDATE SKIP LOCKED)
RETURNING id, key, next_allowed, crawl_delay, robots, traps";

/// What was delivered by whoever had the hosts before is visited again.
pub(super) const TAKE_OVER: &str = "UPDATE entries SET state = 'queued' WHERE host = ANY($1) AND state = 'delivered'";

pub(super) const RELEASE: &str =
    "UPDATE hosts SET lease_owner = NULL, lease_until = NULL WHERE lease_owner = $1 AND id = ANY($2)";

pub(super) const QUEUED: &str = "
SELECT id, url, fingerprint, depth, parent, kind, tries, etag, last_modified, request
FROM entries WHERE host = $1 AND state = 'queued' AND not_before <= $2 AND id <> ALL ($3)
ORDER BY depth, id LIMIT $4";

/// The hosts among these that are still this worker's, held so until the transaction ends.
pub(super) const FENCE: &str = "SELECT id FROM hosts WHERE id = ANY($1) AND lease_owner = $2 ORDER BY id FOR SHARE";

pub(super) const CLOSE: &str = "
UPDATE entries SET state = v.state, status = coalesce(v.status, entries.status), reason = v.reason,
    tries = entries.tries + v.tries, not_before = v.not_before, etag = coalesce(v.etag, entries.etag),
    last_modified = coalesce(v.last_modified, entries.last_modified), final_url = coalesce(v.final_url, entries.final_url)
FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $8::text[], $9::text[])
    AS v (id, state, status, reason, tries, not_before, etag, last_modified, final_url)
WHERE entries.id = v.id AND entries.state IN ('queued', 'delivered') RETURNING entries.id";

pub(super) const ADD_HOSTS: &str = "
INSERT INTO hosts (key) SELECT key FROM unnest($1::text[]) AS v (key) ORDER BY key ON CONFLICT DO NOTHING";

/// Every transaction adds addresses in the order of their fingerprints, so that no two wait for each other. Those that are
/// there are left out beforehand: to meet one that another transaction is closing would mean to wait for it, while that one may
/// be waiting for an address that this one has closed.
pub(super) const ADD: &str = "
WITH addition AS MATERIALIZED (SELECT nextval('additions') AS number)
INSERT INTO entries (id, host, depth, kind, url, fingerprint, parent, request)
SELECT addition.number * 1048576 + v.place, hosts.id, v.depth, v.kind, v.url, v.fingerprint, v.parent, v.request
FROM addition, unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bytea[], $6::text[], $7::text[])
    WITH ORDINALITY AS v (host, depth, kind, url, fingerprint, parent, request, place) JOIN hosts ON hosts.key = v.host
WHERE NOT EXISTS (SELECT 1 FROM aliases WHERE aliases.fingerprint = v.fingerprint)
    AND NOT EXISTS (SELECT 1 FROM entries WHERE entries.fingerprint = v.fingerprint)
ORDER BY v.fingerprint ON CONFLICT (fingerprint) DO NOTHING RETURNING fingerprint";

pub(super) const ADD_ALIASES: &str = "
INSERT INTO aliases (fingerprint, entry) SELECT fingerprint, entry FROM unnest($1::bytea[], $2::bigint[])
    AS v (fingerprint, entry) ORDER BY fingerprint ON CONFLICT DO NOTHING";

pub(super) const ADD_ITEMS: &str = "
INSERT INTO items (entry, json) SELECT entry, json FROM unnest($1::bigint[], $2::text[]) AS v (entry, json)";

pub(super) const SET_MARK: &str = "
INSERT INTO exports (file, bytes, items, columns) VALUES ($1, $2, $3, $4)
ON CONFLICT (file) DO UPDATE SET bytes = excluded.bytes, items = excluded.items, columns = excluded.columns";

/// The first thing in a group: whoever asks for the worker's row waits until the group is decided.
pub(super) const BEGIN_GROUP: &str = "UPDATE workers SET group_number = $2 WHERE id = $1";

pub(super) const END_GROUP: &str = "
UPDATE workers SET answer = $2, open = open + $3, done = done + $4, failed = failed + $5, refused = refused + $6
WHERE id = $1";

/// Waits for a group that is on its way, and says which was the last.
pub(super) const LAST_GROUP: &str = "SELECT group_number, answer FROM workers WHERE id = $1 FOR UPDATE";

/// Ends what the server still holds of a connection of this worker that is gone.
pub(super) const END_OTHERS: &str = "
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND pid <> pg_backend_pid()";

pub(super) const COUNTS: &str = "
SELECT sum(open)::bigint, sum(done)::bigint, sum(failed)::bigint, sum(refused)::bigint FROM workers";

pub(super) const KEEP_HOSTS: &str = "
UPDATE hosts SET next_allowed = coalesce(v.next_allowed, hosts.next_allowed),
    crawl_delay = coalesce(v.crawl_delay, hosts.crawl_delay), robots = coalesce(v.robots, hosts.robots),
    traps = coalesce(v.traps, hosts.traps)
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[])
    AS v (key, next_allowed, crawl_delay, robots, traps)
WHERE hosts.key = v.key AND hosts.lease_owner = $6";

/// Which of a worker's hosts have something to fetch that it does not hold.
pub(super) const FED: &str = "
SELECT v.host FROM unnest($1::bigint[]) AS v (host) WHERE EXISTS (
    SELECT 1 FROM entries WHERE host = v.host AND state = 'queued' AND not_before <= $2 AND id <> ALL ($3))";
