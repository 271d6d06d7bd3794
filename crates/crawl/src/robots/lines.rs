//! The lines of a robots.txt and the record that each of them is, whatever bytes they are made of.

/// How much of a file is read: 500 KiB, the least that RFC 9309 asks for (2.5). What follows is as if it were not there.
pub const MAX_BYTES: usize = 500 * 1024;

/// What is read of one line: eight times the longest address that browsers take. A longer line is cut.
pub(super) const MAX_LINE_BYTES: usize = 8 * 2083;

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    UserAgent,
    Allow,
    Disallow,
    CrawlDelay,
    RequestRate,
    Sitemap,
}

/// One record: `key: value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) key: Key,
    /// Without the blanks around it.
    pub(super) value: &'a [u8],
    /// The whole line without its comment and the blanks around it.
    pub(super) text: &'a [u8],
    /// Counted from 1.
    pub(super) line: u32,
}

/// The records of a file in order; lines that are none are passed over.
pub(super) fn records(body: &[u8]) -> impl Iterator<Item = Record<'_>> {
    (1..).zip(lines(within_limit(without_mark(body)))).filter_map(|(line, bytes)| record(line, bytes))
}

/// The body without its byte order mark, which editors leave there.
fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body)
}

/// The part that is read: whole lines only, since half a rule is another rule.
fn within_limit(body: &[u8]) -> &[u8] {
    if body.len() <= MAX_BYTES {
        return body;
    }
    let head = &body[..MAX_BYTES];
    let end = head.iter().rposition(|&byte| byte == b'\n' || byte == b'\r').unwrap_or(0);
    &head[..end]
}

/// Lines end with LF, CR, or CR LF.
fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(body);
    std::iter::from_fn(move || {
        let current = rest?;
        let Some(end) = memchr::memchr2(b'\n', b'\r', current) else {
            rest = None;
            return Some(current);
        };
        let after = &current[end..];
        let skipped = if after.starts_with(b"\r\n") { 2 } else { 1 };
        rest = Some(&after[skipped..]);
        Some(&current[..end])
    })
}

fn record(line: u32, bytes: &[u8]) -> Option<Record<'_>> {
    let cut = &bytes[..bytes.len().min(MAX_LINE_BYTES)];
    let text = match memchr::memchr(b'#', cut) {
        Some(comment) => trim(&cut[..comment]),
        None => trim(cut),
    };
    let (name, value) = split(text)?;
    Some(Record { key: key(trim(name))?, value: trim(value), text, line })
}

/// Without the blanks around it, those outside ASCII included: a no-break space at the end of a pattern is a slip of the hand.
fn trim(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Ok(text) if !bytes.is_ascii() => text.trim().as_bytes(),
        _ => bytes.trim_ascii(),
    }
}

/// Name and value. A line of two words without a colon is read as if the colon stood between them, as Google reads it; a colon
/// further on belongs to its value then (`Sitemap https://...`).
fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    if let Some(colon) = memchr::memchr(b':', text) {
        let name = text[..colon].trim_ascii_end();
        if two_words(name).is_none_or(|(first, _)| key(first).is_none()) {
            return Some((name, text[colon + 1..].trim_ascii_start()));
        }
    }
    two_words(text)
}

fn two_words(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = text.iter().position(u8::is_ascii_whitespace)?;
    let (name, value) = (&text[..blank], text[blank..].trim_ascii());
    (!value.iter().any(u8::is_ascii_whitespace)).then_some((name, value))
}

/// The names that people write, right and wrong. What only begins with a name of the RFC counts as it, as with Google.
fn key(name: &[u8]) -> Option<Key> {
    const NAMES: [(&[u8], Key); 16] = [
        (b"user-agent", Key::UserAgent),
        (b"useragent", Key::UserAgent),
        (b"user agent", Key::UserAgent),
        (b"allow", Key::Allow),
        (b"disallow", Key::Disallow),
        (b"dissallow", Key::Disallow),
        (b"dissalow", Key::Disallow),
        (b"disalow", Key::Disallow),
        (b"diasllow", Key::Disallow),
        (b"disallaw", Key::Disallow),
        (b"crawl-delay", Key::CrawlDelay),
        (b"crawl delay", Key::CrawlDelay),
        (b"request-rate", Key::RequestRate),
        (b"request rate", Key::RequestRate),
        (b"sitemap", Key::Sitemap),
        (b"site-map", Key::Sitemap),
    ];
    let begins = |known: &[u8]| name.len() >= known.len() && name[..known.len()].eq_ignore_ascii_case(known);
    NAMES.iter().find(|(known, _)| begins(known)).map(|&(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8]) -> Vec<(u32, Key, String)> {
        records(body)
            .map(|record| (record.line, record.key, String::from_utf8_lossy(record.value).into_owned()))
            .collect()
    }

    #[test]
    fn lines_end_with_any_of_the_three_endings_and_are_counted_alike() {
        for ending in ["\n", "\r", "\r\n"] {
            let body = ["user-agent: a", "", "allow: /x", "disallow: /"].join(ending);
            let expected = [(1, Key::UserAgent, "a"), (3, Key::Allow, "/x"), (4, Key::Disallow, "/")];
            assert_eq!(read(body.as_bytes()), expected.map(|(line, key, value)| (line, key, value.to_owned())));
        }
    }

    #[test]
    fn a_byte_order_mark_does_not_hide_the_first_line() {
        assert_eq!(read(b"\xEF\xBB\xBFuser-agent: a").len(), 1);
        assert_eq!(read(b"\xEF\xBBuser-agent: a").len(), 0);
    }

    #[test]
    fn comments_and_blanks_are_no_part_of_a_value() {
        assert_eq!(
            read(b" \t DisAllow \t: \t /a b # no\n# allow: /\nallow:#/x"),
            [(1, Key::Disallow, "/a b".into()), (3, Key::Allow, String::new())]
        );
    }

    #[test]
    fn blanks_outside_ascii_are_blanks() {
        assert_eq!(read("disallow:\u{a0}/a\u{2002}\u{a0}\n".as_bytes()), [(1, Key::Disallow, "/a".into())]);
        assert_eq!(read(b"disallow: /a\xA0"), [(1, Key::Disallow, "/a\u{fffd}".into())]);
    }

    #[test]
    fn a_missing_colon_is_seen_where_two_words_stand() {
        assert_eq!(
            read(b"user-agent FooBot\ndisallow /\ndisallow / and more\ndisallow"),
            [(1, Key::UserAgent, "FooBot".into()), (2, Key::Disallow, "/".into())]
        );
    }

    #[test]
    fn a_sitemap_without_a_colon_keeps_the_one_in_its_address() {
        assert_eq!(
            read(b"Sitemap https://a/b.xml\nsitemap:https://a/c.xml"),
            [(1, Key::Sitemap, "https://a/b.xml".into()), (2, Key::Sitemap, "https://a/c.xml".into())]
        );
    }

    #[test]
    fn a_line_that_the_limit_cuts_is_left_out() {
        let mut body = vec![b'#'; MAX_BYTES - 20];
        body.extend_from_slice(b"\nallow: /x\ndisallow: /abcdefghi\n");
        assert_eq!(read(&body), [(2, Key::Allow, "/x".into())]);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut body = b"disallow: /".to_vec();
        body.resize(100_000, b'a');
        assert_eq!(read(&body)[0].2.len(), MAX_LINE_BYTES - "disallow: ".len());
    }
}
