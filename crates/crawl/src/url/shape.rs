//! Traps that show in one address alone: too long, too deep, the same folders again and again.

use super::parts::Parts;
use crate::refusal::Refusal;

/// What the servers and browsers of old took at most; longer addresses are made by loops.
const CHARACTERS_AT_MOST: usize = 2083;
/// Segments of a path.
const SEGMENTS_AT_MOST: usize = 20;
/// How often a sequence of segments may follow itself.
const REPETITIONS_AT_MOST: usize = 2;

/// Refuses an address that only a trap has: one of more than 2,083 characters, of more than 20 path segments, or with a sequence
/// of segments that follows itself more than twice (`/a/b/a/b/a/b/`).
///
/// # Errors
/// The reason.
///
/// Source: the limits are those of Heritrix (path depth, pathological path) and Scrapy (length).
pub fn check_shape(url: &str) -> Result<(), Refusal> {
    if url.len() > CHARACTERS_AT_MOST {
        return Err(Refusal::UrlTooLong);
    }
    let Some(parts) = Parts::of(url) else { return Ok(()) };
    // Three segments are the least that can repeat too often.
    let slashes = memchr::memchr_iter(b'/', parts.path.as_bytes()).count();
    if slashes <= REPETITIONS_AT_MOST {
        return Ok(());
    }
    // A slash at the end does not begin a segment.
    let segments_count = slashes - usize::from(parts.path.ends_with('/'));
    if segments_count > SEGMENTS_AT_MOST {
        return Err(Refusal::PathTooDeep);
    }
    let mut segments = [""; SEGMENTS_AT_MOST];
    for (slot, segment) in segments.iter_mut().zip(parts.path[1..].split('/')) {
        *slot = segment;
    }
    if repeats(&segments[..segments_count]) { Err(Refusal::RepeatedPath) } else { Ok(()) }
}

/// Whether a sequence follows itself more often than allowed. Numbers alone may (`/1/1/1`: a date, a version).
fn repeats(segments: &[&str]) -> bool {
    let copies = REPETITIONS_AT_MOST + 1;
    (1..=segments.len() / copies).any(|length| {
        segments.windows(length * copies).any(|window| {
            let (first, others) = window.split_at(length);
            others.chunks(length).all(|other| other == first)
                && first.iter().any(|segment| !segment.bytes().all(|byte| byte.is_ascii_digit()))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_addresses_have_no_bad_shape() {
        for url in [
            "http://a/",
            "http://a/b/c/b/c/d",
            "http://a/b/b/",
            "http://a/2026/11/11/1/1/1",
            "mailto:x",
            "http://a/?b/b/b/b/b",
        ] {
            assert_eq!(check_shape(url), Ok(()), "{url}");
        }
        assert_eq!(
            check_shape(&format!("http://a{}", (0..20).fold(String::new(), |path, n| path + "/s" + &n.to_string()))),
            Ok(())
        );
    }

    #[test]
    fn loops_are_refused() {
        assert_eq!(check_shape("http://a/x/x/x"), Err(Refusal::RepeatedPath));
        assert_eq!(check_shape("http://a/q/en/de/en/de/en/de/z"), Err(Refusal::RepeatedPath));
        assert_eq!(check_shape("http://a/xx/xx/xx/"), Err(Refusal::RepeatedPath));
        let deep = (0..21).fold(String::from("http://a"), |path, n| path + "/s" + &n.to_string());
        assert_eq!(check_shape(&deep), Err(Refusal::PathTooDeep));
        assert_eq!(check_shape(&format!("http://a/{}", "x".repeat(2083))), Err(Refusal::UrlTooLong));
    }
}
