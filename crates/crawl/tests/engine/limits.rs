//! What ends a crawl before the site does: budgets, refusals, a stop.

use std::sync::Arc;
use std::time::Duration;

use crate::pages::Answering;
use crate::site::{Asked, Reply, Site};
use crate::{LIMIT, crawl, options};
use threefold_crawl::engine::{Crawl, CrawlError, CrawlOptions, Ending};
use threefold_crawl::sink::{Made, Sink};
use threefold_crawl::{EntryId, Item};

/// Pages without end, each with links to ten others.
fn endless(asked: &Asked) -> Reply {
    if asked.path == "/robots.txt" {
        return Reply::status(404);
    }
    let number: u64 = asked.path.trim_start_matches("/w").parse().unwrap_or(0);
    let paths: Vec<String> = (1..=10).map(|turn| format!("/w{}", number * 10 + turn)).collect();
    Reply::links(&paths)
}

#[test]
fn never_more_than_the_pages_asked_for_are_fetched() {
    for concurrency in [1, 32] {
        let site = Site::start(endless);
        let report = crawl(CrawlOptions { pages: Some(25), concurrency, ..options(site.url("/w0")) });
        assert_eq!((report.ending, report.progress.pages), (Ending::Pages, 25));
        assert_eq!(site.paths().len(), 25);
    }
}

#[test]
fn a_limit_of_just_the_pages_there_are_is_a_finished_crawl() {
    let site = Site::start(|asked| if asked.path == "/" { Reply::links(&["/a"]) } else { Reply::html("") });
    let report = crawl(CrawlOptions { pages: Some(2), ..options(site.url("/")) });
    assert_eq!((report.ending, report.progress.pages), (Ending::Finished, 2));
}

#[test]
fn a_crawl_ends_when_its_time_is_up() {
    let site = Site::start(|asked| endless(asked).after(Duration::from_millis(5)));
    let report = crawl(CrawlOptions { time: Some(Duration::from_millis(200)), ..options(site.url("/w0")) });
    assert_eq!(report.ending, Ending::Time);
    assert!(report.progress.counts.queued > 0);
}

#[test]
fn a_crawl_ends_when_its_bytes_are_used_up() {
    let site = Site::start(endless);
    let report = crawl(CrawlOptions { bytes: Some(5000), concurrency: 1, ..options(site.url("/w0")) });
    assert_eq!(report.ending, Ending::Bytes);
    assert!(report.progress.bytes >= 5000 && report.progress.bytes < 6000, "{}", report.progress.bytes);
}

#[test]
fn a_host_has_its_own_budget() {
    let site = Site::start(|asked| match asked.path.as_str() {
        "/" => Reply::links(&["/a", "/b", "/c", "/d"]),
        _ => Reply::html(""),
    });
    let report = crawl(CrawlOptions { pages_per_host: Some(3), concurrency: 1, ..options(site.url("/")) });
    assert_eq!(report.progress.pages, 3);
    assert_eq!(report.progress.refusals["host_budget"], 2);
}

#[test]
fn a_stopped_crawl_ends_with_what_was_in_flight() {
    let site = Site::start(|asked| endless(asked).after(Duration::from_millis(2)));
    let crawl = Crawl::start(options(site.url("/w0")), None).unwrap();
    while crawl.progress().pages < 20 {
        std::thread::yield_now();
    }
    crawl.stop();
    let report = crawl.wait(Some(LIMIT)).unwrap();
    assert_eq!(report.ending, Ending::Stopped);
    assert_eq!(report.progress.in_flight, 0);
    assert_eq!(report.progress.counts.leased, 0);
    assert_eq!(report.progress.counts.done, report.progress.pages);
}

#[test]
fn what_robots_txt_disallows_is_never_asked_for() {
    let site = Site::start(|asked| match asked.path.as_str() {
        "/robots.txt" => Reply::status(200).body("User-agent: *\nDisallow: /private\n"),
        "/" => Reply::links(&["/a", "/private/x", "/private/y"]),
        _ => Reply::html(""),
    });
    let report = crawl(options(site.url("/")));
    assert_eq!(site.path_set(), ["/", "/a"]);
    assert_eq!(report.progress.refusals["robots"], 2);
    assert_eq!(site.asked().first().unwrap().path, "/robots.txt");
    assert_eq!(site.asked().iter().filter(|asked| asked.path == "/robots.txt").count(), 1);
}

#[test]
fn robots_txt_is_not_asked_where_it_is_switched_off() {
    let site = Site::start(|_| Reply::html(""));
    crawl(CrawlOptions { robots: false, ..options(site.url("/")) });
    assert_eq!(site.asked().len(), 1);
}

#[test]
fn a_crawl_whose_seed_cannot_be_had_says_why() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let seed = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let report = crawl(CrawlOptions { robots: false, retries: 0, ..options(seed) });
    assert_eq!(report.ending, Ending::NoSeed);
    assert_eq!(report.progress.errors["connect"], 1);
    assert!(report.error.unwrap().contains("127.0.0.1"));
}

#[test]
fn what_is_no_url_is_refused_with_a_sentence() {
    for (seed, part) in [("http://", "no URL"), ("mailto:a@b", "can't be fetched"), ("ftp://x/", "can't be fetched")] {
        let Err(CrawlError::Options(sentence)) = Crawl::start(options(seed.to_owned()), None) else { panic!("{seed}") };
        assert!(sentence.contains(part) && sentence.contains(seed), "{sentence}");
    }
}

