//! Pages as records of a web archive (WARC 1.1, ISO 28500): the request and the response, as far as they are kept.

use std::hash::Hasher;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::{StatusCode, Uri};
use sha2::{Digest, Sha256};
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::page::Page;

/// Headers that describe the body as it came over the wire, and not as it is archived: unpacked.
const OF_THE_WIRE: [&str; 3] = ["content-encoding", "transfer-encoding", "content-length"];
/// What such headers are called in the archive.
const AS_SENT: &str = "x-archive-orig-";

/// The records of one page; nothing where there was no answer.
///
/// `fetched` is when the answer came; `key` is the crawl's hash key, from which the numbers of the records are made, so that
/// the same visit gets the same ones; with `gzip` each record is compressed by itself, as readers of `.warc.gz` expect.
pub fn archive_page(page: &Page, fetched: SystemTime, key: &[u8; 16], gzip: bool) -> Vec<u8> {
    if page.status == 0 {
        return Vec::new();
    }
    let date = iso_date(fetched);
    let (response, request) = (record_id(key, page, &date, "response"), record_id(key, page, &date, "request"));
    let mut digest = String::from("sha256:");
    push_base32(&Sha256::digest(&page.body), &mut digest);
    let common = format!("WARC-Date: {date}\r\nWARC-Target-URI: {}\r\n", page.final_url);
    let mut records = Vec::with_capacity(page.body.len() / if gzip { 3 } else { 1 } + 2048);
    let head = format!(
        "WARC-Type: response\r\nWARC-Record-ID: <urn:uuid:{response}>\r\n{common}WARC-Payload-Digest: {digest}\r\n\
         Content-Type: application/http;msgtype=response\r\n"
    );
    push_record(&head, &[&response_head(page), &page.body], gzip, &mut records);
    let head = format!(
        "WARC-Type: request\r\nWARC-Record-ID: <urn:uuid:{request}>\r\n{common}\
         WARC-Concurrent-To: <urn:uuid:{response}>\r\nContent-Type: application/http;msgtype=request\r\n"
    );
    push_record(&head, &[&request_head(page), request_body(page)], gzip, &mut records);
    records
}

/// The record that an archive begins with.
pub(super) fn archive_info(now: SystemTime, gzip: bool) -> Vec<u8> {
    let date = iso_date(now);
    let mut hasher = SipHasher13::new();
    hasher.write(date.as_bytes());
    let head = format!(
        "WARC-Type: warcinfo\r\nWARC-Record-ID: <urn:uuid:{}>\r\nWARC-Date: {date}\r\n\
         Content-Type: application/warc-fields\r\n",
        uuid(hasher.finish128().as_u128())
    );
    let fields = concat!("software: threefold/", env!("CARGO_PKG_VERSION"), "\r\nformat: WARC File Format 1.1\r\n");
    let mut record = Vec::new();
    push_record(&head, &[fields.as_bytes()], gzip, &mut record);
    record
}

/// Appends a record; it is written to memory, which does not fail.
fn push_record(head: &str, block: &[&[u8]], gzip: bool, records: &mut Vec<u8>) {
    let length: usize = block.iter().map(|part| part.len()).sum();
    let first = format!("WARC/1.1\r\n{head}Content-Length: {length}\r\n\r\n");
    let mut parts =
        std::iter::once(first.as_bytes()).chain(block.iter().copied()).chain(std::iter::once(&b"\r\n\r\n"[..]));
    if gzip {
        let mut encoder = GzEncoder::new(std::mem::take(records), Compression::default());
        let written = parts.try_for_each(|part| encoder.write_all(part));
        *records = written.and_then(|()| encoder.finish()).unwrap_or_default();
    } else {
        parts.for_each(|part| records.extend_from_slice(part));
    }
}

fn response_head(page: &Page) -> Vec<u8> {
    let reason = StatusCode::from_u16(page.status).ok().and_then(|status| status.canonical_reason()).unwrap_or("");
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", page.status).into_bytes();
    for (name, value) in &page.headers {
        if OF_THE_WIRE.contains(&name.as_str()) {
            head.extend_from_slice(AS_SENT.as_bytes());
        }
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(format!("content-length: {}\r\n\r\n", page.body.len()).as_bytes());
    head
}

fn request_head(page: &Page) -> Vec<u8> {
    let address: Uri = page.final_url.parse().unwrap_or_default();
    let target = address.path_and_query().map_or("/", |target| target.as_str());
    let host = address.authority().map_or("", |authority| authority.as_str());
    let parts = page.request.as_deref();
    let method = parts.map_or("GET", |parts| if parts.method.is_empty() { "GET" } else { &parts.method });
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\n");
    for (name, value) in parts.map_or(&[][..], |parts| &parts.headers) {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head.push_str("\r\n");
    head.into_bytes()
}

fn request_body(page: &Page) -> &[u8] {
    page.request.as_deref().map_or(&[], |parts| &parts.body)
}

fn record_id(key: &[u8; 16], page: &Page, date: &str, kind: &str) -> String {
    let mut hasher = SipHasher13::new_with_key(key);
    hasher.write_u64(page.entry.0);
    for part in [&page.final_url, date, kind] {
        hasher.write(part.as_bytes());
    }
    uuid(hasher.finish128().as_u128())
}

/// A number as a UUID of version 8, which says that its bits are our own affair.
fn uuid(bits: u128) -> String {
    let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x8 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// RFC 4648, with padding, as digests in archives are written.
fn push_base32(bytes: &[u8], text: &mut String) {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    for group in bytes.chunks(5) {
        let mut bits = [0; 8];
        bits[3..3 + group.len()].copy_from_slice(group);
        let bits = u64::from_be_bytes(bits);
        let used = (group.len() * 8).div_ceil(5);
        for place in 0..8 {
            let letter = (bits >> (35 - 5 * place)) & 31;
            text.push(if place < used { char::from(LETTERS[usize::try_from(letter).unwrap_or(0)]) } else { '=' });
        }
    }
}

/// A time in UTC as ISO 8601 writes it, to the millisecond.
fn iso_date(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", since.subsec_millis())
}

/// Year, month and day of a number of days since 1970, by the Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    // Years are counted from March, so that the day that comes every four years is the last of its year.
    let from_march_0 = days + 719_468;
    let (era, day_of_era) = (from_march_0 / 146_097, from_march_0 % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let date = |seconds: u64| iso_date(UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 7));
        assert_eq!(date(0), "1970-01-01T00:00:00.007Z");
        assert_eq!(date(951_782_400), "2000-02-29T00:00:00.007Z");
        assert_eq!(date(1_709_164_799), "2024-02-28T23:59:59.007Z");
        assert_eq!(date(4_107_542_400), "2100-03-01T00:00:00.007Z");
    }

    #[test]
    fn base32_is_that_of_the_standard() {
        let encoded = |text: &str| {
            let mut encoded = String::new();
            push_base32(text.as_bytes(), &mut encoded);
            encoded
        };
        let cases = [("", ""), ("f", "MY======"), ("fo", "MZXQ===="), ("foob", "MZXW6YQ="), ("fooba", "MZXW6YTB")];
        assert!(cases.into_iter().all(|(text, expected)| encoded(text) == expected));
    }
}
