//! Finds the table of a process, and those of its children.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;

use threefold_sys::clock::Instant;

use super::decode::{Header, check_header, decode};
use super::error::ReadError;
use super::snapshot::Snapshot;
use super::source::{header_words, open};
use super::told::add;
use crate::layout::header;
use crate::question::{self, Told};
use crate::{place, process};

/// No chain of parents is longer than this.
const MOST_ANCESTORS: usize = 64;

/// The waits of a process.
///
/// # Errors
/// [`ReadError`], when there is no such process, or no table of it, or a broken one.
pub fn snapshot(pid: u32) -> Result<Snapshot, ReadError> {
    let user = process::user_of(pid).ok_or(ReadError::NoProcess(pid))?;
    let stat = process::stat(pid).ok_or(ReadError::NoProcess(pid))?;
    let own = rustix::process::geteuid().as_raw();
    if user != own && own != 0 {
        return Err(ReadError::OtherUser { pid, user });
    }
    let name = place::file_name(pid);
    for directory in place::readable_directories(user) {
        let path = directory.join(&name);
        let file = match open(&path, user) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(ReadError::Unreadable { path, error }),
        };
        let header = check_header(&file, &path)?;
        if is_of_this_run(&header, pid, stat.start_time) && process::has_mapped(pid, &name) {
            // First, so that what a row says of a task is newer than what its loop said.
            let told = if header[header::LOOPS] > 0 { question::ask(&path) } else { Some(Told::default()) };
            let mut snapshot = decode(&file, &path, &header, Instant::now())?;
            snapshot.command = process::command(pid);
            add(&mut snapshot, &file, told);
            return Ok(snapshot);
        }
    }
    Err(ReadError::NoTable(pid))
}

/// Whether the table was not left by an earlier process of the same number.
fn is_of_this_run(header: &Header, pid: u32, start_time: u64) -> bool {
    header[header::PID] == u64::from(pid)
        && header[header::START_TIME] == start_time
        && header[header::BOOT] == process::boot()
}

/// The waits of a process and of those of its children, and theirs, that threefold runs.
///
/// A process without a table is left out when a child of it has one.
///
/// # Errors
/// As [`snapshot`], when neither it nor any child can be shown.
pub fn family(pid: u32) -> Result<Vec<Snapshot>, ReadError> {
    let mut found: Vec<Snapshot> = Vec::new();
    let first = match snapshot(pid) {
        Ok(snapshot) => {
            found.push(snapshot);
            None
        }
        Err(error @ ReadError::NoTable(_)) => Some(error),
        Err(error) => return Err(error),
    };
    let user = process::user_of(pid).ok_or(ReadError::NoProcess(pid))?;
    let mut others: Vec<u32> = descendants(pid, &place::readable_directories(user)).into_iter().collect();
    others.sort_unstable();
    found.extend(others.into_iter().filter_map(|child| snapshot(child).ok()));
    match first {
        Some(error) if found.is_empty() => Err(error),
        _ => Ok(found),
    }
}

/// The processes with a table whose chain of parents leads to `pid`.
///
/// Parents are those of the tables' headers, which outlive a parent that ended, and those that the kernel knows now.
fn descendants(pid: u32, directories: &[impl AsRef<Path>]) -> HashSet<u32> {
    let mut parents: HashMap<u32, u32> = HashMap::new();
    for directory in directories {
        for child in place::tables(directory.as_ref()) {
            let header = header_words(&directory.as_ref().join(place::file_name(child)));
            let parent = header.and_then(|words| u32::try_from(words[header::PARENT_PID]).ok());
            parents.extend(parent.map(|parent| (child, parent)));
        }
    }
    let leads_here = |child: u32| {
        let recorded = std::iter::successors(Some(child), |at| parents.get(at).copied().or_else(|| parent(*at)));
        let known = std::iter::successors(Some(child), |at| parent(*at));
        recorded.take(MOST_ANCESTORS).skip(1).any(|at| at == pid)
            || known.take(MOST_ANCESTORS).skip(1).any(|at| at == pid)
    };
    parents.keys().copied().filter(|&child| child != pid && leads_here(child)).collect()
}

fn parent(pid: u32) -> Option<u32> {
    process::stat(pid).map(|stat| stat.parent).filter(|&parent| parent != 0)
}
