//! Entries, visits and folders of tests.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use threefold_crawl::engine::{CrawlOptions, FrontierPlace, OutputFile};
use threefold_crawl::frontier::{AnyFrontier, Frontier, FrontierError, FrontierSettings, Identity, Wanted, open};
use threefold_crawl::url::Fingerprint;
use threefold_crawl::{Entry, EntryId, EntryKind, EntryState, Item, NewEntry, Visit};

/// A folder that is gone with the value.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("threefold-frontier-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn block<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(within("the end of the test", future))
}

/// Far beyond what anything in a test takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Waits, and fails with what it waited for where that does not come.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(done) = tokio::time::timeout(LIMIT, future).await else { panic!("{what} has not come within {LIMIT:?}") };
    done
}

pub(crate) fn fingerprint(url: &str) -> Fingerprint {
    // FNV, twice: good enough where nobody builds collisions.
    let hash =
        |start: u64| url.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let (high, low) = (hash(0xcbf2_9ce4_8422_2325), hash(0x9E37_79B9_7F4A_7C15));
    Fingerprint(u128::from(high) << 64 | u128::from(low))
}

pub(crate) fn link(url: &str, depth: u32) -> NewEntry {
    NewEntry {
        url: url.to_owned(),
        fingerprint: fingerprint(url),
        depth,
        parent: (depth > 0).then(|| "http://parent/".into()),
        kind: EntryKind::Page,
        request: None,
    }
}

pub(crate) fn done(entry: EntryId) -> Visit {
    Visit::new(entry, EntryState::Done(200))
}

pub(crate) fn item(json: &str) -> Item {
    Item { json: json.to_owned() }
}

pub(crate) fn identity() -> Identity {
    Identity::of(&CrawlOptions { seeds: vec!["http://a/".to_owned()], ..CrawlOptions::default() })
}

pub(crate) fn in_folder(path: &Path, resume: bool) -> FrontierPlace {
    FrontierPlace::Folder { path: path.to_owned(), resume, durable: false }
}

pub(crate) async fn open_at(place: &FrontierPlace, output: Option<&Path>) -> Result<AnyFrontier, FrontierError> {
    let output = output.map(|path| OutputFile { path: path.to_owned() });
    open(place, &identity(), FrontierSettings { output, ..FrontierSettings::default() }).await
}

/// The sentence of a frontier that can't be opened.
pub(crate) fn refusal(opened: Result<AnyFrontier, FrontierError>) -> String {
    match opened {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    }
}

pub(crate) async fn take(frontier: &mut AnyFrontier, count: usize) -> Vec<Entry> {
    take_at(frontier, count, SystemTime::now()).await
}

pub(crate) async fn take_at(frontier: &mut AnyFrontier, count: usize, now: SystemTime) -> Vec<Entry> {
    frontier.take(Wanted { count, per_host: usize::MAX, full_hosts: &[], now }).await.unwrap()
}

pub(crate) fn urls(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.url.as_str()).collect()
}

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
