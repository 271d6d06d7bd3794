//! In which encoding a body is written, by the rules of browsers: byte order mark, `Content-Type`, what the page says, a guess.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED};

use super::scan::{Attributes, attribute, is_space, read_attributes};

/// A page says its encoding within so many bytes.
const SAID_WITHIN_BYTES: usize = 1024;
/// Or late, where it breaks the rules; and a guess needs no more than this.
const GUESSED_FROM_BYTES: usize = 64 << 10;

/// The name of the encoding that a body is written in; none for what is no text.
///
/// A body in ASCII that says nothing is taken for UTF-8.
pub fn charset(body: &[u8], content_type: Option<&str>) -> Option<&'static str> {
    is_text(body, content_type).then(|| encoding_of(body, content_type, is_markup(content_type)).name())
}

/// The text of a body, without its byte order mark, what can't be decoded replaced by U+FFFD. The encoding is the one of this
/// name, or else the one that [`charset`] would find.
pub fn decode(body: &[u8], charset: Option<&str>, content_type: Option<&str>) -> String {
    let named = charset.and_then(|name| Encoding::for_label(name.as_bytes()));
    let encoding = named.unwrap_or_else(|| encoding_of(body, content_type, is_markup(content_type)));
    encoding.decode(body).0.into_owned()
}

/// Whether a body is HTML (or XHTML): by its type, or where that says nothing by how it begins.
pub fn is_html(content_type: Option<&str>, body: &[u8]) -> bool {
    match essence(content_type) {
        Some(name) => name.eq_ignore_ascii_case("text/html") || name.eq_ignore_ascii_case("application/xhtml+xml"),
        None => begins_like_html(body),
    }
}

/// The type without its parameters; none where it is missing or says nothing.
fn essence(content_type: Option<&str>) -> Option<&str> {
    let name = content_type?.split(';').next()?.trim();
    let says_nothing = !name.contains('/') || matches!(name, "unknown/unknown" | "application/unknown" | "*/*");
    (!says_nothing).then_some(name)
}

/// Source: WHATWG MIME Sniffing, "identifying a resource with an unknown MIME type".
fn begins_like_html(body: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 17] = [
        b"<!doctype html",
        b"<html",
        b"<head",
        b"<script",
        b"<iframe",
        b"<h1",
        b"<div",
        b"<font",
        b"<table",
        b"<a",
        b"<style",
        b"<title",
        b"<b",
        b"<body",
        b"<br",
        b"<p",
        b"<!--",
    ];
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let start = body.iter().position(|byte| !is_space(*byte)).unwrap_or(body.len());
    BEGINNINGS.iter().any(|beginning| {
        body[start..].split_at_checked(beginning.len()).is_some_and(|(head, rest)| {
            head.eq_ignore_ascii_case(beginning)
                && (beginning.ends_with(b"--") || rest.first().is_some_and(|next| is_space(*next) || *next == b'>'))
        })
    })
}

/// Whether a body is text: by its type, or where that says nothing by its first bytes.
fn is_text(body: &[u8], content_type: Option<&str>) -> bool {
    let Some(name) = essence(content_type) else {
        let is_binary = |byte: &u8| matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f);
        return Encoding::for_bom(body).is_some() || !body.iter().take(512).any(is_binary);
    };
    let name = name.to_ascii_lowercase();
    let subtype = name.split('/').nth(1).unwrap_or_default();
    name.starts_with("text/")
        || subtype.ends_with("+xml")
        || subtype.ends_with("+json")
        || matches!(
            subtype,
            "json"
                | "xml"
                | "javascript"
                | "x-javascript"
                | "ecmascript"
                | "ld+json"
                | "x-www-form-urlencoded"
                | "yaml"
                | "sql"
        )
}

/// Whether a body may say its encoding in a `meta` element or an XML declaration.
fn is_markup(content_type: Option<&str>) -> bool {
    essence(content_type).is_none_or(|name| {
        let name = name.to_ascii_lowercase();
        name.ends_with("html") || name.ends_with("xml")
    })
}

