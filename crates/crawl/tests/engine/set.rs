//! Which pages a crawl visits: all of a site, each once, whatever the concurrency.

use crate::site::{Asked, Reply, Site};
use crate::{crawl, options};
use proptest::prelude::*;
use threefold_crawl::engine::{CrawlOptions, Ending};

/// A site of `count` pages, each with links to its two children and to others; robots.txt is not there.
fn graph(count: u64, seed: u64) -> impl Fn(&Asked) -> Reply {
    move |asked| {
        let Some(number) = asked.path.strip_prefix("/p/").and_then(|rest| rest.parse::<u64>().ok()) else {
            return Reply::status(404);
        };
        if number >= count {
            return Reply::status(404);
        }
        let mut links: Vec<u64> = [2 * number + 1, 2 * number + 2].into_iter().filter(|child| *child < count).collect();
        links.extend((0..5).map(|turn| (number * 31 + seed * 17 + turn * 101) % count));
        let paths: Vec<String> = links.iter().map(|link| format!("/p/{link}")).collect();
        Reply::links(&paths)
    }
}

fn sorted_paths(count: u64) -> Vec<String> {
    let mut paths: Vec<String> = (0..count).map(|number| format!("/p/{number}")).collect();
    paths.sort();
    paths
}

#[test]
fn every_page_is_visited_exactly_once_at_any_concurrency() {
    for concurrency in [1, 64] {
        let site = Site::start(graph(300, 1));
        let report = crawl(CrawlOptions { concurrency, per_host: concurrency, ..options(site.url("/p/0")) });
        assert_eq!(report.ending, Ending::Finished, "{report:?}");
        assert_eq!(report.progress.pages, 300);
        let mut paths = site.paths();
        paths.sort();
        assert_eq!(paths, sorted_paths(300));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn concurrency_and_threads_never_change_what_is_visited(
        count in 1_u64..80, seed in 0_u64..1000, concurrency in 1_usize..40, threads in 1_usize..4,
    ) {
        let site = Site::start(graph(count, seed));
        let report = crawl(CrawlOptions { concurrency, threads, ..options(site.url("/p/0")) });
        let mut paths = site.paths();
        paths.sort();
        prop_assert_eq!(report.progress.pages, count);
        prop_assert_eq!(paths, sorted_paths(count));
    }
}

#[test]
fn fragments_and_tracking_parameters_are_no_pages_of_their_own() {
    let site = Site::start(|asked| match asked.path.as_str() {
        "/" => Reply::links(&["/a", "/a#part", "/a?utm_source=x", "a", "./a", "mailto:a@b", "javascript:void(0)"]),
        "/a" => Reply::links(&["/", "#here"]),
        _ => Reply::status(404),
    });
    let report = crawl(options(site.url("/")));
    assert_eq!(report.progress.pages, 2);
    assert_eq!(site.path_set(), ["/", "/a"]);
}

#[test]
fn pages_beyond_the_depth_are_refused_and_counted() {
    let site = Site::start(|asked| match asked.path.as_str() {
        "/0" => Reply::links(&["/1"]),
        "/1" => Reply::links(&["/2", "/0"]),
        "/2" => Reply::links(&["/3"]),
        _ => Reply::status(404),
    });
    let report = crawl(CrawlOptions { depth: 1, ..options(site.url("/0")) });
    assert_eq!(site.path_set(), ["/0", "/1"]);
    assert_eq!(report.progress.refusals["too_deep"], 1);
}

#[test]
fn links_out_of_the_scope_are_counted_once_each() {
    let site = Site::start(|asked| match asked.path.as_str() {
        "/" => Reply::links(&["/a", "http://elsewhere.example/x", "http://elsewhere.example/y"]),
        "/a" => Reply::links(&["http://elsewhere.example/x"]),
        _ => Reply::status(404),
    });
    let report = crawl(options(site.url("/")));
    assert_eq!(report.progress.refusals["out_of_scope"], 2);
    assert_eq!(report.progress.pages, 2);
}

#[test]
fn another_port_of_a_private_seed_s_host_is_out_of_the_scope() {
    let other = Site::start(|_| Reply::html("of somebody else"));
    let target = other.url("/");
    let site = Site::start(move |asked| if asked.path == "/" { Reply::links(&[&target]) } else { Reply::status(404) });
    let report = crawl(options(site.url("/")));
    assert_eq!((report.progress.pages, report.progress.refusals["out_of_scope"]), (1, 1));
    assert!(other.asked().is_empty());
}

#[test]
fn nofollow_is_heeded_and_the_address_stays_open_for_other_links() {
    let site = Site::start(|asked| match asked.path.as_str() {
        "/" => Reply::html("<a rel=nofollow href=/a>x</a><a rel=nofollow href=/b>x</a><a href=/c>x</a>"),
        "/c" => Reply::links(&["/a"]),
        _ => Reply::html(""),
    });
    let report = crawl(options(site.url("/")));
    assert_eq!(site.path_set(), ["/", "/a", "/c"]);
    assert_eq!(report.progress.refusals["nofollow"], 2);
}

#[test]
fn sitemaps_are_read_where_asked_for() {
    let site = Site::start(|asked| match asked.path.as_str() {
        "/robots.txt" => Reply::status(200).body("User-agent: *\nDisallow: /no\nSitemap: /index.xml\n"),
        "/index.xml" => Reply::status(200).body(
            "<sitemapindex><sitemap><loc>HOST/map.xml</loc></sitemap></sitemapindex>"
                .replace("HOST", &format!("http://{}", asked.header("host"))),
        ),
        "/map.xml" => Reply::status(200).body(
            "<urlset><url><loc>HOST/hidden</loc></url><url><loc>HOST/no</loc></url></urlset>"
                .replace("HOST", &format!("http://{}", asked.header("host"))),
        ),
        _ => Reply::html(""),
    });
    let report = crawl(CrawlOptions { sitemaps: true, ..options(site.url("/")) });
    assert_eq!(site.path_set(), ["/", "/hidden", "/index.xml", "/map.xml"]);
    assert_eq!(report.progress.pages, 2);
    assert_eq!(report.progress.refusals["robots"], 1);
}
