//! The canonical form of an address: what its fingerprint is made of. The request keeps the address as it was written.
//!
//! On top of WHATWG's serialisation (lower-case scheme and host, no port of the scheme's own, no dot segments): no fragment,
//! `%XX` in upper case and decoded where the character needs no escape, query parameters sorted by name (those of one name stay
//! in order), no empty parameters, no tracking parameters, no session identifiers in query or path.
//!
//! Source: the sorting and the escapes are those of w3lib's `canonicalize_url`.

use std::borrow::Cow;

use ::url::Url;

use super::parts::without_fragment;
use super::session::{ParameterUse, is_session_segment, parameter_use};

/// A canonical form, and what was seen while making it.
pub(crate) struct Canonical<'a> {
    pub(crate) text: Cow<'a, str>,
    /// True where a session identifier was taken out.
    pub(crate) has_session: bool,
}

/// The canonical form of an address.
///
/// # Examples
/// ```
/// use threefold_crawl::url::{Url, canonical};
/// let url = Url::parse("http://Example.org:80/%7euser/?b=2&a=%c3%a9&utm_source=mail#top").unwrap();
/// assert_eq!(canonical(&url), "http://example.org/~user/?a=%C3%A9&b=2");
/// ```
pub fn canonical(url: &Url) -> Cow<'_, str> {
    canonical_text(url.as_str()).text
}

/// The canonical form of an address that is serialised already.
pub(crate) fn canonical_text(url: &str) -> Canonical<'_> {
    let url = without_fragment(url);
    // Most addresses have nothing to change: no escape, no query, no parameter or session in the path.
    if memchr::memchr3(b'%', b'?', b';', url.as_bytes()).is_none() && !url.contains("/(") {
        return Canonical { text: Cow::Borrowed(url), has_session: false };
    }
    let (before_query, query) = url.split_once('?').map_or((url, None), |(before, query)| (before, Some(query)));
    let mut text = String::with_capacity(url.len());
    let mut has_session = write_path(before_query, &mut text);
    if let Some(query) = query {
        has_session |= write_query(query, &mut text);
    }
    Canonical { text: Cow::Owned(text), has_session }
}

/// Writes scheme, host and path without sessions; true where there was one.
fn write_path(path: &str, text: &mut String) -> bool {
    let mut has_session = false;
    for (number, segment) in path.split('/').enumerate() {
        if number >= 3 && is_session_segment(segment) {
            has_session = true;
            continue;
        }
        if number > 0 {
            text.push('/');
        }
        let mut parameters = segment.split(';');
        write_escapes(parameters.next().unwrap_or_default(), text);
        for parameter in parameters {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if parameter_use(name, value) == ParameterUse::Session {
                has_session = true;
            } else {
                text.push(';');
                write_escapes(parameter, text);
            }
        }
    }
    has_session
}

/// Writes the query, sorted; true where there was a session in it.
fn write_query(query: &str, text: &mut String) -> bool {
    let mut has_session = false;
    let mut parameters: Vec<(String, String)> = Vec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let mut whole = String::with_capacity(parameter.len());
        write_escapes(parameter, &mut whole);
        let (name, value) = whole.split_once('=').unwrap_or((&whole, ""));
        match parameter_use(name, value) {
            ParameterUse::Content => {
                let name = name.to_owned();
                parameters.push((name, whole));
            }
            ParameterUse::Session => has_session = true,
            ParameterUse::Tracking => {}
        }
    }
    parameters.sort_by(|one, other| one.0.cmp(&other.0));
    for (number, (_, whole)) in parameters.iter().enumerate() {
        text.push(if number == 0 { '?' } else { '&' });
        text.push_str(whole);
    }
    has_session
}

/// Writes a text with its escapes in upper case, those of unreserved characters decoded.
fn write_escapes(part: &str, text: &mut String) {
    let mut rest = part;
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        let escape = rest.as_bytes().get(at + 1..at + 3).and_then(|digits| Some((hex(digits[0])?, hex(digits[1])?)));
        if let Some((high, low)) = escape {
            let byte = high << 4 | low;
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push('%');
                text.push(char::from(rest.as_bytes()[at + 1].to_ascii_uppercase()));
                text.push(char::from(rest.as_bytes()[at + 2].to_ascii_uppercase()));
            }
            rest = &rest[at + 3..];
        } else {
            text.push('%');
            rest = &rest[at + 1..];
        }
    }
    text.push_str(rest);
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        canonical(&Url::parse(text).unwrap()).into_owned()
    }

    #[test]
    fn spellings_of_one_address_become_one() {
        let cases = [
            ("http://a", "http://a/"),
            ("HTTPS://A.example:443/x/../y#z", "https://a.example/y"),
            ("http://a:8080/", "http://a:8080/"),
            ("http://a/do?c=1&b=2&a=3&b=1", "http://a/do?a=3&b=2&b=1&c=1"),
            ("http://a/do?", "http://a/do"),
            ("http://a/do?&&a&", "http://a/do?a"),
            ("http://a/do?a=", "http://a/do?a="),
            ("http://a/%e2%82%ac%41%2f", "http://a/%E2%82%ACA%2F"),
            ("http://a/100%", "http://a/100%"),
            ("http://a/%zz%4", "http://a/%zz%4"),
            ("http://a/?q=a+b&p=%61%2B", "http://a/?p=a%2B&q=a+b"),
            ("http://a/?utm_source=x&utm_medium=y", "http://a/"),
            ("http://a/b;jsessionid=0A1B2C?x=1", "http://a/b?x=1"),
            ("http://a/b;v=1;JSESSIONID=0A/c", "http://a/b;v=1/c"),
            ("http://a/(S(lit3py55t21z5v55vlm25s55))/b", "http://a/b"),
            ("http://a/f_(x)/(b)", "http://a/f_(x)/(b)"),
            ("http://a/?PHPSESSID=abc&id=3", "http://a/?id=3"),
            ("http://a/?sid=3&id=3", "http://a/?id=3&sid=3"),
        ];
        for (text, expected) in cases {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn a_session_is_reported() {
        assert!(canonical_text("http://a/?PHPSESSID=abc").has_session);
        assert!(canonical_text("http://a/b;jsessionid=1").has_session);
        assert!(!canonical_text("http://a/?utm_source=abc").has_session);
    }
}
