//! The scanner of links finds what a WHATWG tokenizer finds: on generated soup, on real documents, on encodings of every kind.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use html5gum::{State, Token, Tokenizer};
use proptest::prelude::*;
use threefold_crawl::engine::ScopeKind;
use threefold_crawl::extract::{Extracted, LinkKind, Source, charset, decode, is_html, page, sitemap};
use threefold_crawl::url::{Addresses, Fingerprints, Scope, Traps, Url, check_shape};

const ADDRESS: &str = "http://a.example/docs/x.html";

static TABLE: LazyLock<Addresses> = LazyLock::new(|| {
    let scope = Scope::new(&ScopeKind::Regex(".".into()), &[], &[], &[]).unwrap();
    Addresses::new(Fingerprints::new([3; 16]), Arc::new(scope), true, 10_000)
});

fn read(body: &[u8], content_type: &str) -> Extracted {
    page(&Source { body, content_type: Some(content_type), url: ADDRESS, agent: "threefold", media: false }, &TABLE)
}

/// Links as `kind address`, those that are fetched.
fn links(extracted: &Extracted) -> Vec<String> {
    extracted
        .links
        .iter()
        .filter(|link| link.target.verdict.is_ok())
        .map(|link| format!("{:?} {}", link.kind, link.target.url))
        .collect()
}

/// What follows a start tag, as a tree builder without scripting would have it.
fn state_after(name: &[u8]) -> Option<State> {
    Some(match name {
        b"script" => State::ScriptData,
        b"style" | b"xmp" | b"iframe" | b"noembed" | b"noframes" => State::RawText,
        b"textarea" | b"title" => State::RcData,
        b"plaintext" => State::PlainText,
        _ => return None,
    })
}

/// The links and the title of a page by a tokenizer that is not ours; each address once.
fn oracle(html: &str) -> (Vec<String>, Option<String>) {
    let mut tokenizer = Tokenizer::new(html);
    let mut found: Vec<(&str, String)> = Vec::new();
    let (mut base, mut title, mut in_title): (Option<String>, Option<String>, bool) = (None, None, false);
    while let Some(token) = tokenizer.next() {
        match token.unwrap() {
            Token::StartTag(tag) => {
                let name: &[u8] = &tag.name;
                in_title = name == b"title" && title.is_none();
                if in_title {
                    title = Some(String::new());
                }
                if let Some(state) = state_after(name) {
                    tokenizer.set_state(state);
                }
                let value =
                    |name: &[u8]| tag.attributes.get(name).map(|value| String::from_utf8_lossy(value).into_owned());
                match name {
                    b"a" | b"area" => found.extend(value(b"href").map(|href| ("Anchor", href))),
                    b"iframe" | b"frame" => {
                        found
                            .extend(value(b"src").filter(|src| !src.trim_ascii().is_empty()).map(|src| ("Frame", src)));
                    }
                    b"link" => {
                        let rel = value(b"rel").unwrap_or_default();
                        found.extend(value(b"href").filter(|_| rel == "next").map(|href| ("Related", href)));
                    }
                    b"base" if base.is_none() => base = value(b"href"),
                    _ => {}
                }
            }
            Token::String(text) if in_title => {
                if let Some(title) = &mut title {
                    title.push_str(&String::from_utf8_lossy(&text));
                }
            }
            Token::EndTag(_) => in_title = false,
            _ => {}
        }
    }
    let address = Url::parse(ADDRESS).unwrap();
    let base =
        base.and_then(|href| address.join(&href).ok()).filter(|url| url.scheme() != "javascript").unwrap_or(address);
    let mut seen = std::collections::HashSet::new();
    let links = found.into_iter().filter_map(|(kind, href)| {
        let mut url = base.join(&href).ok()?;
        url.set_fragment(None);
        let is_new = matches!(url.scheme(), "http" | "https") && seen.insert(TABLE.fingerprints().of(&url));
        is_new.then(|| format!("{kind} {url}"))
    });
    let links = links.collect();
    let title = title
        .map(|title| title.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|title| !title.is_empty());
    (links, title)
}

/// Pieces of markup, parted by `¦`.
const NAMES: &str =
    "a¦A¦area¦base¦link¦iframe¦frame¦title¦script¦style¦textarea¦xmp¦noembed¦noframes¦noscript¦p¦b:c¦plaintext¦scripts";
