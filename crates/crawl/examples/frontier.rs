//! What a frontier costs: visits of pages with 20 links each, nearly all of which are known.
//!
//! `cargo run --release -p threefold-crawl --example frontier -- PAGES [FOLDER [OUTPUT]]`

#![allow(clippy::unwrap_used, reason = "an example that can't go on ends")]
#![allow(clippy::cast_precision_loss, reason = "seconds and counts of a measurement")]
#![allow(clippy::print_stdout, reason = "it is a program")]

use std::time::{Instant, SystemTime};

use rustix::time::{ClockId, clock_gettime};
use threefold_crawl::engine::{CrawlOptions, FrontierPlace, OutputFile};
use threefold_crawl::frontier::{Frontier, FrontierSettings, Identity, Wanted, open};
use threefold_crawl::url::Fingerprint;
use threefold_crawl::{EntryKind, EntryState, Item, NewEntry, Visit};

fn page(number: u64, depth: u32) -> NewEntry {
    NewEntry {
        url: format!("http://127.0.0.1:8080/section/{}/page-{number}.html", number % 50),
        fingerprint: Fingerprint(u128::from(number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)),
        depth,
        parent: Some("http://127.0.0.1:8080/section/1/page-1.html".into()),
        kind: EntryKind::Page,
        request: None,
    }
}

fn processor_seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let pages: u64 = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(50_000);
    let place = match arguments.next() {
        Some(path) => FrontierPlace::Folder { path: path.into(), resume: false, durable: false },
        None => FrontierPlace::Memory,
    };
    let output = arguments.next().map(|path| OutputFile { path: path.into() });
    let makes_items = output.is_some();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let begun = Instant::now();
    let visited = runtime.block_on(async {
        let settings = FrontierSettings { output, ..FrontierSettings::default() };
        let mut frontier = open(&place, &Identity::of(&CrawlOptions::default()), settings).await.unwrap();
        let filter = frontier.known_filter();
        frontier.add(vec![page(1, 0)]).await.unwrap();
        let mut visited = 0;
        loop {
            let wanted = Wanted { count: 16, per_host: 16, full_hosts: &[], now: SystemTime::now() };
            let entries = frontier.take(wanted).await.unwrap();
            if entries.is_empty() {
                break;
            }
            visited += entries.len();
            for entry in entries {
                let number = visited as u64 * 7 + entry.id.0;
                // As fetches do: what is known for certain is dropped before it costs anything.
                let links = [2 * entry.id.0, 2 * entry.id.0 + 1]
                    .into_iter()
                    .chain((0..18).map(|link| (number + link * link) % pages));
                let links = links.filter(|link| *link < pages).map(|link| page(link, entry.depth + 1));
                let links = links.filter(|link| !filter.contains(link.fingerprint)).collect();
                let mut visit = Visit { links, ..Visit::new(entry.id, EntryState::Done(200)) };
                if makes_items {
                    let json = format!(
                        "{{\"url\":\"{}\",\"status\":200,\"title\":\"A page\",\"depth\":{}}}",
                        entry.url, entry.depth
                    );
                    visit.items.push(Item { json });
                }
                frontier.record(vec![visit]).await.unwrap();
            }
        }
        frontier.flush().await.unwrap();
        visited
    });
    let (all, own) = (processor_seconds(ClockId::ProcessCPUTime), processor_seconds(ClockId::ThreadCPUTime));
    let each = |seconds: f64| seconds * 1e6 / visited as f64;
    println!(
        "{visited} pages in {:.2} s; processor time a page: {:.2} us in all, {:.2} us of it on the engine's side",
        begun.elapsed().as_secs_f64(),
        each(all),
        each(own)
    );
}
