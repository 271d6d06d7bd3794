//! The shared table of links seen before: what a link's text leads to, its fingerprint, and whether the crawl may follow it.
//!
//! A link that was seen before costs a hash and a look-up, no parse, no judgement. The table is bounded: it has two generations,
//! and when the young one is full the old one is forgotten. It is split so that threads seldom meet.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use ::url::Url;
use encoding_rs::Encoding;
use hashbrown::HashMap;
use siphasher::sip128::{Hasher128, SipHasher13};

use super::canonical::canonical_text;
use super::fingerprint::{Fingerprint, Fingerprints};
use super::join::{Joined, Place};
use super::parts::{Parts, without_fragment};
use super::private::is_private_name;
use super::scope::Scope;
use super::shape::check_shape;
use crate::refusal::Refusal;

/// Of an address that is not fetched (`javascript:`, `data:`), so much is kept for reports.
const UNFETCHABLE_BYTES: usize = 256;
/// Texts longer than this are not remembered.
const REMEMBERED_BYTES: usize = 2083;
const SHARDS: usize = 16;

/// Where a link leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The address to request: absolute, serialised, without fragment. Of what can't be fetched: the link as it was written.
    pub url: Box<str>,
    /// What it is known by.
    pub fingerprint: Fingerprint,
    /// Whether the crawl may follow it: scope, filters, shape, and literal private addresses.
    pub verdict: Result<(), Refusal>,
    /// True where a session identifier in it does not count for the fingerprint.
    pub has_session: bool,
}

/// What a page's links are relative to.
#[derive(Debug, Clone)]
pub struct Base {
    text: String,
    place: Option<Place>,
}

impl Base {
    /// Of the page's final address or of what its `base` element says: a serialised URL.
    pub fn new(url: &str) -> Self {
        Self { text: without_fragment(url).to_owned(), place: Place::new(url) }
    }

    /// The base that a `base` element with this `href` makes on a page with this base.
    #[must_use]
    pub fn with_element(&self, href: &str) -> Option<Self> {
        let url = Url::parse(&self.text).ok()?.join(href).ok()?;
        // WHATWG: a base that nothing can be relative to is no base.
        (!matches!(url.scheme(), "data" | "javascript")).then(|| Self::new(url.as_str()))
    }
}

/// Keys are hashes already.
#[derive(Debug, Default)]
pub(crate) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        #[allow(clippy::cast_possible_truncation, reason = "every half of a hash is a hash")]
        let half = key as u64;
        self.0 = half;
    }
}

type Generation = HashMap<u128, Arc<Target>, BuildHasherDefault<Hashed>>;

#[derive(Default)]
struct Shard {
    young: Generation,
    old: Generation,
}

/// The table of links of one crawl, for all its threads.
pub struct Addresses {
    fingerprints: Fingerprints,
    scope: Arc<Scope>,
    private_allowed: bool,
    /// Of this process: the table is not kept.
    hasher: SipHasher13,
    shards: [Mutex<Shard>; SHARDS],
    generation_count: usize,
}

impl Addresses {
    /// A table that judges by this scope and remembers at most `capacity_count` links (some 200 bytes each).
    pub fn new(fingerprints: Fingerprints, scope: Arc<Scope>, private_allowed: bool, capacity_count: usize) -> Self {
        let random = RandomState::new();
        let hasher = SipHasher13::new_with_keys(random.hash_one(0), random.hash_one(1));
        let generation_count = (capacity_count / SHARDS / 2).max(1);
        Self { fingerprints, scope, private_allowed, hasher, shards: Default::default(), generation_count }
    }

    /// How fingerprints are made.
    pub fn fingerprints(&self) -> &Fingerprints {
        &self.fingerprints
    }

    /// What belongs to the crawl.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The target of an address that stands alone: a seed, a sitemap's entry, a request of a program. None where it is no URL.
    pub fn target(&self, url: &str) -> Option<Arc<Target>> {
        let parsed = || Url::parse(url).ok().map(|url| self.judged(url.as_str()));
        let is_remembered =
            url.len() <= REMEMBERED_BYTES && (url.starts_with("http://") || url.starts_with("https://"));
        let Some(text) = plain(url).filter(|_| is_remembered) else { return parsed().map(Arc::new) };
        let key = self.key(text);
        // A link may have left its text here as one that is no URL.
        let known = self.remembered(key).filter(|target| target.verdict != Err(Refusal::NotFetchable));
        known.or_else(|| parsed().map(|target| self.remember(key, target)))
    }

