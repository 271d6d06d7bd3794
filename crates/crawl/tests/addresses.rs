//! Links joined by hand are what the WHATWG parser makes of them, and a canonical form is its own canonical form.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use threefold_crawl::engine::ScopeKind;
use threefold_crawl::url::{
    Addresses, Base, Fingerprints, Scope, Target, Traps, Url, canonical, check_shape, host_key, is_private_host,
};

static TABLE: LazyLock<Addresses> = LazyLock::new(|| {
    let scope = Scope::new(&ScopeKind::Regex(".".into()), &[], &[], &[]).unwrap();
    Addresses::new(Fingerprints::new([3; 16]), Arc::new(scope), true, 1_000)
});

/// Pieces of links of every kind, and what stands between them.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-zA-Z0-9_.~-]{0,6}",
        4 => "[./?#:;=&%@\\\\]",
        2 => prop::sample::select(vec!["../", "./", "..", ".", "/..", "/.", "//", "%2e", "%2E%2e", "%41", "http:", "https://", "HTTP://", "http://a.example/", "http://u@a.example:81/", "mailto:", "javascript:", "file:", "ws:", "C|/", ":80", "xn--"]).prop_map(str::to_owned),
        1 => "[ \t\n\r'\"<>`{}|^\\[\\]éß€\u{0}\u{7f}]",
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

const BASES: [&str; 8] = [
    "http://a.example/",
    "http://a.example/b/c/d.html?q=1#f",
    "https://a.example:8443/b/",
    "http://u:p@a.example:81/b//c",
    "http://[::1]/x/y?z/../w",
    "http://127.0.0.1:8901/p/0.html",
    "http://a.example//",
    "ftp://a.example/b/c",
];

fn check(base: &str, href: &str) -> Result<(), TestCaseError> {
    let base_url = Url::parse(base).unwrap();
    let expected = base_url.join(href).ok().map(|mut url| {
        url.set_fragment(None);
        url
    });
    let target: Arc<Target> = TABLE.resolve(&Base::new(base_url.as_str()), href, &mut String::new());
    match expected {
        Some(url) if matches!(url.scheme(), "http" | "https") => {
            prop_assert_eq!(&*target.url, url.as_str(), "{:?} on {}", href, base);
            prop_assert_eq!(target.fingerprint, TABLE.fingerprints().of(&url));
        }
        _ => prop_assert!(target.verdict.is_err(), "{:?} on {} became {}", href, base, target.url),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_link_is_joined_as_the_parser_joins_it(links in prop::collection::vec((0..BASES.len(), soup()), 1..4)) {
        for (base, href) in links.iter().chain(&links) {
            check(BASES[*base], href)?;
        }
    }

    #[test]
    fn an_address_that_stands_alone_is_what_the_parser_makes_of_it(base in 0..BASES.len(), text in soup()) {
        for text in [text.clone(), format!("{}{text}", BASES[base])] {
            let _ = TABLE.resolve(&Base::new(BASES[0]), &text, &mut String::new());
            for _ in 0..2 {
                let target = TABLE.target(&text);
                let expected = Url::parse(&text).ok().map(|mut url| {
                    url.set_fragment(None);
                    url
                });
                prop_assert_eq!(target.is_some(), expected.is_some(), "{:?}", &text);
                if let (Some(target), Some(url)) = (target, expected.filter(|url| matches!(url.scheme(), "http" | "https"))) {
                    prop_assert_eq!(&*target.url, url.as_str(), "{:?}", &text);
                }
            }
        }
    }

    #[test]
    fn a_canonical_form_is_its_own(text in soup()) {
        let url = Url::parse(BASES[1]).unwrap().join(&text);
        if let Some(url) = url.ok().filter(|url| matches!(url.scheme(), "http" | "https")) {
            let once = canonical(&url).into_owned();
            let again = Url::parse(&once).unwrap();
            prop_assert_eq!(canonical(&again), once);
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>(), other in soup()) {
        let mut traps = Traps::default();
        for text in [&text, &other] {
            let target = TABLE.resolve(&Base::new(text), text, &mut String::new());
            let _ = TABLE.resolve(&Base::new(BASES[1]), text, &mut String::new());
            let _ = (check_shape(text), host_key(text), traps.enter(text), traps.enter(&target.url));
            let seen = TABLE.join(text, text);
            if let Some(url) = seen.and_then(|target| Url::parse(&target.url).ok()) {
                let _ = (is_private_host(&url), TABLE.scope().explain(&url));
            }
        }
    }
}

#[test]
fn the_table_is_shared_by_threads() {
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                let base = Base::new("http://a.example/p/");
                for number in 0..20_000_u32 {
                    let target = TABLE.resolve(&base, &format!("{}.html", number % 700), &mut String::new());
                    assert_eq!(&*target.url, format!("http://a.example/p/{}.html", number % 700));
                }
            });
        }
    });
}
