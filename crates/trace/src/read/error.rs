//! Why the waits of a process cannot be shown, one sentence each.

use std::io;
use std::path::PathBuf;

/// Why the waits of a process cannot be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is no such process.
    #[error("no process {0}")]
    NoProcess(u32),
    /// The process belongs to another user.
    #[error("process {pid} belongs to user {user}; only that user and root can see its waits")]
    OtherUser {
        /// The process.
        pid: u32,
        /// Its user's number.
        user: u32,
    },
    /// The process has not made a table, or replaced itself by another program since.
    #[error("process {0} has no wait table: it is not run by threefold, or nothing in it has waited yet")]
    NoTable(u32),
    /// The file is something else.
    #[error("{} is not a threefold wait table", .0.display())]
    Foreign(PathBuf),
    /// The file ends too early.
    #[error("{} is cut short at byte {length_bytes}", .path.display())]
    CutShort {
        /// The file.
        path: PathBuf,
        /// Its length.
        length_bytes: u64,
    },
    /// The file was written by another version of threefold.
    #[error("{} was written by version {found} of the format; this threefold reads version {expected}", .path.display())]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The version that can be read.
        expected: u64,
    },
    /// The header contradicts itself.
    #[error("{} is damaged: {what}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What cannot be.
        what: String,
    },
    /// The file system refused.
    #[error("cannot read {}: {error}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}
