//! Whether a spelled pattern matches a spelled path: `*` is any octets, `$` at the end is the end. Linear in the path for each part.

use memchr::memmem;

/// True where `pattern` matches from the beginning of `path` on.
pub(super) fn matches(pattern: &[u8], path: &[u8]) -> bool {
    let (body, is_anchored) = match pattern.strip_suffix(b"$") {
        Some(body) => (body, true),
        None => (pattern, false),
    };
    let Some(star) = memchr::memchr(b'*', body) else {
        return if is_anchored { path == body } else { path.starts_with(body) };
    };
    let Some(mut rest) = path.strip_prefix(&body[..star]) else { return false };
    // The leftmost place for each part leaves the most room for those behind it, so that no other place need be tried.
    let mut parts = body[star + 1..].split(|&byte| byte == b'*').peekable();
    while let Some(part) = parts.next() {
        if is_anchored && parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match memmem::find(rest, part) {
            Some(found) => rest = &rest[found + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same by trying everything.
    fn slow(pattern: &[u8], path: &[u8], is_whole: bool) -> bool {
        match pattern.split_first() {
            None => !is_whole || path.is_empty(),
            Some((b'*', rest)) => (0..=path.len()).any(|skipped| slow(rest, &path[skipped..], is_whole)),
            Some((first, rest)) => {
                path.split_first().is_some_and(|(octet, left)| octet == first && slow(rest, left, is_whole))
            }
        }
    }

    #[test]
    fn stars_match_anything_and_dollars_the_end() {
        for (pattern, path, expected) in [
            ("/fish", "/fish.html", true),
            ("/fish*", "/fishheads", true),
            ("/fish/", "/fish", false),
            ("/*.php", "/a/b.php?c", true),
            ("/*.php$", "/a.php5", false),
            ("/*.php$", "/a.php.php", true),
            ("/$", "/", true),
            ("/$", "/a", false),
            ("*", "/", true),
            ("*$", "/", true),
            ("/a*a$", "/a", false),
            ("/a*a$", "/aa", true),
            ("", "/", true),
            ("$", "/", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), path.as_bytes()), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_pattern_of_stars_takes_no_longer_than_its_parts() {
        let pattern = format!("/{}b$", "*a".repeat(5_000));
        let path = format!("/{}", "a".repeat(20_000));
        assert!(!matches(pattern.as_bytes(), path.as_bytes()));
    }

    proptest! {
        #[test]
        fn it_agrees_with_trying_everything(pattern in "/[ab*]{0,8}[$]?", path in "/[ab]{0,10}") {
            let is_whole = pattern.ends_with('$');
            let body = pattern.trim_end_matches('$');
            prop_assert_eq!(matches(pattern.as_bytes(), path.as_bytes()), slow(body.as_bytes(), path.as_bytes(), is_whole));
        }
    }
}