const ATTRIBUTES: &str = "href¦HREF¦src¦rel=next¦href=q¦src='f'¦href=\"x\"¦title='>'¦alt=\"<a href=no>\"¦=href¦x=y=z¦href=x/¦data-href=\"n\"¦=\"q¦=''¦\"h'";
const ENDS: &str = ">¦ >¦/>¦¦ ¦\n>";
const PIECES: &str = "<!--¦-->¦--!>¦<!-->¦<!--->¦<!--->-->¦<!DOCTYPE html PUBLIC \">\">¦<!¦<?php¦</¦</>¦</ a>¦<![CDATA[¦]]>¦--¦-¦!¦?¦<¦>¦/¦/>\
    ¦=¦'¦\"¦ ¦\n¦\t¦\r\n¦\x0c¦\0¦&¦&amp;¦&ampx¦&amp=¦&#65;¦&#x26¦&notit;¦&not=¦&eacute¦x¦a¦é¦<script¦</script¦<!--<script>";

const SCRIPT: &str = "<!--¦<!-- ¦-->¦ --¦<script>¦<SCRIPT ¦<script/¦<script¦</script>¦</Script ¦</script/x='>'>¦</script¦-¦>¦<¦!¦/¦x¦<a href=s>";
const SIGNS: &str = "<¦<¦<a¦ href=¦'¦\"¦>¦=¦/¦!¦-¦ ¦\n¦x¦?¦&";

fn one_of(pieces: &'static str) -> impl Strategy<Value = &'static str> {
    prop::sample::select(pieces.split('¦').collect::<Vec<_>>())
}

fn soup() -> impl Strategy<Value = String> {
    let tag = (one_of(NAMES), prop::collection::vec(one_of(ATTRIBUTES), 0..4), one_of(ENDS));
    let piece = prop_oneof![
        6 => tag.prop_map(|(name, attributes, end)| format!("<{name} {}{end}", attributes.join(" "))),
        3 => one_of(NAMES).prop_map(|name| format!("</{name}>")),
        2 => (one_of("'¦\"¦"), "[a-z0-9&;=#./?]{0,8}").prop_map(|(quote, value)| format!("<a href={quote}{value}{quote}>")),
        6 => one_of(PIECES).prop_map(str::to_owned),
    ];
    prop_oneof![
        4 => prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat()),
        2 => prop::collection::vec(one_of(SCRIPT), 0..9).prop_map(|pieces| format!("<script>{}</script><a href=end>", pieces.concat())),
        2 => prop::collection::vec(one_of(SIGNS), 0..30).prop_map(|pieces| format!("<a href=1>{}<a href=2>", pieces.concat())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn soup_has_the_links_that_a_tokenizer_finds(html in soup()) {
        let extracted = read(html.as_bytes(), "text/html; charset=utf-8");
        let (expected, title) = oracle(&html);
        prop_assert_eq!(links(&extracted), expected, "{:?}", &html);
        prop_assert_eq!(extracted.title, title, "{:?}", &html);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), html in soup(), label in "[a-z0-9=;\" -]{0,20}") {
        for body in [&bytes[..], html.as_bytes(), &[&html.as_bytes()[..html.len() / 2], &bytes].concat()] {
            for content_type in ["text/html", "application/xhtml+xml", "text/html; charset=utf-16", "text/html; charset=shift_jis", "text/html; charset=iso-2022-jp", &label] {
                let extracted = page(&Source { body, content_type: Some(content_type), url: ADDRESS, agent: "", media: true }, &TABLE);
                let _ = (charset(body, Some(content_type)), decode(body, Some(extracted.charset), None), is_html(None, body));
            }
            let _ = sitemap(body);
        }
    }
}

fn html_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            html_files(&path, files);
        } else if path.extension().is_some_and(|end| end == "html") {
            files.push(path);
        }
    }
}

