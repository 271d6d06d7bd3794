//! Writes a web archive of a few pages, for readers of archives to be tried on it: `cargo run --example archive -- FILE`.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use threefold_crawl::engine::{FrontierPlace, OutputFile};
use threefold_crawl::frontier::{Frontier, FrontierError, FrontierSettings, Identity, Wanted, open};
use threefold_crawl::sink::{OutputFormat, archive_page};
use threefold_crawl::url::Fingerprint;
use threefold_crawl::{Entry, EntryKind, EntryState, NewEntry, Page, RequestParts, Visit};

fn new_entry(path: &str) -> NewEntry {
    NewEntry {
        url: format!("http://example.test/{path}"),
        fingerprint: Fingerprint(path.len() as u128),
        depth: 0,
        parent: None,
        kind: EntryKind::Page,
        request: None,
    }
}

fn page(entry: &Entry, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Page {
    let url: Arc<str> = entry.url.as_str().into();
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), Bytes::copy_from_slice(value.as_bytes())));
    Page {
        status,
        headers: headers.collect(),
        body: Bytes::copy_from_slice(body),
        elapsed: Duration::from_millis(1),
        ..Page::without_answer(entry.id, Arc::clone(&url), url)
    }
}

async fn write(output: OutputFile) -> Result<(), FrontierError> {
    let gzip = OutputFormat::of(&output)? == OutputFormat::Warc { gzip: true };
    let settings = FrontierSettings { output: Some(output), ..FrontierSettings::default() };
    let mut frontier = open(&FrontierPlace::Memory, &Identity::default(), settings).await?;
    frontier.add(["", "a", "no", "none"].map(new_entry).to_vec()).await?;
    let entries = frontier.take(Wanted { count: 9, per_host: 9, full_hosts: &[], now: UNIX_EPOCH }).await?;
    let html = ("content-type", "text/html; charset=utf-8");
    let unpacked =
        [html, ("content-encoding", "gzip"), ("content-length", "17"), ("set-cookie", "a=1"), ("set-cookie", "b=2")];
    let mut pages = [
        page(&entries[0], 200, &unpacked, "<h1>Grüße</h1>".as_bytes()),
        page(&entries[1], 200, &[("content-type", "application/octet-stream")], &[0, 13, 10, 13, 10, 255]),
        page(&entries[2], 404, &[html], b""),
        page(&entries[3], 0, &[], b""),
    ];
    pages[1].request = Some(Box::new(RequestParts {
        method: "POST".to_owned(),
        headers: vec![("x-asked".to_owned(), "yes".to_owned())],
        body: b"question".to_vec(),
        data: String::new(),
    }));
    let fetched = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
    let visit = |page: &Page| Visit {
        archived: archive_page(page, fetched, &[7; 16], gzip),
        ..Visit::new(page.entry, EntryState::Done(page.status))
    };
    frontier.record(pages.iter().map(visit).collect()).await?;
    frontier.close().await
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("the file to write is missing")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(write(OutputFile { path: path.into() }))?)
}
