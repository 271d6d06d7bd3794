//! Spells paths and patterns in one way, so that equal ones are equal octets (RFC 9309, 2.2.2).
//!
//! | octet | spelled |
//! |---|---|
//! | unreserved, and what delimits nothing in paths and queries (`: @ ! ' ( ) ,`) | as itself, however it was written |
//! | `/ ? # & = + ; %` | as it was written: `%2F` is data, `/` is structure |
//! | `*` and `$` | `%2A`, `%24`: raw ones are the pattern's signs |
//! | all others | `%XX` |
//!
//! In a query `%2F` says the same as `/`. Whether a pattern's `%2F` is in a query shows only where a `?` stands before it, so that
//! a path has two spellings, and each pattern names the one it is compared with.

use std::borrow::Cow;

/// The path and query of an address, spelled for comparison.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spelled<'a> {
    /// `%2F` stays what it is everywhere.
    pub(super) plain: Cow<'a, [u8]>,
    /// `%2F` in the query is `/`, where that differs from `plain`.
    pub(super) query_slashes: Option<Vec<u8>>,
}

impl Spelled<'_> {
    /// The spelling that a pattern with a `?` in it is compared with.
    pub(super) fn for_queries(&self) -> &[u8] {
        self.query_slashes.as_deref().unwrap_or(&self.plain)
    }
}

/// Spells an address's path and query; a path that does not begin with `/` gets one.
pub(super) fn spell_path(path: &[u8]) -> Spelled<'_> {
    if path.first() == Some(&b'/') && path.iter().all(|&byte| is_itself(byte)) {
        return Spelled { plain: Cow::Borrowed(path), query_slashes: None };
    }
    let mut spelled = Vec::with_capacity(path.len() + 16);
    if path.first() != Some(&b'/') {
        spelled.push(b'/');
    }
    for octet in octets(path) {
        push(&mut spelled, octet);
    }
    let query_slashes = slashes_in_query(&spelled);
    Spelled { plain: Cow::Owned(spelled), query_slashes }
}

/// A pattern, spelled: `*` is the wildcard, `$` at the end the anchor, nothing else is special.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SpelledPattern {
    pub(super) octets: Vec<u8>,
    /// True to compare it with [`Spelled::for_queries`].
    pub(super) is_for_queries: bool,
}

pub(super) fn spell_pattern(pattern: &[u8]) -> SpelledPattern {
    let (body, anchor) = match pattern.strip_suffix(b"$") {
        Some(body) => (body, &b"$"[..]),
        None => (pattern, &b""[..]),
    };
    let mut octets_spelled = Vec::with_capacity(pattern.len());
    for octet in octets(body) {
        match octet {
            Octet::Written(b'*') => octets_spelled.push(b'*'),
            other => push(&mut octets_spelled, other),
        }
    }
    octets_spelled.extend_from_slice(anchor);
    let is_for_queries = octets_spelled.contains(&b'?');
    let octets = slashes_in_query(&octets_spelled).unwrap_or(octets_spelled);
    SpelledPattern { octets, is_for_queries }
}

/// One octet, and whether it was written as `%XX`.
#[derive(Clone, Copy)]
enum Octet {
    Written(u8),
    Encoded(u8),
}

fn octets(bytes: &[u8]) -> impl Iterator<Item = Octet> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (&first, after) = rest.split_first()?;
        if first == b'%' {
            if let Some(value) = hex_pair(after) {
                rest = &after[2..];
                return Some(Octet::Encoded(value));
            }
        }
        rest = after;
        Some(Octet::Written(first))
    })
}

fn hex_pair(bytes: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some(digit(*bytes.first()?)? << 4 | digit(*bytes.get(1)?)?)
}