/// `THREEFOLD_REAL_PAGES` names a folder of documents (unpacked documentation packages); without it there is nothing to compare.
#[test]
fn real_documents_have_the_links_that_a_tokenizer_finds_and_no_traps() {
    let Some(folder) = std::env::var_os("THREEFOLD_REAL_PAGES") else { return };
    let mut files = Vec::new();
    html_files(Path::new(&folder), &mut files);
    assert!(!files.is_empty(), "no .html file in {}", folder.display());
    let mut traps = Traps::default();
    for file in files {
        let url = Url::parse("http://a.example/")
            .unwrap()
            .join(&file.strip_prefix(&folder).unwrap().to_string_lossy())
            .unwrap();
        assert_eq!(check_shape(url.as_str()).and_then(|()| traps.enter(url.as_str())), Ok(()), "{url}");
        let body = fs::read(&file).unwrap();
        let extracted = read(&body, "text/html");
        let (expected, title) = oracle(&decode(&body, Some(extracted.charset), None));
        // Of `link` elements the oracle knows one relation only.
        let is_alike = |link: &&String| {
            !link.starts_with("Related") && !link.starts_with("Canonical") && !link.starts_with("Refresh")
        };
        let found: std::collections::BTreeSet<String> =
            links(&extracted).iter().map(|link| link.split_once(' ').unwrap().1.to_owned()).collect();
        for link in &expected {
            assert!(found.contains(link.split_once(' ').unwrap().1), "{}: {link}", file.display());
        }
        let anchors = |links: &[String]| links.iter().filter(is_alike).count();
        assert!(anchors(&links(&extracted)) <= anchors(&expected), "{}", file.display());
        assert_eq!(extracted.title, title, "{}", file.display());
    }
}

#[test]
fn every_kind_of_link_is_found() {
    let html = r#"<head><base href="/b/"><base href="/no/"><link rel=canonical href=c><link rel=stylesheet href=no.css><link rel="next nofollow" href=n>
        <meta http-equiv=Refresh content="3; url=r"><meta name=robots content="noindex"><meta name=Threefold content=nofollow><title>A
        &lt;title&gt;</title><title>no</title></head><a href=a rel="x NoFollow">1</a><a href="a">2</a><area href='e?x=1&amp;y=2#f'>
        <iframe src=i><a href=no></iframe><frame src=f><img src=m srcset="m1 1x, m2 2x"><a>no</a><a href="mailto:x@y">m</a><a href="http://[">n</a>
        <svg><style/><title>no</title><a xlink:href=s></a><![CDATA[<a href=no>]]></svg><style><a href=no></style><a href=last rel=nofollow>"#;
    let extracted = read(html.as_bytes(), "text/html");
    let expected = [
        ("Canonical", "c"),
        ("Related", "n"),
        ("Refresh", "r"),
        ("Anchor", "a"),
        ("Anchor", "e?x=1&y=2"),
        ("Frame", "i"),
        ("Frame", "f"),
        ("Anchor", "s"),
        ("Anchor", "last"),
    ];
    assert_eq!(links(&extracted), expected.map(|(kind, end)| format!("{kind} http://a.example/b/{end}")));
    assert_eq!(extracted.title.as_deref(), Some("A <title>"));
    assert_eq!(extracted.canonical.as_ref().map(|target| &*target.url), Some("http://a.example/b/c"));
    assert!(extracted.robots.no_index && extracted.robots.no_follow);
    let no_follow: Vec<&str> =
        extracted.links.iter().filter(|link| link.no_follow).map(|link| &*link.target.url).collect();
    assert_eq!(no_follow, ["http://a.example/b/n", "http://a.example/b/last"]);
    assert_eq!(extracted.links.iter().filter(|link| link.target.verdict.is_err()).count(), 2);
    let source = Source { body: html.as_bytes(), content_type: None, url: ADDRESS, agent: "", media: true };
    let media: Vec<_> = page(&source, &TABLE).links.into_iter().filter(|link| link.kind == LinkKind::Media).collect();
    assert_eq!(
        media.iter().map(|link| &*link.target.url).collect::<Vec<_>>(),
        ["m", "m1", "m2"].map(|end| format!("http://a.example/b/{end}"))
    );
}

#[test]
fn foreign_content_has_no_raw_text() {
    for (html, count) in [
        ("<svg><title/><a href=1></svg><a href=2>", 2),
        ("<svg><script/><a href=1></svg><script><a href=no></script><a href=2>", 2),
        ("<svg><foreignObject><style><a href=no></style></foreignObject><style/><a href=1></svg>", 1),
        ("<svg><p><style><a href=no></style><a href=1>", 1),
        ("<svg/><style><a href=no></style><a href=1>", 1),
        ("<math><![CDATA[<a href=no>]]><a href=1></math>", 1),
        ("<![CDATA[<a href=1>]]>", 0),
        ("<![CDATA[><a href=1>]]>", 1),
    ] {
        assert_eq!(links(&read(html.as_bytes(), "text/html")).len(), count, "{html}");
    }
    let xhtml = "<html><title/><script src='x'/><style><![CDATA[<a href='no'/>]]></style><a href='1'/></html>";
    assert_eq!(links(&read(xhtml.as_bytes(), "application/xhtml+xml")).len(), 1);
    assert_eq!(links(&read(xhtml.as_bytes(), "text/html")).len(), 0);
}

