//! Redirects: followed hop by hop, each target visited once, loops refused.

use std::sync::Arc;

use crate::site::{Asked, Reply, Site};
use crate::{LIMIT, crawl, options};
use threefold_crawl::engine::{Crawl, CrawlOptions, Ending, Report};
use threefold_crawl::sink::Sink;

use crate::pages::Kept;

fn crawl_into(options: CrawlOptions, sink: &Arc<Kept>) -> Report {
    let sink: Arc<dyn Sink> = Arc::clone(sink) as Arc<dyn Sink>;
    Crawl::start(options, Some(sink)).unwrap().wait(Some(LIMIT)).unwrap()
}

/// A site without a robots.txt, whatever else is answered.
fn site(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Site {
    Site::start(move |asked| if asked.path == "/robots.txt" { Reply::status(404) } else { handler(asked) })
}

#[test]
fn a_redirect_leads_to_a_page_with_both_addresses() {
    let site = site(|asked| match asked.path.as_str() {
        "/old" => Reply::redirect(301, "/new"),
        "/new" => Reply::html("<title>New</title>"),
        _ => Reply::status(404),
    });
    let sink = Arc::new(Kept::default());
    let report = crawl_into(options(site.url("/old")), &sink);
    assert_eq!((report.ending, report.progress.pages), (Ending::Finished, 1));
    let pages = sink.pages();
    assert_eq!(pages.len(), 1);
    assert_eq!((&*pages[0].url, &*pages[0].final_url), (&*site.url("/old"), &*site.url("/new")));
}

#[test]
fn a_seed_that_leads_out_of_the_scope_says_where_to_begin() {
    let other = site(|_| Reply::html("<title>Elsewhere</title>"));
    let target = other.url("/");
    let site = site(move |_| Reply::redirect(301, &target));
    let report = crawl(options(site.url("/")));
    assert_eq!((report.ending, report.progress.refusals["out_of_scope"]), (Ending::NoSeed, 1));
    let (from, to) = (site.url("/"), other.url("/"));
    assert_eq!(report.error.unwrap(), format!("{from} leads to {to}, which is outside the scope: begin there"));
    assert!(other.asked().is_empty());
}

#[test]
fn a_target_that_others_lead_to_is_visited_once() {
    for concurrency in [1, 16] {
        let site = site(|asked| match asked.path.as_str() {
            "/" => Reply::links(&["/a", "/b", "/target", "/c"]),
            "/a" | "/b" | "/c" => Reply::redirect(302, "/target"),
            "/target" => Reply::links(&["/"]),
            _ => Reply::status(404),
        });
        let report = crawl(CrawlOptions { concurrency, ..options(site.url("/")) });
        assert_eq!(report.progress.pages, 2);
        assert_eq!(site.paths().iter().filter(|path| *path == "/target").count(), 1);
    }
}

#[test]
fn a_page_that_redirects_to_itself_is_refused() {
    let site = site(|asked| match asked.path.as_str() {
        "/" => Reply::links(&["/self"]),
        _ => Reply::redirect(302, "/self"),
    });
    let report = crawl(options(site.url("/")));
    assert_eq!(report.progress.refusals["redirect_loop"], 1);
    assert_eq!(site.paths(), ["/", "/self"]);
}

#[test]
fn two_pages_that_redirect_to_each_other_are_asked_once_each() {
    let site = site(|asked| match asked.path.as_str() {
        "/" => Reply::links(&["/a"]),
        "/a" => Reply::redirect(302, "/b"),
        _ => Reply::redirect(302, "/a"),
    });
    let report = crawl(options(site.url("/")));
    assert_eq!(report.progress.refusals["redirect_loop"], 1);
    assert_eq!(site.paths(), ["/", "/a", "/b"]);
}

#[test]
fn a_chain_without_end_is_left_after_ten_redirects() {
    let site = site(|asked| {
        let number: u32 = asked.path.trim_start_matches("/hop-").parse().unwrap_or(0);
        Reply::redirect(302, format!("/hop-{}", number + 1))
    });
    let report = crawl(options(site.url("/hop-0")));
    assert_eq!(report.progress.refusals["redirect_loop"], 1);
    assert_eq!(site.paths().len(), 11);
}

#[test]
fn a_cookie_gate_opens() {
    let site = site(|asked| match (asked.path.as_str(), asked.header("cookie").contains("pass=1")) {
        ("/", false) => Reply::redirect(302, "/").with("Set-Cookie", "pass=1"),
        ("/", true) => Reply::links(&["/inside"]),
        ("/inside", true) => Reply::html("in"),
        _ => Reply::status(403),
    });
    let report = crawl(options(site.url("/")));
    assert_eq!(site.paths(), ["/", "/", "/inside"]);
    assert_eq!(report.progress.pages, 2);
    assert!(report.progress.refusals.is_empty(), "{report:?}");
}

#[test]
fn a_gate_on_another_page_opens() {
    let site = site(|asked| match (asked.path.as_str(), asked.header("cookie").contains("pass=1")) {
        ("/", false) => Reply::redirect(302, "/login"),
        ("/login", _) => Reply::redirect(302, "/").with("Set-Cookie", "pass=1; Path=/"),
        ("/", true) => Reply::links(&["/inside"]),
        _ => Reply::html("in"),
    });
    let report = crawl(options(site.url("/")));
    assert_eq!(site.paths(), ["/", "/login", "/", "/inside"]);
    assert_eq!(report.progress.pages, 2);
}

#[test]
fn a_redirect_out_of_the_scope_is_refused() {
    let site = site(|asked| match asked.path.as_str() {
        "/" => Reply::links(&["/away"]),
        _ => Reply::redirect(302, "http://elsewhere.example/"),
    });
    let report = crawl(options(site.url("/")));
    assert_eq!(report.progress.refusals["out_of_scope"], 1);
    assert_eq!(report.progress.pages, 1);
}

#[test]
fn a_redirect_to_a_private_address_of_another_host_is_refused() {
    let inner = Site::start_on("127.0.0.2", |_| Reply::html("secret"));
    let target = inner.url("/secret");
    let site = site(move |asked| match asked.path.as_str() {
        "/" => Reply::links(&["/away"]),
        _ => Reply::redirect(302, target.clone()),
    });
    let scope = threefold_crawl::engine::ScopeKind::Regex(".*".to_owned());
    let report = crawl(CrawlOptions { scope, ..options(site.url("/")) });
    assert_eq!(report.progress.refusals["private_address"], 1);
    assert!(inner.asked().is_empty());
}
