//! Addresses: their canonical form and its hash, the scope of a crawl, and the traps that sites set.

/// The keyed 128-bit hash of a canonical address; two addresses with one hash are one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Fingerprint(pub u128);
