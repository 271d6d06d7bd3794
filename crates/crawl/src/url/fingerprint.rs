//! The hash that an address is known by: keyed, so that a site can't build two addresses with one hash.

use std::hash::Hasher;

use ::url::Url;
use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128, SipHasher24};

use super::canonical::canonical_text;
use crate::entry::RequestParts;

/// The keyed 128-bit hash of a canonical address; two addresses with one hash are one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fingerprint(pub u128);

/// Makes fingerprints: `SipHash-2-4` of 128 bits under the crawl's key.
#[derive(Debug, Clone, Copy)]
pub struct Fingerprints {
    empty: SipHasher24,
}

impl Fingerprints {
    /// With the key of the crawl, drawn once and kept with its frontier.
    pub fn new(key: [u8; 16]) -> Self {
        Self { empty: SipHasher24::new_with_key(&key) }
    }

    /// Of a plain GET of this address.
    pub fn of(&self, url: &Url) -> Fingerprint {
        self.of_text(url.as_str())
    }

    /// Of a request: its method and its body count unless it is a GET without a body. Headers do not count.
    pub fn of_request(&self, url: &Url, request: &RequestParts) -> Fingerprint {
        let is_get = request.method.is_empty() || request.method.eq_ignore_ascii_case("GET");
        if is_get && request.body.is_empty() {
            return self.of(url);
        }
        let mut hasher = self.empty;
        hasher.write(canonical_text(url.as_str()).text.as_bytes());
        // A zero byte is in no address and in no method, so that the three can't run into each other.
        hasher.write(&[0]);
        hasher.write(if is_get { b"GET" } else { request.method.as_bytes() });
        hasher.write(&[0]);
        hasher.write(&request.body);
        Fingerprint(hasher.finish128().as_u128())
    }

    /// Of a serialised address.
    pub(crate) fn of_text(&self, url: &str) -> Fingerprint {
        self.of_canonical(&canonical_text(url).text)
    }

    /// Of a text that is canonical already.
    pub(crate) fn of_canonical(&self, canonical: &str) -> Fingerprint {
        let mut hasher = self.empty;
        hasher.write(canonical.as_bytes());
        Fingerprint(hasher.finish128().as_u128())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn two_spellings_of_one_address_have_one_fingerprint() {
        let fingerprints = Fingerprints::new([7; 16]);
        let one = fingerprints.of(&url("HTTP://Example.org:80/%7Ea?b=2&a=1#top"));
        assert_eq!(one, fingerprints.of(&url("http://example.org/~a?a=1&b=2&utm_source=x")));
        assert_ne!(one, fingerprints.of(&url("http://example.org/~a?a=1&b=3")));
        assert_ne!(one, Fingerprints::new([8; 16]).of(&url("http://example.org/~a?a=1&b=2")));
    }

    #[test]
    fn method_and_body_tell_requests_apart() {
        let fingerprints = Fingerprints::new([7; 16]);
        let address = url("http://example.org/");
        let request = |method: &str, body: &[u8]| RequestParts {
            method: method.into(),
            body: body.into(),
            ..RequestParts::default()
        };
        let plain = fingerprints.of(&address);
        assert_eq!(plain, fingerprints.of_request(&address, &request("get", b"")));
        assert_eq!(
            plain,
            fingerprints.of_request(
                &address,
                &RequestParts { headers: vec![("a".into(), "b".into())], ..RequestParts::default() }
            )
        );
        let post = fingerprints.of_request(&address, &request("POST", b"a"));
        assert_ne!(plain, post);
        assert_ne!(post, fingerprints.of_request(&address, &request("POST", b"b")));
        assert_ne!(post, fingerprints.of_request(&address, &request("PUT", b"a")));
        assert_ne!(plain, fingerprints.of_request(&address, &request("", b"a")));
    }
}