#[test]
fn links_are_read_in_the_encoding_of_the_page() {
    let html = "<title>Größe日本</title><a href='/größe?q=größe'>1</a><a href='/&#233;?q=&eacute;'>";
    let utf8 = ["/gr%C3%B6%C3%9Fe?q=gr%C3%B6%C3%9Fe", "/%C3%A9?q=%C3%A9"];
    let latin = ["/gr%C3%B6%C3%9Fe?q=gr%F6%DFe", "/%C3%A9?q=%E9"];
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let plain = html.replace("日本", "");
    let windows: Vec<u8> = plain.chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect();
    for (body, content_type, expected, title) in [
        (html.as_bytes().to_vec(), "text/html; charset=utf-8", utf8, "Größe日本"),
        (utf16(html), "text/html; charset=utf-16le", utf8, "Größe日本"),
        (utf16(&format!("\u{feff}{html}")), "text/html; charset=utf-8", utf8, "Größe日本"),
        (windows, "text/html; charset=windows-1252", latin, "Größe"),
    ] {
        let extracted = read(&body, content_type);
        assert_eq!(links(&extracted), expected.map(|end| format!("Anchor http://a.example{end}")), "{content_type}");
        assert_eq!(extracted.title.as_deref(), Some(title), "{content_type}");
    }
    let shift_jis = b"<title>\x93\xfa\x96\x7b</title><a href='\x83\x5c\x83\x7c'>";
    let extracted = read(shift_jis, "text/html; charset=shift_jis");
    assert_eq!(
        (extracted.title.as_deref(), links(&extracted)),
        (Some("日本"), vec!["Anchor http://a.example/docs/%E3%82%BD%E3%83%9D".to_owned()])
    );
    let iso_2022_jp = b"<title>\x1b$BF|K\\\x1b(B</title><a href='x'>\x1b$B<a href=no>\x1b(B";
    let extracted = read(iso_2022_jp, "text/html; charset=iso-2022-jp");
    assert_eq!(
        (extracted.title.as_deref(), extracted.links.len(), extracted.charset),
        (Some("日本"), 1, "ISO-2022-JP")
    );
}

/// `THREEFOLD_ENCODING_TESTS` names the folder `testdata/encoding` of html5lib's source distribution (MIT).
#[test]
fn the_encodings_of_html5libs_cases_are_found() {
    let Some(folder) = std::env::var_os("THREEFOLD_ENCODING_TESTS") else { return };
    let mut cases_count = 0;
    for entry in
        fs::read_dir(folder).unwrap().flatten().filter(|entry| entry.path().extension().is_some_and(|end| end == "dat"))
    {
        let text = fs::read(entry.path()).unwrap();
        let text: String = text.iter().map(|byte| char::from(*byte)).collect();
        for case in text.split("#data\n").skip(1).filter(|case| !case.contains("document.write")) {
            let (data, expected) = case.split_once("\n#encoding\n").unwrap();
            let body: Vec<u8> = data.chars().map(|byte| u8::try_from(u32::from(byte)).unwrap()).collect();
            let expected = expected.lines().next().unwrap().trim().to_ascii_lowercase();
            let found = charset(&body, Some("text/html")).unwrap().to_ascii_lowercase();
            // Where nobody says anything the suite wants the fallback of a Western browser; ours is UTF-8, or a guess. What is said
            // behind the first 1,024 bytes counts only where it makes a difference.
            let is_fallback = (expected == "windows-1252" && (found == "utf-8" || !body.is_ascii()))
                || (body.len() > 1024 && body.is_ascii());
            assert!(
                found == expected || is_fallback,
                "{}: {found}, not {expected}",
                &data[data.len().saturating_sub(200)..]
            );
            cases_count += 1;
        }
    }
    assert!(cases_count > 80, "{cases_count} cases");
}
