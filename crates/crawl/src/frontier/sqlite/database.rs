//! Opens, checks and commits the file of a crawl.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Params, params};

use super::failure::explain;
use super::folder::Folder;
use super::value::{of_hex, of_number, to_hex, to_number};
use super::{Loaded, load, schema};
use crate::frontier::{FrontierError, Identity};
use crate::sink::Mark;

/// How many kilobytes of the file's pages are kept in memory.
const CACHE_KIB: i64 = 16 << 10;

/// The tables of one crawl, with its folder locked.
pub(in crate::frontier) struct Database {
    pub(super) connection: Connection,
    path: PathBuf,
    is_durable: bool,
    pub(super) item_count: i64,
    #[allow(dead_code, reason = "it is held for its lock")]
    folder: Option<Folder>,
}

/// How the state of a crawl is opened.
#[derive(Clone, Copy)]
pub(in crate::frontier) struct Way<'a> {
    pub(in crate::frontier) folder: &'a Path,
    pub(in crate::frontier) resume: bool,
    pub(in crate::frontier) is_durable: bool,
    /// The key of a new crawl.
    pub(in crate::frontier) hash_key: [u8; 16],
    /// True to queue again what was visited, where nothing is left to visit.
    pub(in crate::frontier) revisit: bool,
}

/// A crawl's database with what a frontier must know of it.
pub(in crate::frontier) struct Opened {
    pub(in crate::frontier) database: Database,
    pub(in crate::frontier) hash_key: [u8; 16],
    pub(in crate::frontier) loaded: Loaded,
}

impl Database {
    /// Makes the state of a new crawl in a folder, or opens the one that is there.
    pub(in crate::frontier) fn open(way: &Way<'_>, identity: &Identity) -> Result<Opened, FrontierError> {
        let Way { folder: path, resume, is_durable, hash_key, revisit } = *way;
        let folder = Folder::lock(path, resume)?;
        let file = folder.file();
        let is_there = file.metadata().is_ok_and(|metadata| metadata.len() > 0);
        if resume && !is_there && !folder.is_empty() && !file.exists() {
            return Err(FrontierError::Unusable(format!(
                "{} is not the folder of a crawl: it has no crawl.sqlite",
                path.display()
            )));
        }
        if !resume && is_there {
            let sentence =
                format!("the folder {} holds a crawl already: resume it, or choose another folder", path.display());
            return Err(FrontierError::Unusable(sentence));
        }
        let failed = |error: rusqlite::Error| explain(&file, &error);
        let connection = Connection::open(&file).map_err(failed)?;
        let mut database = Self { connection, path: file.clone(), is_durable, item_count: 0, folder: None };
        database.set_up(if is_durable { "FULL" } else { "OFF" })?;
        // A start that was killed leaves a file without tables: the crawl begins anew in it.
        let is_new = database.one::<i64>("SELECT count(*) FROM sqlite_schema", [])? == Some(0);
        let opened = if is_new {
            database.create(identity, hash_key)?;
            folder.sync()?;
            hash_key
        } else {
            database.check(path, identity)?
        };
        if !is_durable {
            // Only now: nothing is lost with an empty file, and to bring one to the disk takes as long as a hundred pages.
            database.run("PRAGMA synchronous = NORMAL")?;
        }
        let loaded = load::load(&mut database, revisit)?;
        database.item_count = loaded.item_count;
        database.folder = Some(folder);
        Ok(Opened { database, hash_key: opened, loaded })
    }

    /// A database without a name, which is gone with its connection: for what doesn't fit into memory.
    pub(in crate::frontier) fn temporary() -> Result<Self, FrontierError> {
        let path = std::env::temp_dir();
        let connection = Connection::open("").map_err(|error| explain(&path, &error))?;
        let database = Self { connection, path, is_durable: false, item_count: 0, folder: None };
        database.run("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE;")?;
        database.run(schema::TABLES)?;
        Ok(database)
    }

    fn set_up(&mut self, synchronous: &str) -> Result<(), FrontierError> {
        self.connection.set_prepared_statement_cache_capacity(64);
        self.run(&format!(
            "PRAGMA synchronous = {synchronous}; PRAGMA journal_mode = WAL; PRAGMA cache_size = -{CACHE_KIB};
             PRAGMA wal_autocheckpoint = 4000; PRAGMA temp_store = MEMORY; PRAGMA busy_timeout = 10000;"
        ))
    }

    /// Makes the tables in one transaction, so that a file has all of them or none.
    fn create(&mut self, identity: &Identity, hash_key: [u8; 16]) -> Result<(), FrontierError> {
        self.begin()?;
        self.run(&format!(
            "PRAGMA application_id = {}; PRAGMA user_version = {};",
            schema::APPLICATION_ID,
            schema::FORMAT
        ))?;
        self.run(schema::TABLES)?;
        self.set_meta("version", env!("CARGO_PKG_VERSION"))?;
        self.set_meta("identity", &identity.to_json())?;
        self.set_meta("hash_key", &to_hex(hash_key))?;
        self.commit()
    }