fn push(spelled: &mut Vec<u8>, octet: Octet) {
    match octet {
        Octet::Written(byte) if is_itself(byte) => spelled.push(byte),
        Octet::Encoded(byte) if is_itself(byte) && !is_structure(byte) => spelled.push(byte),
        Octet::Written(byte) | Octet::Encoded(byte) => {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            spelled.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
}

/// True for what means something else where it is encoded.
fn is_structure(byte: u8) -> bool {
    matches!(byte, b'/' | b'?' | b'#' | b'&' | b'=' | b'+' | b';')
}

/// True for what is spelled as itself where it is written as itself.
fn is_itself(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || is_structure(byte)
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':' | b'@' | b'!' | b'\'' | b'(' | b')' | b',')
}

/// The same with `/` for each `%2F` behind the first `?`; none where there is no such.
fn slashes_in_query(spelled: &[u8]) -> Option<Vec<u8>> {
    let query = memchr::memchr(b'?', spelled)?;
    memchr::memmem::find(&spelled[query..], b"%2F")?;
    let mut replaced = spelled[..query].to_vec();
    let mut rest = &spelled[query..];
    while let Some(found) = memchr::memmem::find(rest, b"%2F") {
        replaced.extend_from_slice(&rest[..found]);
        replaced.push(b'/');
        rest = &rest[found + 3..];
    }
    replaced.extend_from_slice(rest);
    Some(replaced)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> String {
        String::from_utf8(spell_path(text.as_bytes()).plain.into_owned()).unwrap()
    }

    #[test]
    fn spellings_of_one_path_are_one() {
        for (one, other) in [
            ("/foo/bar/ツ", "/foo/bar/%E3%83%84"),
            ("/foo/bar/ツ", "/foo/bar/%e3%83%84"),
            ("/foo/bar/baz", "/foo/bar/%62%61%7A"),
            ("/a:b@c", "/a%3Ab%40c"),
            ("/a b|c", "/a%20b%7Cc"),
            ("/a*$", "/a%2A%24"),
            ("/100%", "/100%25"),
            ("/%zz", "/%25zz"),
            ("", "/"),
            ("?a", "/?a"),
        ] {
            assert_eq!(path(one), path(other));
        }
    }

    #[test]
    fn data_and_structure_stay_apart() {
        for (one, other) in
            [("/a/b", "/a%2Fb"), ("/a?b", "/a%3Fb"), ("/?a&b", "/?a%26b"), ("/?a=b", "/?a%3Db"), ("/a+b", "/a%2Bb")]
        {
            assert_ne!(path(one), path(other));
        }
    }

    #[test]
    fn a_slash_in_a_query_may_be_encoded() {
        let spelled = spell_path(b"/foo/bar?baz=https%3A%2F%2Ffoo.bar");
        let pattern = spell_pattern(b"/foo/bar?baz=https://foo.bar");
        assert!(pattern.is_for_queries);
        assert_eq!(spelled.for_queries(), pattern.octets);
        assert_eq!(
            spell_path(b"/foo/bar?baz=https://foo.bar").for_queries(),
            spell_pattern(b"/foo/bar?baz=https%3A%2F%2Ffoo.bar").octets
        );
    }

    #[test]
    fn only_the_last_dollar_and_raw_stars_are_signs() {
        assert_eq!(spell_pattern(b"/a$b*%2A$").octets, b"/a%24b*%2A$");
        assert_eq!(spell_pattern(b"$").octets, b"$");
    }

    proptest! {
        #[test]
        fn spelling_twice_changes_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let once = spell_path(&bytes).plain.into_owned();
            prop_assert_eq!(spell_path(&once).plain.into_owned(), once.clone());
            prop_assert!(once.iter().all(u8::is_ascii_graphic));
        }

        #[test]
        fn an_encoded_path_is_the_path_itself(text in "/[a-zA-Z0-9:@!,._~-]{0,20}") {
            let encoded: String = text.bytes().skip(1).flat_map(|byte| ['%'].into_iter().chain(format!("{byte:02x}").chars().collect::<Vec<_>>())).collect();
            prop_assert_eq!(path(&text), path(&format!("/{encoded}")));
        }
    }
}