    /// The target of a link on a page, or of a `Location` header; none where no URL can be made of it.
    pub fn join(&self, base: &str, href: &str) -> Option<Arc<Target>> {
        let target = self.resolve(&Base::new(base), href, &mut String::new());
        (target.verdict != Err(Refusal::NotFetchable) || Url::parse(base).is_ok_and(|base| base.join(href).is_ok()))
            .then_some(target)
    }

    /// The target of a link on a page in UTF-8; `scratch` is reused memory. What is no URL becomes a target that is not fetched.
    pub fn resolve(&self, base: &Base, href: &str, scratch: &mut String) -> Arc<Target> {
        let whole = href.trim_matches(|edge: char| edge <= ' ');
        let (Some(href), Some(place)) = (plain(whole), &base.place) else { return self.unusual(base, whole, None) };
        let joined = place.join(href, scratch);
        match joined {
            Joined::OtherScheme => Arc::new(self.unfetchable(href)),
            Joined::Unusual => self.unusual(base, href, None),
            Joined::Serialised | Joined::Absolute if scratch.len() > REMEMBERED_BYTES => {
                Arc::new(self.read(scratch, joined, href))
            }
            Joined::Serialised | Joined::Absolute => {
                let key = self.key(scratch);
                self.remembered(key).unwrap_or_else(|| self.remember(key, self.read(scratch, joined, href)))
            }
        }
    }

    /// The target of a link with characters outside ASCII on a page in another encoding, in which its query is written.
    pub(crate) fn resolve_in(&self, base: &Base, href: &str, encoding: &'static Encoding) -> Arc<Target> {
        self.unusual(base, href, Some(encoding))
    }

    fn unusual(&self, base: &Base, href: &str, encoding: Option<&'static Encoding>) -> Arc<Target> {
        let parsed = Url::parse(&base.text).ok();
        let options = Url::options().base_url(parsed.as_ref());
        let url = match encoding {
            Some(encoding) => options.encoding_override(Some(&|query| encoding.encode(query).0)).parse(href),
            None => options.parse(href),
        };
        Arc::new(url.map_or_else(|_| self.unfetchable(href), |url| self.judged(url.as_str())))
    }

    fn read(&self, joined: &str, kind: Joined, href: &str) -> Target {
        if kind == Joined::Serialised {
            return self.judged(joined);
        }
        Url::parse(joined).map_or_else(|_| self.unfetchable(href), |url| self.judged(url.as_str()))
    }

    /// Judges a serialised address.
    fn judged(&self, url: &str) -> Target {
        let url = without_fragment(url);
        let Some(parts) = Parts::of(url) else { return self.unfetchable(url) };
        let canonical = canonical_text(url);
        let verdict = if !self.private_allowed && is_private_name(parts.host_name()) {
            Err(Refusal::PrivateAddress)
        } else {
            self.scope.admits_text(url).and_then(|()| check_shape(url))
        };
        Target {
            url: url.into(),
            fingerprint: self.fingerprints.of_canonical(&canonical.text),
            verdict,
            has_session: canonical.has_session,
        }
    }

    fn unfetchable(&self, href: &str) -> Target {
        let end = (0..=href.len().min(UNFETCHABLE_BYTES)).rev().find(|end| href.is_char_boundary(*end)).unwrap_or(0);
        Target {
            url: href[..end].into(),
            fingerprint: self.fingerprints.of_canonical(href),
            verdict: Err(Refusal::NotFetchable),
            has_session: false,
        }
    }

    fn key(&self, text: &str) -> u128 {
        let mut hasher = self.hasher;
        hasher.write(text.as_bytes());
        hasher.finish128().as_u128()
    }

    fn shard(&self, key: u128) -> &Mutex<Shard> {
        // The bits in the middle: the lowest and the highest of each half choose the place in the table.
        &self.shards[(key >> 80) as usize % SHARDS]
    }

    fn remembered(&self, key: u128) -> Option<Arc<Target>> {
        let mut shard = self.shard(key).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = shard.young.get(&key) {
            return Some(Arc::clone(target));
        }
        let target = shard.old.remove(&key)?;
        self.insert(&mut shard, key, Arc::clone(&target));
        Some(target)
    }

    fn remember(&self, key: u128, target: Target) -> Arc<Target> {
        let target = Arc::new(target);
        let mut shard = self.shard(key).lock().unwrap_or_else(PoisonError::into_inner);
        self.insert(&mut shard, key, Arc::clone(&target));
        target
    }

    fn insert(&self, shard: &mut Shard, key: u128, target: Arc<Target>) {
        if shard.young.len() >= self.generation_count {
            let full = std::mem::take(&mut shard.young);
            shard.old = full;
        }
        shard.young.insert(key, target);
    }
}

