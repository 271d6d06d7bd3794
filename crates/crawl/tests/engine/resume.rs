//! A crawl that ends early and is resumed visits what an uninterrupted one visits; and sinks that are slow.

use std::fs;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::site::{Asked, Reply, Site};
use crate::{LIMIT, crawl};
use threefold_crawl::engine::{Crawl, CrawlOptions, Ending, FrontierPlace, OutputFile};
use threefold_crawl::page::Page;
use threefold_crawl::sink::Sink;

/// A folder of its own, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("threefold-engine-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn place(&self, resume: bool) -> FrontierPlace {
        FrontierPlace::Folder { path: self.0.clone(), resume, durable: false }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn tree(asked: &Asked) -> Reply {
    match asked.path.strip_prefix("/p").and_then(|rest| rest.parse::<u64>().ok()) {
        Some(number) if number < 31 => {
            Reply::links(&[format!("/p{}", 2 * number + 1), format!("/p{}", 2 * number + 2), "/p0".to_owned()])
        }
        Some(number) if number < 63 => Reply::links(&["/p0"]),
        _ => Reply::status(404),
    }
}

#[test]
fn a_crawl_in_steps_visits_each_page_once() {
    let site = Site::start(tree);
    let folder = Folder::new("steps");
    let options = CrawlOptions { seeds: vec![site.url("/p0")], pages: Some(10), ..CrawlOptions::default() };
    let mut report = crawl(CrawlOptions { frontier: folder.place(false), ..options.clone() });
    let mut steps = 1;
    while report.ending == Ending::Pages {
        assert_eq!(report.progress.pages, 10);
        report = crawl(CrawlOptions { frontier: folder.place(true), ..options.clone() });
        steps += 1;
    }
    assert_eq!((report.ending, steps), (Ending::Finished, 7));
    let mut paths = site.paths();
    paths.sort();
    assert_eq!(paths.len(), 63);
    assert_eq!(site.path_set().len(), 63);
}

#[test]
fn an_aborted_crawl_is_resumed_to_the_same_pages() {
    let site = Site::start(|asked| tree(asked).after(Duration::from_millis(2)));
    let folder = Folder::new("aborted");
    let options = CrawlOptions { seeds: vec![site.url("/p0")], ..CrawlOptions::default() };
    let crawl = Crawl::start(CrawlOptions { frontier: folder.place(false), ..options.clone() }, None).unwrap();
    while crawl.progress().pages < 5 {
        std::thread::yield_now();
    }
    crawl.abort();
    assert_eq!(crawl.wait(Some(LIMIT)).unwrap().ending, Ending::Stopped);
    let report = super::crawl(CrawlOptions { frontier: folder.place(true), ..options });
    assert_eq!(report.ending, Ending::Finished);
    assert_eq!(report.progress.counts.done, 63);
    assert_eq!(site.path_set().len(), 63);
}

/// Holds every page until it is let go.
struct Slow {
    held: AtomicUsize,
    gate: tokio::sync::Semaphore,
    urls: Mutex<Vec<String>>,
}

impl Sink for Slow {
    fn answers(&self) -> bool {
        false
    }

    fn deliver(&self, page: Page) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            self.held.fetch_add(1, Ordering::SeqCst);
            self.gate.acquire().await.unwrap().forget();
            self.urls.lock().unwrap().push(page.url.to_string());
        })
    }
}

#[test]
fn a_sink_that_waits_holds_the_crawl_and_loses_nothing() {
    let site = Site::start(tree);
    let sink = Arc::new(Slow {
        held: AtomicUsize::new(0),
        gate: tokio::sync::Semaphore::new(1),
        urls: Mutex::new(Vec::new()),
    });
    let options = CrawlOptions { seeds: vec![site.url("/p0")], concurrency: 2, ..CrawlOptions::default() };
    let crawl = Crawl::start(options, Some(Arc::clone(&sink) as Arc<dyn Sink>)).unwrap();
    while sink.held.load(Ordering::SeqCst) < 3 {
        std::thread::yield_now();
    }
    assert!(crawl.wait(Some(Duration::from_millis(50))).is_none());
    assert_eq!(site.paths().len(), 3);
    sink.gate.add_permits(100);
    assert_eq!(crawl.wait(Some(LIMIT)).unwrap().progress.pages, 63);
    assert_eq!(sink.urls.lock().unwrap().len(), 63);
}

#[test]
fn the_sink_is_dropped_after_the_end() {
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    impl Sink for Dropped {
        fn answers(&self) -> bool {
            false
        }
        fn deliver(&self, _: Page) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(async {})
        }
    }
    let site = Site::start(|_| Reply::html(""));
    let dropped = Arc::new(AtomicUsize::new(0));
    let options = CrawlOptions { seeds: vec![site.url("/")], ..CrawlOptions::default() };
    let crawl = Crawl::start(options, Some(Arc::new(Dropped(Arc::clone(&dropped))))).unwrap();
    assert!(crawl.wait(Some(LIMIT)).is_some());
    while dropped.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
}

#[test]
fn a_calendar_without_end_is_left_as_early_as_without_the_stop() {
    let folder = Folder::new("calendar");
    let path = |day: u64| format!("/calendar/{}/{}/{}", 2026 + day / 372, day / 31 % 12 + 1, day % 31 + 1);
    let site = Site::start(move |asked| {
        let numbers: Vec<u64> = asked.path.split('/').filter_map(|part| part.parse().ok()).collect();
        let [year, month, day] = numbers[..] else { return Reply::status(404) };
        let today = (year - 2026) * 372 + (month - 1) * 31 + day - 1;
        Reply::links(&[path(2 * today + 1), path(2 * today + 2)])
    });
    let options = CrawlOptions { seeds: vec![site.url(&path(0))], ..CrawlOptions::default() };
    let first = crawl(CrawlOptions { frontier: folder.place(false), pages: Some(2_000), ..options.clone() });
    let second = crawl(CrawlOptions { frontier: folder.place(true), ..options });
    assert_eq!((first.ending, second.ending), (Ending::Pages, Ending::Finished));
    assert_eq!(first.progress.pages + second.progress.pages, 5_000);
    assert!(second.progress.refusals["too_many_of_one_form"] > 0);
}

#[test]
fn declared_fields_are_those_of_pages_that_are_there() {
    let folder = Folder::new("fields");
    let site = Site::start(|asked| match asked.path.as_str() {
        "/" => Reply::html("<h1>Home</h1><a href=/a></a><a href=/gone></a><a href=/plain></a>"),
        "/a" => Reply::html("<h1>A</h1>"),
        "/plain" => Reply::status(200).with("content-type", "text/plain").body("<h1>no page</h1>"),
        _ => Reply::status(404).with("content-type", "text/html").body("<h1>Not found</h1>"),
    });
    let output = folder.0.with_extension("jsonl");
    let report = crawl(CrawlOptions {
        fields: vec![("head".to_owned(), "h1::text".to_owned())],
        output: Some(OutputFile { path: output.clone() }),
        concurrency: 1,
        seeds: vec![site.url("/")],
        frontier: folder.place(false),
        ..CrawlOptions::default()
    });
    let items = std::fs::read_to_string(&output).unwrap();
    std::fs::remove_file(output).unwrap();
    assert_eq!((report.progress.pages, report.progress.items), (4, 2));
    let item = |path: &str, head: &str| format!("{{\"url\":\"{}\",\"head\":\"{head}\"}}\n", site.url(path));
    assert_eq!(items, item("/", "Home") + &item("/a", "A"));
}
