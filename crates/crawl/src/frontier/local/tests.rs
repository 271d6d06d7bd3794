//! The frontier of one process: what is known, what comes next, and what it keeps.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;
use crate::entry::EntryKind;
use crate::frontier::Identity;
use crate::frontier::sqlite::Way;

/// So little that everything of more than a few pages is in the store.
const LITTLE: Budget = Budget { seen_bytes: 4096, held: 16, of_host: 8 };

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn page(number: u64, depth: u32) -> NewEntry {
    let fingerprint = u128::from(number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    NewEntry {
        url: format!("http://h{}/{number}", number % 3),
        fingerprint: Fingerprint(fingerprint),
        depth,
        parent: Some("http://parent/".into()),
        kind: EntryKind::Page,
        request: None,
    }
}

fn wanted(count: usize) -> Wanted<'static> {
    Wanted { count, per_host: 4, full_hosts: &[], now: SystemTime::now() }
}

/// Crawls a graph in which page n leads to 2n, 2n + 1 and to pages that are known, and returns the visited in their order.
async fn crawl(frontier: &mut LocalFrontier, size: u64, most: usize) -> Vec<(u32, String)> {
    frontier.add(vec![page(1, 0)]).await.unwrap();
    let mut visited = Vec::new();
    while visited.len() < most {
        let entries = frontier.take(wanted(7)).await.unwrap();
        if entries.is_empty() {
            break;
        }
        let visits = entries.iter().map(|entry| {
            let number: u64 = entry.url.rsplit('/').next().unwrap().parse().unwrap();
            let links = [2 * number, 2 * number + 1, number / 2, number, 1].into_iter().filter(|link| *link <= size);
            Visit {
                links: links.map(|link| page(link, entry.depth + 1)).collect(),
                ..Visit::new(entry.id, EntryState::Done(200))
            }
        });
        frontier.record(visits.collect()).await.unwrap();
        visited.extend(entries.into_iter().map(|entry| (entry.depth, entry.url)));
    }
    visited
}

fn in_folder(folder: &Path, resume: bool) -> LocalFrontier {
    let way = Way { folder, resume, is_durable: false, hash_key: [0; 16], revisit: false };
    let opened = Database::open(&way, &Identity::default()).unwrap();
    LocalFrontier::in_database(opened, LITTLE, None).unwrap()
}

fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("threefold-local-{}-{name}", std::process::id()))
}

#[test]
fn a_crawl_that_fits_nowhere_visits_the_same_as_one_that_fits() {
    let large = Budget { seen_bytes: 1 << 20, held: 1 << 20, of_host: 1 << 20 };
    let fitting =
        block(async { crawl(&mut LocalFrontier::in_memory([0; 16], large, None).unwrap(), 3000, 9999).await });
    let spilled = block(async {
        let mut frontier = LocalFrontier::in_memory([0; 16], LITTLE, None).unwrap();
        let visited = crawl(&mut frontier, 3000, 9999).await;
        assert!(frontier.has_database && frontier.is_indexed);
        assert!(frontier.book.held() < 200, "{} entries in memory", frontier.book.held());
        visited
    });
    assert_eq!(fitting.len(), 3001);
    let set = |visited: Vec<(u32, String)>| visited.into_iter().collect::<BTreeSet<_>>();
    assert_eq!(set(spilled), set(fitting));
}

#[test]
fn a_crawl_that_fits_nowhere_is_resumed() {
    let path = folder("resumed");
    let mut visited = block(async { crawl(&mut in_folder(&path, false), 3000, 1000).await });
    visited.extend(block(async { crawl(&mut in_folder(&path, true), 3000, 9999).await }));
    let distinct: BTreeSet<&(u32, String)> = visited.iter().collect();
    assert_eq!((visited.len(), distinct.len()), (3001, 3001));
    std::fs::remove_dir_all(&path).unwrap();
}

#[test]
fn a_full_disk_ends_the_crawl_with_a_sentence_and_the_rest_is_kept() {
    let path = folder("full");
    let kept = block(async {
        let mut frontier = in_folder(&path, false);
        let kept = crawl(&mut frontier, 3000, 50).await.len() as u64;
        frontier.flush().await.unwrap();
        frontier.ask(|database| database.run("PRAGMA cache_size = 8")).await.unwrap();
        frontier
            .ask(|database| {
                database.fill_disk(2);
                Ok(())
            })
            .await
            .unwrap();
        let mut failure = None;
        for start in 0..100 {
            let many = (0..1000).map(|number| page(10_000 + start * 1000 + number, 1)).collect();
            failure = match frontier.add(many).await {
                Ok(_) => frontier.flush().await.err(),
                Err(failure) => Some(failure),
            };
            if failure.is_some() {
                break;
            }
        }
        let sentence = failure.unwrap().to_string();
        assert!(sentence.starts_with("the disk is full:") && sentence.ends_with("can be resumed"), "{sentence}");
        assert_eq!(frontier.flush().await.unwrap_err().to_string(), sentence);
        kept
    });
    let counts = block(async { in_folder(&path, true).counts().await.unwrap() });
    assert_eq!(counts.done, kept);
    std::fs::remove_dir_all(&path).unwrap();
}
