//! Where the tables of a user's processes lie, and how stale ones are cleared away.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use crate::layout::{MAGIC, header};
use crate::{process, read};

const ENDING: &str = ".waits";
/// A table whose header is not complete yet.
const UNFINISHED: &str = ".waits.new";
/// What a process last told of its tasks.
const ANSWER: &str = ".tasks";

/// The table file of a process of this user: `$XDG_RUNTIME_DIR/threefold/PID.waits`, or `/tmp/threefold-UID/PID.waits`
/// when there is no such directory.
pub fn path_of(pid: u32) -> PathBuf {
    directory().join(file_name(pid))
}

pub(crate) fn file_name(pid: u32) -> String {
    format!("{pid}{ENDING}")
}

/// Chooses the directory for tables, for good. To be called before there are threads that wait: a process forked while
/// one of them chose it would never get an answer.
pub fn settle() {
    directory();
}

fn directory() -> &'static Path {
    // Read once: the program may change its environment later, and reading it then is not safe in a second thread.
    // `settle` fills the cell while nobody can fork.
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let user = rustix::process::geteuid().as_raw();
        std::env::var_os("XDG_RUNTIME_DIR")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute() && is_ours_alone(path, user))
            .map_or_else(|| temporary(user), |path| path.join("threefold"))
    })
}

fn temporary(user: u32) -> PathBuf {
    PathBuf::from(format!("/tmp/threefold-{user}"))
}

/// Whether only `user` can put files there.
fn is_ours_alone(directory: &Path, user: u32) -> bool {
    fs::symlink_metadata(directory)
        .is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == user && metadata.mode() & 0o022 == 0)
}

/// Makes the directory for tables, mode 0700.
///
/// # Errors
/// When it cannot be made, or somebody else can write to it.
pub(crate) fn prepare() -> io::Result<()> {
    let directory = directory();
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    if is_ours_alone(directory, rustix::process::geteuid().as_raw()) {
        return Ok(());
    }
    let sentence = format!("{} is not a directory that only this user can write to", directory.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, sentence))
}

/// Where a new table is made before it gets its name.
pub(crate) fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("waits.new")
}

/// Every place where a process of `user` may have put its table.
pub(crate) fn readable_directories(user: u32) -> Vec<PathBuf> {
    let mut directories = vec![PathBuf::from(format!("/run/user/{user}/threefold")), temporary(user)];
    if user == rustix::process::geteuid().as_raw() && !directories.iter().any(|path| path == directory()) {
        directories.insert(0, directory().to_owned());
    }
    directories.retain(|directory| is_ours_alone(directory, user));
    directories
}

/// The processes that have a table in `directory`.
pub(crate) fn tables(directory: &Path) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.flatten().filter_map(|entry| pid_in(&entry.file_name(), ENDING)).collect()
}

fn pid_in(name: &OsStr, ending: &str) -> Option<u32> {
    name.to_str()?.strip_suffix(ending)?.parse().ok()
}

/// Removes the tables of processes that are gone.
pub(crate) fn sweep() {
    let Ok(entries) = fs::read_dir(directory()) else { return };
    let namespace = process::namespace();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_stale = if let Some(pid) = pid_in(&name, ANSWER) {
            process::stat(pid).is_none() && is_old(&entry)
        } else if let Some(pid) = pid_in(&name, ENDING) {
            process::stat(pid).is_none() && is_of(&entry.path(), namespace)
        } else {
            pid_in(&name, UNFINISHED).is_some_and(|pid| process::stat(pid).is_none()) && is_old(&entry)
        };
        if is_stale {
            let _gone_meanwhile = fs::remove_file(entry.path());
        }
    }
}

/// Whether the table was written in this number namespace; a process of another one may live on unseen.
fn is_of(path: &Path, namespace: u64) -> bool {
    read::header_words(path).is_some_and(|words| words[header::MAGIC] == MAGIC && words[header::NAMESPACE] == namespace)
}

fn is_old(entry: &fs::DirEntry) -> bool {
    let age = entry.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|time| time.elapsed().ok());
    age.is_some_and(|age| age > Duration::from_secs(60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_tables_are_taken_for_tables() {
        assert_eq!(pid_in(OsStr::new("42.waits"), ENDING), Some(42));
        assert_eq!(pid_in(OsStr::new("42.waits.new"), ENDING), None);
        assert_eq!(pid_in(OsStr::new("42.waits.new"), UNFINISHED), Some(42));
        assert_eq!(pid_in(OsStr::new("x.waits"), ENDING), None);
        assert_eq!(unfinished(Path::new("/a/42.waits")), Path::new("/a/42.waits.new"));
    }

    #[test]
    fn a_directory_that_others_can_write_to_is_refused() {
        assert!(!is_ours_alone(Path::new("/tmp"), rustix::process::geteuid().as_raw()));
        assert!(!is_ours_alone(Path::new("/no/such"), 0));
    }
}
