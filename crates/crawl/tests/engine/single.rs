//! One address: why it would be fetched or not, and one request outside a crawl.

use threefold_crawl::Refusal;
use threefold_crawl::engine::{CrawlError, FetchRequest, explain, fetch_one};

use crate::options;
use crate::site::{Reply, Site};

#[test]
fn an_explanation_names_the_rule_and_its_line() {
    let site = Site::start(|_| Reply::status(200).body("User-agent: *\nDisallow: /private\n"));
    let options = options(site.url("/"));
    let refused = explain(&options, &site.url("/private/x")).unwrap();
    assert_eq!((refused.fetched, refused.refusal), (false, Some(Refusal::Robots)));
    assert!(refused.reasons.iter().any(|reason| reason.contains("/private") && reason.contains('2')), "{refused:?}");
    let fetched = explain(&options, &site.url("/open?utm_source=x")).unwrap();
    assert!(fetched.fetched && fetched.refusal.is_none(), "{fetched:?}");
    assert_eq!(fetched.canonical, site.url("/open"));
}

#[test]
fn an_explanation_tells_what_is_out_of_the_scope() {
    let site = Site::start(|_| Reply::status(404));
    let explanation = explain(&options(site.url("/")), "http://127.0.0.9/").unwrap();
    assert_eq!((explanation.fetched, explanation.refusal), (false, Some(Refusal::OutOfScope)));
}

#[test]
fn an_explanation_of_what_is_no_url_is_an_error() {
    assert!(matches!(explain(&options("http://a/".to_owned()), "mailto:a@b"), Err(CrawlError::Options(_))));
}

#[test]
fn a_single_request_follows_redirects_where_it_is_to() {
    let site = Site::start(|asked| match asked.path.as_str() {
        "/old" => Reply::redirect(302, "/new"),
        _ => Reply::html("<title>New</title><a href=/next>x</a>"),
    });
    let request = FetchRequest { url: site.url("/old"), ..FetchRequest::default() };
    let page = fetch_one(&options(site.url("/")), request.clone()).unwrap();
    assert_eq!((page.status, &*page.final_url, page.title.as_deref()), (200, &*site.url("/new"), Some("New")));
    assert_eq!(page.links, [site.url("/next")]);
    let page = fetch_one(&options(site.url("/")), FetchRequest { follow: false, ..request }).unwrap();
    assert_eq!((page.status, &*page.final_url), (302, &*site.url("/old")));
    assert_eq!(site.paths(), ["/old", "/new", "/old"]);
}

#[test]
fn a_single_request_that_goes_round_in_circles_has_an_error() {
    let site = Site::start(|_| Reply::redirect(302, "/"));
    let request = FetchRequest { url: site.url("/"), ..FetchRequest::default() };
    let page = fetch_one(&options(site.url("/")), request).unwrap();
    assert!(page.error.unwrap().message.contains("redirects"));
    assert_eq!(site.paths().len(), 11);
}
