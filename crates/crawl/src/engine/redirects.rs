//! Where a chain of redirects may lead on, and where it leads back.

use std::collections::HashMap;
use std::sync::Arc;

use crate::url::{Fingerprint, Target};

/// How many redirects are followed from one address.
pub(crate) const HOP_LIMIT: usize = 10;

/// The way from the address first asked for to the one that is asked now.
#[derive(Clone)]
pub(crate) struct Way {
    /// The address that is asked now.
    pub(crate) target: Arc<Target>,
    /// The addresses that redirected, in order.
    pub(crate) passed: Vec<Box<str>>,
    /// Their fingerprints.
    pub(crate) claimed: Vec<Fingerprint>,
    /// True where an answer on the way set a cookie: leading back may then be a gate and no loop.
    pub(crate) has_cookie: bool,
    /// True where a redirect made a GET of a request with a body.
    pub(crate) is_get: bool,
}

/// More ways than this are not remembered at a time: the pages behind the others name the address that answered only.
const WAY_LIMIT: usize = 1 << 16;

/// The ways to addresses that wait for their turn as entries of their own.
#[derive(Default)]
pub(crate) struct Ways(HashMap<Fingerprint, Box<Way>>);

impl Ways {
    /// Takes out how the address was come by.
    pub(crate) fn take(&mut self, fingerprint: Fingerprint) -> Option<Box<Way>> {
        if self.0.is_empty() { None } else { self.0.remove(&fingerprint) }
    }

    /// Remembers how its target was come by; the first way stays.
    pub(crate) fn remember(&mut self, way: Box<Way>) {
        if self.0.len() < WAY_LIMIT {
            self.0.entry(way.target.fingerprint).or_insert(way);
        }
    }
}

/// What follows from a redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hop {
    /// The target is another page: an entry of its own, if nobody knows it yet.
    Onward,
    /// The target is this entry's page under another name, or a cookie gate that opens: it is asked on the entry's behalf.
    Again,
    /// It leads back, or there were too many.
    Loop,
}

/// What follows where `passed` and then the last of them redirect to the target.
pub(crate) fn hop(passed: &[Box<str>], claimed: &[Fingerprint], has_cookie: bool, target: (&str, Fingerprint)) -> Hop {
    if passed.len() > HOP_LIMIT {
        Hop::Loop
    } else if passed.iter().any(|url| **url == *target.0) {
        if has_cookie { Hop::Again } else { Hop::Loop }
    } else if claimed.contains(&target.1) {
        Hop::Again
    } else {
        Hop::Onward
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(count: usize) -> (Vec<Box<str>>, Vec<Fingerprint>) {
        let urls = (0..count).map(|number| format!("http://a/{number}").into_boxed_str()).collect();
        (urls, (0..count as u128).map(Fingerprint).collect())
    }

    fn hop_after(count: usize, has_cookie: bool, target: (&str, u128)) -> Hop {
        let (urls, fingerprints) = passed(count);
        hop(&urls, &fingerprints, has_cookie, (target.0, Fingerprint(target.1)))
    }

    #[test]
    fn a_redirect_to_itself_is_a_loop_unless_it_set_a_cookie() {
        assert_eq!(hop_after(1, false, ("http://a/0", 0)), Hop::Loop);
        assert_eq!(hop_after(1, true, ("http://a/0", 0)), Hop::Again);
    }

    #[test]
    fn another_name_of_the_same_page_is_asked_without_a_claim() {
        assert_eq!(hop_after(1, false, ("http://a/0?utm_source=x", 0)), Hop::Again);
    }

    #[test]
    fn ten_redirects_are_followed_and_the_eleventh_is_not_even_with_cookies() {
        assert_eq!(hop_after(HOP_LIMIT, false, ("http://a/next", 77)), Hop::Onward);
        assert_eq!(hop_after(HOP_LIMIT + 1, false, ("http://a/next", 77)), Hop::Loop);
        assert_eq!(hop_after(HOP_LIMIT + 1, true, ("http://a/0", 0)), Hop::Loop);
    }
}