/// A link without its fragment, where the rest is what the parser would begin with: it drops tabs and line feeds everywhere, and
/// white space at the ends, of which the place before a fragment is none.
fn plain(href: &str) -> Option<&str> {
    let href = without_fragment(href);
    let is_plain = memchr::memchr3(b'\t', b'\n', b'\r', href.as_bytes()).is_none()
        && href.as_bytes().last().is_none_or(|last| *last > b' ');
    is_plain.then_some(href)
}

impl std::fmt::Debug for Addresses {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Addresses").field("scope", &self.scope).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ScopeKind;

    fn addresses(capacity: usize) -> Addresses {
        let seed = Url::parse("http://a.example/docs/").unwrap();
        let scope = Scope::new(&ScopeKind::Host, &[seed], &[], &["\\.zip$".into()]).unwrap();
        Addresses::new(Fingerprints::new([1; 16]), Arc::new(scope), false, capacity)
    }

    #[test]
    fn links_become_targets_with_a_verdict() {
        let table = addresses(100);
        let base = "http://a.example/docs/x.html?old#f";
        let cases = [
            ("y.html#z", "http://a.example/docs/y.html", Ok(())),
            ("  ../../up/./y\t.html ", "http://a.example/up/y.html", Ok(())),
            ("#here", "http://a.example/docs/x.html?old", Ok(())),
            ("?new=ä", "http://a.example/docs/x.html?new=%C3%A4", Ok(())),
            ("//b.example", "http://b.example/", Err(Refusal::OutOfScope)),
            ("/a.zip", "http://a.example/a.zip", Err(Refusal::Filtered)),
            ("http:z", "http://a.example/docs/z", Ok(())),
            ("\\z", "http://a.example/z", Ok(())),
            ("mailto:me@a.example", "mailto:me@a.example", Err(Refusal::NotFetchable)),
            ("http://[", "http://[", Err(Refusal::NotFetchable)),
            ("http://127.1/", "http://127.0.0.1/", Err(Refusal::PrivateAddress)),
            ("q/q/q", "http://a.example/docs/q/q/q", Err(Refusal::RepeatedPath)),
        ];
        for _ in 0..2 {
            for (href, url, verdict) in cases {
                let target = table.resolve(&Base::new(base), href, &mut String::new());
                assert_eq!((&*target.url, target.verdict), (url, verdict), "{href}");
            }
        }
    }

    #[test]
    fn a_link_seen_before_is_the_same_target() {
        let table = addresses(1_000);
        let base = Base::new("http://a.example/docs/x.html");
        let one = table.resolve(&base, "y.html", &mut String::new());
        for href in ["./y.html#a", "../docs/y.html", "/docs/y.html", "http://a.example/docs/y.html"] {
            assert!(Arc::ptr_eq(&one, &table.resolve(&base, href, &mut String::new())), "{href}");
        }
        assert_eq!(one.fingerprint, table.target("http://A.example/docs/y.html?utm_source=x").unwrap().fingerprint);
    }

    #[test]
    fn the_table_is_bounded() {
        let table = addresses(320);
        let base = Base::new("http://a.example/");
        for number in 0..10_000 {
            table.resolve(&base, &number.to_string(), &mut String::new());
        }
        let lengths =
            table.shards.iter().map(|shard| shard.lock().unwrap()).map(|shard| shard.young.len() + shard.old.len());
        assert!(lengths.sum::<usize>() <= 320);
    }

    #[test]
    fn long_texts_are_cut_and_not_remembered() {
        let table = addresses(320);
        let target =
            table.resolve(&Base::new("http://a.example/"), &format!("data:{}", "ä".repeat(5_000)), &mut String::new());
        assert!(target.url.len() <= UNFETCHABLE_BYTES);
        let target = table.resolve(&Base::new("http://a.example/"), &"x".repeat(5_000), &mut String::new());
        assert_eq!(target.verdict, Err(Refusal::UrlTooLong));
        assert!(table.shards.iter().all(|shard| shard.lock().unwrap().young.is_empty()));
    }

    #[test]
    fn location_headers_are_joined() {
        let table = addresses(10);
        assert_eq!(&*table.join("http://a.example/b/c", "../d").unwrap().url, "http://a.example/d");
        assert_eq!(table.join("http://a.example/b/c", "http://:"), None);
        assert_eq!(table.target("no url"), None);
        let _ = table.join("http://a.example/", "http://[#x");
        assert_eq!(table.target("http://["), None);
        let one = table.target("http://a.example/b#c").unwrap();
        assert!(Arc::ptr_eq(&one, &table.target("http://a.example/b").unwrap()));
        assert!(Arc::ptr_eq(&one, &table.join("http://a.example/", "b").unwrap()));
    }
}
