//! Addresses: their canonical form and its hash, the scope of a crawl, and the traps that sites set.

/// The keyed 128-bit hash of a canonical address; two addresses with one hash are one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Fingerprint(pub u128);

/// The host of a serialised address with its scheme: `scheme://host:port`, without the port where it is the scheme's own.
pub fn host_key(url: &str) -> &str {
    let Some(start) = url.find("://").map(|colon| colon + 3) else { return url };
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |length| start + length);
    &url[..end]
}
