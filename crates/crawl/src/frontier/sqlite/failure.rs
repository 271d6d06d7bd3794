//! What SQLite's errors mean for the one who started the crawl.

use std::path::Path;

use rusqlite::ErrorCode;

use crate::frontier::FrontierError;

/// The sentence for an error of the database at a path.
pub(super) fn explain(path: &Path, error: &rusqlite::Error) -> FrontierError {
    let name = path.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => FrontierError::Store(format!(
            "the disk is full: {name} can't grow; what was recorded before is kept, and the crawl can be resumed"
        )),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            FrontierError::Unusable(format!("{name} is damaged or is not the state of a crawl: {error}"))
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            FrontierError::Unusable(format!("{name} can't be written: {error}"))
        }
        Some(ErrorCode::CannotOpen) => FrontierError::Unusable(format!("{name} can't be opened: {error}")),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => FrontierError::Store(format!(
            "{name} is locked by another program; what was recorded before is kept, and the crawl can be resumed"
        )),
        _ => FrontierError::Store(format!("{name} can't be read or written: {error}")),
    }
}
