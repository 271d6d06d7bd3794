//! What goes with a host to whoever goes on with it, and what becomes of a crawl whose database is away.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use threefold_crawl::engine::{Crawl, CrawlOptions, Ending, FrontierPlace};
use tokio::net::{UnixListener, UnixStream};

use crate::server::postgres;
use crate::site::{Asked, Reply, Site};
use crate::{LIMIT, crawl};

const DELAY: Duration = Duration::from_millis(700);

fn slow_site(asked: &Asked) -> Reply {
    match asked.path.as_str() {
        "/robots.txt" => Reply::status(200).body("User-agent: *\nDisallow: /no\nCrawl-delay: 0.7\n"),
        "/" => Reply::links(&["/a", "/b", "/no"]),
        _ => Reply::html(""),
    }
}

/// Two crawls, one after the other, were as polite as one.
fn assert_polite(site: &Site) {
    let asked = site.asked();
    let paths: Vec<&str> = asked.iter().map(|asked| asked.path.as_str()).collect();
    assert_eq!(paths, ["/robots.txt", "/", "/a", "/b"]);
    // The delay is known once the file has been read.
    for pair in asked[1..].windows(2) {
        assert!(pair[1].time - pair[0].time >= DELAY, "{} after {:?}", pair[1].path, pair[1].time - pair[0].time);
    }
}

#[test]
fn a_resumed_crawl_knows_robots_txt_and_when_it_may_go_on() {
    let site = Site::start(slow_site);
    let path = std::env::temp_dir().join(format!("threefold-engine-hosts-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    let place = |resume| FrontierPlace::Folder { path: path.clone(), resume, durable: false };
    let options = CrawlOptions { seeds: vec![site.url("/")], ..CrawlOptions::default() };
    let first = crawl(CrawlOptions { frontier: place(false), pages: Some(2), ..options.clone() });
    assert_eq!(first.ending, Ending::Pages);
    let second = crawl(CrawlOptions { frontier: place(true), ..options });
    assert_eq!((second.ending, second.progress.refusals["robots"]), (Ending::Finished, 1));
    assert_polite(&site);
    let _ = std::fs::remove_dir_all(&path);
}

#[test]
fn a_worker_that_ends_gives_its_hosts_back_with_what_it_knows_of_them() {
    let Some(server) = postgres() else { return };
    let site = Site::start(slow_site);
    let frontier = FrontierPlace::Postgres(format!("{}&lease=3600", server.address("engine_hosts")));
    let options = CrawlOptions { seeds: vec![site.url("/")], frontier, ..CrawlOptions::default() };
    let first = crawl(CrawlOptions { pages: Some(2), ..options.clone() });
    assert_eq!((first.ending, first.error), (Ending::Pages, None));
    // It would wait for the lease, an hour, where that was not given back.
    let second = crawl(options);
    assert_eq!((second.ending, second.progress.counts.done), (Ending::Finished, 3));
    assert_polite(&site);
}

/// A way to the server that can be closed.
struct Proxy {
    folder: PathBuf,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Proxy {
    fn start(to: PathBuf) -> Self {
        let folder = std::env::temp_dir().join(format!("threefold-engine-proxy-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(async { UnixListener::bind(folder.join(".s.PGSQL.5432")).unwrap() });
        runtime.spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let to = to.clone();
                tokio::spawn(async move {
                    let Ok(mut database) = UnixStream::connect(to).await else { return };
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut database).await;
                });
            }
        });
        Self { folder, runtime: Some(runtime) }
    }

    fn close(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.close();
    }
}

#[test]
fn a_crawl_that_is_stopped_while_its_database_is_away_ends_soon_and_can_be_resumed() {
    let Some(server) = postgres() else { return };
    let site = Site::start(|asked| match asked.path.strip_prefix("/p").and_then(|rest| rest.parse::<u64>().ok()) {
        Some(number) if number < 100 => {
            Reply::links(&[format!("/p{}", 2 * number + 1), format!("/p{}", 2 * number + 2)])
                .after(Duration::from_millis(5))
        }
        Some(_) => Reply::html(""),
        None => Reply::status(404),
    });
    let mut proxy = Proxy::start(server.socket());
    let through = proxy.folder.to_str().unwrap().replace('/', "%2F");
    let place = format!("postgres://postgres@{through}/postgres?sslmode=disable&crawl=engine_away&lease=2");
    let options = CrawlOptions { seeds: vec![site.url("/p0")], per_host: 2, ..CrawlOptions::default() };
    let crawl =
        Crawl::start(CrawlOptions { frontier: FrontierPlace::Postgres(place), ..options.clone() }, None).unwrap();
    let begun = Instant::now();
    while crawl.progress().pages < 20 {
        assert!(begun.elapsed() < LIMIT, "20 pages have not come within {LIMIT:?}");
        std::thread::yield_now();
    }
    proxy.close();
    crawl.stop();
    let stopped = Instant::now();
    let report = crawl.wait(Some(LIMIT)).unwrap();
    assert!(stopped.elapsed() < Duration::from_secs(20), "{:?}", stopped.elapsed());
    let sentence = report.error.unwrap();
    assert_eq!(report.ending, Ending::Failed, "{sentence}");
    assert!(sentence.contains("can't be reached") && sentence.contains("will be visited again"), "{sentence}");

    let place = format!("{}&lease=2", server.address("engine_away"));
    let report = super::crawl(CrawlOptions { frontier: FrontierPlace::Postgres(place), ..options });
    assert_eq!((report.ending, report.progress.counts.done), (Ending::Finished, 201));
    assert_eq!(site.path_set().iter().filter(|path| path.starts_with("/p")).count(), 201);
}
