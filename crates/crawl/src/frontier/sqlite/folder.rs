//! The folder of a crawl: there, ours alone, and fit to hold the file.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::frontier::FrontierError;

/// The name of the file in the folder.
pub(super) const FILE_NAME: &str = "crawl.sqlite";

/// A folder that is locked for this process as long as the value lives.
pub(super) struct Folder {
    path: PathBuf,
    locked: File,
}

impl Folder {
    /// Makes the folder where it is to be new, and locks it.
    pub(super) fn lock(path: &Path, must_be_there: bool) -> Result<Self, FrontierError> {
        let name = path.display();
        let unusable = |error: io::Error| {
            FrontierError::Unusable(match error.kind() {
                io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                    format!("{name} is a file, not a folder: the state of a crawl needs a folder")
                }
                io::ErrorKind::NotFound if must_be_there => {
                    format!("there is no crawl to resume in {name}: there is no such folder")
                }
                _ if !must_be_there && !path.exists() => {
                    format!("the folder {name} for the state of the crawl can't be made: {error}")
                }
                _ => format!("the folder {name} can't be used for the state of a crawl: {error}"),
            })
        };
        if !must_be_there {
            std::fs::create_dir_all(path).map_err(unusable)?;
        }
        if !std::fs::metadata(path).map_err(unusable)?.is_dir() {
            return Err(unusable(io::ErrorKind::NotADirectory.into()));
        }
        let locked = File::open(path).map_err(unusable)?;
        flock(&locked, FlockOperation::NonBlockingLockExclusive).map_err(|error| {
            if error == rustix::io::Errno::WOULDBLOCK {
                return FrontierError::Unusable(format!("another crawl is running in the folder {name}"));
            }
            unusable(error.into())
        })?;
        Ok(Self { path: path.to_owned(), locked })
    }

    pub(super) fn file(&self) -> PathBuf {
        self.path.join(FILE_NAME)
    }

    /// True where nothing is in it but what a start that was killed leaves: nothing, or a file without tables.
    pub(super) fn is_empty(&self) -> bool {
        std::fs::read_dir(&self.path).is_ok_and(|mut files| files.next().is_none())
    }

    /// Has the names of new files survive a power failure.
    pub(super) fn sync(&self) -> Result<(), FrontierError> {
        let failed =
            |error| FrontierError::Store(format!("the folder {} can't be written: {error}", self.path.display()));
        self.locked.sync_all().map_err(failed)
    }
}

impl Drop for Folder {
    /// A child process that was just forked may hold the file still: the lock ends here all the same.
    fn drop(&mut self) {
        // Where that fails, the end of the file's last descriptor ends the lock.
        let _ended = flock(&self.locked, FlockOperation::Unlock);
    }
}
