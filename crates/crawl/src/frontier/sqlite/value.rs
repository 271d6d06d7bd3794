//! Between our values and the columns of a row.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::entry::EntryKind;
use crate::url::Fingerprint;

pub(in crate::frontier) fn kind_name(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Page => "page",
        EntryKind::Sitemap => "sitemap",
    }
}

pub(in crate::frontier) fn kind_of(name: &str) -> EntryKind {
    if name == "sitemap" { EntryKind::Sitemap } else { EntryKind::Page }
}

/// Milliseconds since 1970; times before count as its beginning.
pub(in crate::frontier) fn to_millis(time: SystemTime) -> i64 {
    duration_to_millis(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

pub(in crate::frontier) fn duration_to_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

pub(in crate::frontier) fn duration_of_millis(millis: i64) -> Duration {
    Duration::from_millis(millis.max(0).unsigned_abs())
}

pub(in crate::frontier) fn of_millis(millis: i64) -> SystemTime {
    UNIX_EPOCH.checked_add(duration_of_millis(millis)).unwrap_or(UNIX_EPOCH)
}

pub(in crate::frontier) fn to_blob(fingerprint: Fingerprint) -> [u8; 16] {
    fingerprint.0.to_be_bytes()
}

/// None where it is not of 16 bytes.
pub(in crate::frontier) fn of_blob(bytes: &[u8]) -> Option<Fingerprint> {
    Some(Fingerprint(u128::from_be_bytes(bytes.try_into().ok()?)))
}

/// Numbers of entries, hosts and items: far below 2^63.
pub(in crate::frontier) fn to_number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(in crate::frontier) fn of_number(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// A key as it stands in the table `meta`.
pub(in crate::frontier) fn to_hex(key: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(key))
}

pub(in crate::frontier) fn of_hex(text: &str) -> Option<[u8; 16]> {
    (text.len() == 32).then(|| u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)).flatten()
}