#[test]
fn never_more_than_the_options_say_are_in_flight_at_a_host() {
    let site = Site::start(|asked| match asked.path.strip_prefix("/w").and_then(|rest| rest.parse::<u64>().ok()) {
        Some(number) if number < 100 => endless(asked).after(Duration::from_millis(1)),
        Some(_) => Reply::html("").after(Duration::from_millis(1)),
        None => Reply::status(404),
    });
    crawl(CrawlOptions { per_host: 3, concurrency: 50, ..options(site.url("/w0")) });
    assert!(site.most_at_once() <= 3, "{}", site.most_at_once());
}

#[test]
fn a_status_that_may_pass_is_tried_again() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let site = Site::start(move |asked| match asked.path.as_str() {
        "/" if count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 => {
            Reply::status(503).with("Retry-After", "0")
        }
        "/" => Reply::links(&["/a"]),
        _ => Reply::html(""),
    });
    let report = crawl(options(site.url("/")));
    assert_eq!(site.path_set(), ["/", "/a"]);
    assert_eq!(report.progress.statuses[&503], 1);
    assert_eq!(report.progress.pages, 2);
}

#[test]
fn a_program_answers_pages_with_items_and_requests() {
    let site = Site::start(|_| Reply::html("<title>x</title>"));
    let more = site.url("/asked-for");
    let sink = Arc::new(Answering::new(move |crawl, page| {
        let items = vec![Item { json: format!("{{\"url\":\"{}\"}}", page.url) }];
        let requests = if page.depth == 0 {
            crawl.new_entry(&more, page.depth + 1, Some(&page.url), None).unwrap().into_iter().collect()
        } else {
            Vec::new()
        };
        Some(Made { entry: Some(page.entry), items, requests, error: None })
    }));
    let crawl = Arc::new(Crawl::start(options(site.url("/")), Some(Arc::clone(&sink) as Arc<dyn Sink>)).unwrap());
    sink.begin(&crawl);
    let report = crawl.wait(Some(LIMIT)).unwrap();
    assert_eq!((report.ending, report.progress.pages, report.progress.items), (Ending::Finished, 2, 2));
    assert_eq!(report.progress.counts.done, 2);
    assert_eq!(site.path_set(), ["/", "/asked-for"]);
}

#[test]
fn what_a_program_asks_for_again_is_no_entry_any_more() {
    let site = Site::start(|_| Reply::html(""));
    let addresses = [site.url("/"), site.url("/a")];
    let new_counts = Arc::new(std::sync::Mutex::new(Vec::new()));
    let counted = Arc::clone(&new_counts);
    let sink = Arc::new(Answering::new(move |crawl, page| {
        let entries = addresses.iter().chain(&addresses);
        let requests: Vec<_> =
            entries.filter_map(|url| crawl.new_entry(url, 1, Some(&page.url), None).unwrap()).collect();
        counted.lock().unwrap().push(requests.len());
        Some(Made { entry: Some(page.entry), requests, ..Made::default() })
    }));
    let crawl = Arc::new(Crawl::start(options(site.url("/")), Some(Arc::clone(&sink) as Arc<dyn Sink>)).unwrap());
    sink.begin(&crawl);
    let report = crawl.wait(Some(LIMIT)).unwrap();
    assert_eq!((report.ending, report.progress.pages), (Ending::Finished, 2));
    // Twice the one that was new, whose repetition the answer drops; then nothing.
    assert_eq!(*new_counts.lock().unwrap(), [2, 0]);
    assert_eq!(site.path_set(), ["/", "/a"]);
}

#[test]
fn a_page_whose_program_fails_is_marked_and_the_crawl_goes_on() {
    let site = Site::start(|asked| if asked.path == "/" { Reply::links(&["/a", "/b"]) } else { Reply::html("") });
    let sink = Arc::new(Answering::new(|_, page| {
        let error = page.url.ends_with("/a").then(|| "ValueError: no".to_owned());
        Some(Made { entry: Some(page.entry), error, ..Made::default() })
    }));
    let crawl = Arc::new(Crawl::start(options(site.url("/")), Some(Arc::clone(&sink) as Arc<dyn Sink>)).unwrap());
    sink.begin(&crawl);
    let report = crawl.wait(Some(LIMIT)).unwrap();
    assert_eq!((report.ending, report.progress.pages), (Ending::Finished, 3));
    assert_eq!((report.progress.counts.failed, report.progress.errors["program"]), (1, 1));
}

#[test]
fn a_crawl_whose_program_never_answers_can_be_aborted() {
    let site = Site::start(|_| Reply::html(""));
    let sink = Arc::new(Answering::new(|_, _| None));
    let crawl = Arc::new(Crawl::start(options(site.url("/")), Some(Arc::clone(&sink) as Arc<dyn Sink>)).unwrap());
    sink.begin(&crawl);
    while crawl.progress().pages < 1 {
        std::thread::yield_now();
    }
    assert!(crawl.wait(Some(Duration::from_millis(20))).is_none());
    crawl.abort();
    assert_eq!(crawl.wait(Some(LIMIT)).unwrap().ending, Ending::Stopped);
    crawl.answer(vec![Made { entry: Some(EntryId(1)), ..Made::default() }]);
}
