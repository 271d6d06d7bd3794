//! Looks an address up in the state of a crawl, whether it runs or not.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::failure::explain;
use super::folder::FILE_NAME;
use super::value::{of_hex, to_blob};
use crate::frontier::FrontierError;
use crate::url::Fingerprint;

/// What the state of a crawl says of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownEntry {
    /// The address, as it is requested.
    pub url: String,
    /// `queued`, `delivered`, `done`, `failed` or `refused`.
    pub state: String,
    /// The status of its answer, where it had one.
    pub status: Option<u16>,
    /// Why it failed, was refused or is to be tried again.
    pub reason: Option<String>,
    /// How many links it is away from a seed.
    pub depth: u32,
    /// The page that it was found on.
    pub parent: Option<String>,
}

/// Looks an address up in the folder of a crawl, without a lock; none where it is not known.
///
/// Args: the folder, and what makes the address's fingerprint of the key of that crawl.
///
/// # Errors
/// The folder holds no crawl, or its file can't be read.
pub fn look_up(
    folder: &Path,
    fingerprint: impl FnOnce([u8; 16]) -> Fingerprint,
) -> Result<Option<KnownEntry>, FrontierError> {
    let file = folder.join(FILE_NAME);
    if !file.exists() {
        return Err(FrontierError::Unusable(format!("there is no crawl in {}", folder.display())));
    }
    let find = || -> rusqlite::Result<Option<KnownEntry>> {
        let connection = Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let key: String =
            connection.query_row("SELECT value FROM meta WHERE name = 'hash_key'", [], |row| row.get(0))?;
        let Some(key) = of_hex(&key) else { return Ok(None) };
        let query = "SELECT url, state, status, reason, depth, parent FROM entries WHERE fingerprint = ?1
                     OR id = (SELECT entry FROM aliases WHERE fingerprint = ?1)";
        let found = connection.query_row(query, params![to_blob(fingerprint(key))], |row| {
            Ok(KnownEntry {
                url: row.get(0)?,
                state: row.get(1)?,
                status: row.get(2)?,
                reason: row.get(3)?,
                depth: row.get(4)?,
                parent: row.get(5)?,
            })
        });
        found.optional()
    };
    find().map_err(|error| explain(&file, &error))
}