    /// Whether the file is of this crawl and version, and its key.
    fn check(&self, folder: &Path, identity: &Identity) -> Result<[u8; 16], FrontierError> {
        let (name, unusable) = (folder.display(), FrontierError::Unusable);
        if self.one("PRAGMA application_id", [])? != Some(schema::APPLICATION_ID) {
            return Err(unusable(format!("the crawl.sqlite in {name} is not the state of a crawl")));
        }
        let format: i32 = self.one("PRAGMA user_version", [])?.unwrap_or_default();
        if format != schema::FORMAT {
            let version = self.meta("version")?.unwrap_or_default();
            return Err(unusable(format!(
                "the crawl in {name} is of threefold {version} (format {format}), this one reads format {}: \
                 finish it with that version, or begin in another folder",
                schema::FORMAT
            )));
        }
        let damaged = || unusable(format!("the crawl.sqlite in {name} is damaged: its table meta is incomplete"));
        let stored = self.meta("identity")?.as_deref().and_then(Identity::from_json).ok_or_else(damaged)?;
        if let Some(difference) = identity.difference(&stored) {
            return Err(unusable(format!("the folder {name} holds another crawl: {difference}")));
        }
        self.meta("hash_key")?.as_deref().and_then(of_hex).ok_or_else(damaged)
    }

    pub(in crate::frontier) fn is_durable(&self) -> bool {
        self.is_durable
    }

    pub(super) fn failed(&self, error: &rusqlite::Error) -> FrontierError {
        explain(&self.path, error)
    }

    /// Runs statements without values.
    pub(in crate::frontier) fn run(&self, statements: &str) -> Result<(), FrontierError> {
        self.connection.execute_batch(statements).map_err(|error| self.failed(&error))
    }

    /// Runs a statement that changes rows, and says how many.
    pub(super) fn change(&self, statement: &str, values: impl Params) -> Result<usize, FrontierError> {
        let changed = self.connection.prepare_cached(statement).and_then(|mut prepared| prepared.execute(values));
        changed.map_err(|error| self.failed(&error))
    }

    /// The first column of the first row.
    pub(super) fn one<T: rusqlite::types::FromSql>(
        &self,
        query: &str,
        values: impl Params,
    ) -> Result<Option<T>, FrontierError> {
        let found = self
            .connection
            .prepare_cached(query)
            .and_then(|mut prepared| prepared.query_row(values, |row| row.get::<_, Option<T>>(0)).optional());
        found.map(Option::flatten).map_err(|error| self.failed(&error))
    }

    pub(super) fn meta(&self, name: &str) -> Result<Option<String>, FrontierError> {
        self.one("SELECT value FROM meta WHERE name = ?1", params![name])
    }

    pub(super) fn set_meta(&self, name: &str, value: &str) -> Result<(), FrontierError> {
        self.change("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)", params![name, value]).map(drop)
    }

    pub(in crate::frontier) fn begin(&mut self) -> Result<(), FrontierError> {
        self.change("BEGIN", []).map(drop)
    }

    pub(in crate::frontier) fn commit(&mut self) -> Result<(), FrontierError> {
        self.change("COMMIT", []).map(drop)
    }

    pub(in crate::frontier) fn roll_back(&mut self) {
        // After some errors SQLite has done so by itself.
        let _none_is_open = self.connection.execute_batch("ROLLBACK");
    }

    /// How far an output file has got.
    pub(in crate::frontier) fn mark(&self, file: &str) -> Result<Option<Mark>, FrontierError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT bytes, items, columns FROM exports WHERE file = ?1")
            .map_err(|error| self.failed(&error))?;
        let found = query.query_row(params![file], |row| {
            let columns: Option<String> = row.get(2)?;
            Ok(Mark {
                bytes: of_number(row.get(0)?),
                items: of_number(row.get(1)?),
                columns: columns.and_then(|columns| serde_json::from_str(&columns).ok()),
            })
        });
        found.optional().map_err(|error| self.failed(&error))
    }

    /// Remembers how far an output file has got.
    pub(in crate::frontier) fn set_mark(&self, file: &str, mark: &Mark) -> Result<(), FrontierError> {
        let columns = mark.columns.as_ref().map(|columns| serde_json::json!(columns).to_string());
        self.change(
            "INSERT OR REPLACE INTO exports (file, bytes, items, columns) VALUES (?1, ?2, ?3, ?4)",
            params![file, to_number(mark.bytes), to_number(mark.items), columns],
        )
        .map(drop)
    }

    /// Has the file fail as a full disk does, once it has so many pages more.
    #[cfg(test)]
    pub(in crate::frontier) fn fill_disk(&self, more_pages: i64) {
        let pages: i64 = self.one("PRAGMA page_count", []).unwrap().unwrap();
        self.run(&format!("PRAGMA max_page_count = {}", pages + more_pages)).unwrap();
    }
}