/// The encoding of a text.
pub(super) fn encoding_of(body: &[u8], content_type: Option<&str>, is_markup: bool) -> &'static Encoding {
    if let Some((encoding, _)) = Encoding::for_bom(body) {
        return encoding;
    }
    let from_type = content_type.and_then(|value| Encoding::for_label(label_in(value.as_bytes())?));
    let said_within = |most: usize| if is_markup { said(&body[..body.len().min(most)]) } else { None };
    if let Some(encoding) = from_type.or_else(|| said_within(SAID_WITHIN_BYTES)) {
        return encoding;
    }
    if std::str::from_utf8(body).is_ok() {
        return UTF_8;
    }
    // Browsers begin again where a page says it later; what it says beats a guess.
    said_within(GUESSED_FROM_BYTES).unwrap_or_else(|| guessed(body))
}

fn guessed(body: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(&body[..body.len().min(GUESSED_FROM_BYTES)], true);
    detector.guess(None, Utf8Detection::Allow)
}

/// The encoding that a page says for itself.
///
/// Source: WHATWG HTML, "prescan a byte stream to determine its encoding".
fn said(bytes: &[u8]) -> Option<&'static Encoding> {
    if let Some(encoding) = said_by_xml(bytes) {
        return Some(encoding);
    }
    let mut at = 0;
    loop {
        at += memchr::memchr(b'<', bytes.get(at..)?)?;
        let rest = &bytes[at..];
        let after_slash = if rest.get(1) == Some(&b'/') { 2 } else { 1 };
        if rest.starts_with(b"<!--") {
            // The dashes that begin the comment may end it.
            at += 2 + memchr::memmem::find(&rest[2..], b"-->")? + 3;
        } else if is_meta(rest) {
            let mut attributes = Attributes::new();
            at = read_attributes(bytes, at + 5, |name, value| attributes.push((name, value)))?.0;
            if let Some(encoding) = said_by_meta(&attributes) {
                return Some(encoding);
            }
        } else if rest.get(after_slash).is_some_and(u8::is_ascii_alphabetic) {
            let name = rest.iter().position(|byte| is_space(*byte) || *byte == b'>')?;
            at = read_attributes(bytes, at + name, |_, _| {})?.0;
        } else if matches!(rest.get(1), Some(b'!' | b'/' | b'?')) {
            at += memchr::memchr(b'>', rest)? + 1;
        } else {
            at += 1;
        }
    }
}

fn is_meta(rest: &[u8]) -> bool {
    rest.split_at_checked(5).is_some_and(|(name, rest)| {
        name.eq_ignore_ascii_case(b"<meta") && rest.first().is_some_and(|next| is_space(*next) || *next == b'/')
    })
}

fn said_by_meta(attributes: &Attributes<'_>) -> Option<&'static Encoding> {
    if let Some(label) = attribute(attributes, "charset") {
        return for_page(label);
    }
    let is_type = attribute(attributes, "http-equiv").is_some_and(|name| name.eq_ignore_ascii_case(b"content-type"));
    attribute(attributes, "content").filter(|_| is_type).and_then(label_in).and_then(for_page)
}

/// Source: WHATWG HTML, "get an XML encoding".
fn said_by_xml(bytes: &[u8]) -> Option<&'static Encoding> {
    let rest = bytes.strip_prefix(b"<?xml")?;
    let declaration = &rest[..memchr::memchr(b'>', rest)?];
    let after_name = &declaration[memchr::memmem::find(declaration, b"encoding")? + 8..];
    let after_name = after_name.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (quote, label) = after_name.split_first()?;
    let end = memchr::memchr(*quote, label).filter(|_| matches!(quote, b'"' | b'\''))?;
    for_page(&label[..end])
}

/// The label behind `charset=` in the value of a `Content-Type`.
///
/// Source: WHATWG HTML, "extracting a character encoding from a meta element".
fn label_in(value: &[u8]) -> Option<&[u8]> {
    let mut rest = value;
    loop {
        let at = rest.windows(7).position(|window| window.eq_ignore_ascii_case(b"charset"))?;
        rest = rest[at + 7..].trim_ascii_start();
        if let Some(after) = rest.strip_prefix(b"=") {
            rest = after.trim_ascii_start();
            break;
        }
    }
    match rest.first()? {
        quote @ (b'"' | b'\'') => Some(&rest[1..=memchr::memchr(*quote, &rest[1..])?]),
        _ => rest.split(|byte| is_space(*byte) || *byte == b';').next(),
    }
}

/// The encoding of a label that a page gives for itself: what could be read as ASCII is not UTF-16.
fn for_page(label: &[u8]) -> Option<&'static Encoding> {
    let encoding = Encoding::for_label(label)?;
    if encoding == UTF_16BE || encoding == UTF_16LE {
        Some(UTF_8)
    } else if encoding == X_USER_DEFINED {
        Some(WINDOWS_1252)
    } else {
        Some(encoding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_found_where_browsers_find_it() {
        let html = Some("text/html");
        let cases: [(&[u8], Option<&str>, &str); 14] = [
            (b"\xef\xbb\xbfx", Some("text/html; charset=shift_jis"), "UTF-8"),
            (b"\xff\xfex\0", Some("text/html; charset=utf-8"), "UTF-16LE"),
            (b"<meta charset=koi8-r>", Some("text/html; Charset=\"Windows-1251\""), "windows-1251"),
            (b"x\0y\0", Some("text/html; charset=utf-16le"), "UTF-16LE"),
            (b"<!doctype html><meta charset=latin1>", html, "windows-1252"),
            (b"<META http-equiv='Content-Type' content='text/html; charset=euc-jp'>", html, "EUC-JP"),
            (b"<meta content='text/html; charset=euc-jp'><meta charset=gbk >", html, "GBK"),
            (b"<!--<meta charset=gbk>--><meta charset=big5>", html, "Big5"),
            (b"<!--><meta charset=gbk>", html, "GBK"),
            (b"<meta charset=utf-16>", html, "UTF-8"),
            (b"<meta charset=nonsense><meta/charset=gbk>", html, "GBK"),
            (b"<?xml version='1.0' encoding = 'iso-8859-2'?>", html, "ISO-8859-2"),
            (b"plain", html, "UTF-8"),
            ("größe".as_bytes(), Some("text/plain"), "UTF-8"),
        ];
        for (body, content_type, expected) in cases {
            assert_eq!(charset(body, content_type), Some(expected), "{}", String::from_utf8_lossy(body));
        }
        let late = [vec![b' '; 1024], b"<meta charset=gbk>".to_vec()].concat();
        assert_eq!(charset(&late, html), Some("UTF-8"));
        assert_eq!(charset(&[&late[..], b"\xff"].concat(), html), Some("GBK"));
    }

    #[test]
    fn an_encoding_that_nobody_names_is_guessed() {
        let text = "Широкая электрификация южных губерний даст мощный толчок подъёму сельского хозяйства. ".repeat(3);
        let (body, encoding, _) = encoding_rs::WINDOWS_1251.encode(&text);
        assert_eq!(charset(&body, Some("text/html")), Some(encoding.name()));
        let (body, encoding, _) =
            encoding_rs::SHIFT_JIS.encode("これはシフトJISで書かれた、文字コードを名乗らないページです。");
        assert_eq!(charset(&body, None), Some(encoding.name()));
    }

    #[test]
    fn what_is_no_text_has_no_encoding() {
        assert_eq!(charset(b"<p>", Some("image/png")), None);
        assert_eq!(charset(b"\x89PNG\r\n\x1a\n\0", None), None);
        assert_eq!(charset(b"{}", Some("application/ld+json")), Some("UTF-8"));
    }

    #[test]
    fn html_is_known_by_its_type_or_its_beginning() {
        assert!(is_html(Some("Text/HTML; charset=x"), b""));
        assert!(!is_html(Some("text/plain"), b"<html>"));
        assert!(is_html(None, b"\xef\xbb\xbf \n<!DOCTYPE HTML>"));
        assert!(is_html(Some(""), b"<!--x"));
        assert!(!is_html(None, b"<article"));
        assert!(!is_html(None, b"{\"a\": \"<html>\"}"));
    }

    #[test]
    fn a_text_is_decoded_without_its_mark() {
        assert_eq!(decode(b"\xff\xfeh\0i\0", None, Some("text/html")), "hi");
        assert_eq!(decode(b"\x93\xfa\x96\x7b", Some("Shift_JIS"), None), "日本");
        assert_eq!(decode(b"a\xff", Some("UTF-8"), None), "a\u{fffd}");
    }
}
