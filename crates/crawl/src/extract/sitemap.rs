//! What a sitemap lists: pages, or further sitemaps; as XML or as plain text, packed or not.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};

use super::charset::decode;

/// The protocol's limits.
const ENTRIES_AT_MOST: usize = 50_000;
const BYTES_AT_MOST: u64 = 50 << 20;
const ADDRESS_BYTES: usize = 2083;

/// One address of a sitemap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SitemapEntry {
    /// The address, as it is written.
    pub url: String,
    /// When it was changed, as it is written.
    pub last_modified: Option<String>,
}

/// What a sitemap lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sitemap {
    /// Pages.
    pub pages: Vec<SitemapEntry>,
    /// Further sitemaps.
    pub sitemaps: Vec<SitemapEntry>,
    /// True where it has more than 50,000 entries or 50 MiB, or is broken behind what was read.
    pub is_cut: bool,
}

/// Why nothing can be read from a sitemap.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SitemapError {
    /// It declares a document type; entities that grow without end are declared there.
    #[error("the sitemap declares a document type, which no sitemap needs and bombs are made of")]
    DocumentType,
    /// It is no sitemap.
    #[error("this is no sitemap: {0}")]
    Unreadable(String),
}

/// Reads a sitemap of at most 50,000 entries and 50 MiB; what is beyond that is left out. A body that is packed (`.xml.gz`) is
/// unpacked.
///
/// # Errors
/// It declares a document type, or it has no entry and no form of a sitemap.
pub fn sitemap(body: &[u8]) -> Result<Sitemap, SitemapError> {
    let mut unpacked = Vec::new();
    let (body, is_cut) = if body.starts_with(b"\x1f\x8b") {
        let result = MultiGzDecoder::new(body).take(BYTES_AT_MOST + 1).read_to_end(&mut unpacked);
        if unpacked.is_empty() && result.is_err() {
            return Err(SitemapError::Unreadable("it can't be unpacked".to_owned()));
        }
        (&*unpacked, result.is_err())
    } else {
        (body, false)
    };
    let most = usize::try_from(BYTES_AT_MOST).unwrap_or(usize::MAX);
    let is_cut = is_cut || body.len() > most;
    let text = decode(&body[..body.len().min(most)], None, Some("application/xml"));
    let mut found = if text.trim_start().starts_with('<') { from_xml(&text)? } else { from_text(&text)? };
    found.is_cut |= is_cut;
    Ok(found)
}

/// A sitemap in plain text: an address a line.
fn from_text(text: &str) -> Result<Sitemap, SitemapError> {
    let mut lines =
        text.lines().map(str::trim).filter(|line| line.starts_with("http://") || line.starts_with("https://"));
    let entry = |line: &str| SitemapEntry { url: line.to_owned(), last_modified: None };
    let pages: Vec<SitemapEntry> =
        lines.by_ref().take(ENTRIES_AT_MOST).filter(|line| line.len() <= ADDRESS_BYTES).map(entry).collect();
    if pages.is_empty() && !text.trim().is_empty() {
        return Err(SitemapError::Unreadable("it is neither XML nor a list of addresses".to_owned()));
    }
    Ok(Sitemap { pages, is_cut: lines.next().is_some(), ..Sitemap::default() })
}

/// Where the reader is: entries are children of the root, their values children of theirs.
#[derive(Default)]
struct Place {
    depth: usize,
    is_index: bool,
    /// The text of which element is read.
    value: Option<Value>,
    url: String,
    last_modified: String,
}

#[derive(Clone, Copy)]
enum Value {
    Url,
    LastModified,
}

fn from_xml(text: &str) -> Result<Sitemap, SitemapError> {
    let mut reader = Reader::from_str(text);
    let mut place = Place::default();
    let mut found = Sitemap::default();
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => place.open(start.local_name().as_ref())?,
            Ok(Event::End(_)) => place.close(&mut found),
            Ok(Event::Text(text)) => place.push(&text.decode().unwrap_or_default()),
            Ok(Event::CData(text)) => place.push(&text.decode().unwrap_or_default()),
            Ok(Event::GeneralRef(reference)) => place.push(&referred(&reference)),
            Ok(Event::DocType(_)) => return Err(SitemapError::DocumentType),
            Ok(Event::Eof) if place.depth == 0 => break,
            Ok(Event::Eof) | Err(_) if !found.pages.is_empty() || !found.sitemaps.is_empty() => {
                found.is_cut = true;
                break;
            }
            Ok(Event::Eof) => return Err(SitemapError::Unreadable("it ends in the middle".to_owned())),
            Err(error) => return Err(SitemapError::Unreadable(error.to_string())),
            Ok(_) => {}
        }
        if found.pages.len() + found.sitemaps.len() >= ENTRIES_AT_MOST {
            // One entry more, or only the end?
            found.is_cut = has_entry(&mut reader);
            break;
        }
    }
    Ok(found)
}

fn has_entry(reader: &mut Reader<&[u8]>) -> bool {
    loop {
        match reader.read_event() {
            Ok(Event::Start(_)) | Err(_) => return true,
            Ok(Event::Eof) => return false,
            Ok(_) => {}
        }
    }
}

impl Place {
    fn open(&mut self, name: &[u8]) -> Result<(), SitemapError> {
        match (self.depth, name) {
            (0, b"urlset") => {}
            (0, b"sitemapindex") => self.is_index = true,
            (0, _) => {
                let name = String::from_utf8_lossy(&name[..name.len().min(40)]).into_owned();
                return Err(SitemapError::Unreadable(format!("its root is <{name}>, not <urlset> or <sitemapindex>")));
            }
            (2, b"loc") => self.value = Some(Value::Url),
            (2, b"lastmod") => self.value = Some(Value::LastModified),
            _ => {}
        }
        self.depth += 1;
        Ok(())
    }

    fn close(&mut self, found: &mut Sitemap) {
        self.depth = self.depth.saturating_sub(1);
        match self.depth {
            2 => self.value = None,
            1 => {
                let url = std::mem::take(&mut self.url);
                let last_modified = std::mem::take(&mut self.last_modified);
                let url = url.trim();
                if !url.is_empty() && url.len() <= ADDRESS_BYTES {
                    let last_modified = Some(last_modified.trim().to_owned()).filter(|date| !date.is_empty());
                    let entries = if self.is_index { &mut found.sitemaps } else { &mut found.pages };
                    entries.push(SitemapEntry { url: url.to_owned(), last_modified });
                }
            }
            _ => {}
        }
    }

    fn push(&mut self, text: &str) {
        // Elements within an address or a date do not belong there.
        let value = match self.value {
            Some(Value::Url) if self.depth == 3 => &mut self.url,
            Some(Value::LastModified) if self.depth == 3 => &mut self.last_modified,
            _ => return,
        };
        if value.len() + text.len() <= 2 * ADDRESS_BYTES {
            value.push_str(text);
        }
    }
}

/// What a reference stands for: a character by number, or one of the five that XML knows without a declaration.
fn referred(reference: &BytesRef<'_>) -> String {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return character.to_string();
    }
    match &**reference {
        b"amp" => "&",
        b"lt" => "<",
        b"gt" => ">",
        b"quot" => "\"",
        b"apos" => "'",
        _ => "",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn urls(entries: &[SitemapEntry]) -> Vec<&str> {
        entries.iter().map(|entry| &*entry.url).collect()
    }

    #[test]
    fn pages_and_their_dates_are_read() {
        let body = br#"<?xml version="1.0" encoding="UTF-8"?>
            <urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
              <url><loc> http://a/?x=1&amp;y=&#50; </loc><lastmod>2026-11-23</lastmod>
                <image:image><image:loc>http://a/i.png</image:loc></image:image></url>
              <url><loc><![CDATA[http://a/2]]></loc></url><url><priority>1</priority></url>
            </urlset>"#;
        let found = sitemap(body).unwrap();
        assert_eq!(urls(&found.pages), ["http://a/?x=1&y=2", "http://a/2"]);
        assert_eq!(found.pages[0].last_modified.as_deref(), Some("2026-11-23"));
        assert!(found.sitemaps.is_empty() && !found.is_cut);
    }

    #[test]
    fn an_index_lists_sitemaps_and_may_be_packed() {
        let body = b"<sm:sitemapindex xmlns:sm='x'><sm:sitemap><sm:loc>http://a/1.xml.gz</sm:loc></sm:sitemap></sm:sitemapindex>";
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(body).unwrap();
        let packed = encoder.finish().unwrap();
        assert_eq!(urls(&sitemap(&packed).unwrap().sitemaps), ["http://a/1.xml.gz"]);
        assert_eq!(sitemap(&packed).unwrap(), sitemap(body).unwrap());
        assert!(sitemap(&packed[..packed.len() - 40]).is_err());
        assert!(sitemap(&packed[..12]).is_err());
    }

    #[test]
    fn plain_text_lists_pages() {
        let found = sitemap(b"\xef\xbb\xbfhttp://a/1\r\n\nnonsense\nhttps://a/2\n").unwrap();
        assert_eq!(urls(&found.pages), ["http://a/1", "https://a/2"]);
        assert!(sitemap(b"nonsense").is_err());
        assert_eq!(sitemap(b""), Ok(Sitemap::default()));
    }

    #[test]
    fn what_is_beyond_the_limits_is_left_out() {
        let many = |count: usize| format!("<urlset>{}</urlset>", "<url><loc>http://a/</loc></url>".repeat(count));
        let found = sitemap(many(50_000).as_bytes()).unwrap();
        assert_eq!((found.pages.len(), found.is_cut), (50_000, false));
        let found = sitemap(many(50_001).as_bytes()).unwrap();
        assert_eq!((found.pages.len(), found.is_cut), (50_000, true));
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(b"<urlset><url><loc>http://a/</loc></url>").unwrap();
        for _ in 0..60 {
            packer.write_all(&vec![b' '; 1 << 20]).unwrap();
        }
        let found = sitemap(&packer.finish().unwrap()).unwrap();
        assert_eq!((found.pages.len(), found.is_cut), (1, true));
    }

    #[test]
    fn bombs_and_other_documents_are_refused() {
        let bomb = b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><urlset><url><loc>&b;</loc></url></urlset>";
        assert_eq!(sitemap(bomb), Err(SitemapError::DocumentType));
        let message = sitemap(b"<html><body></body></html>").unwrap_err().to_string();
        assert_eq!(message, "this is no sitemap: its root is <html>, not <urlset> or <sitemapindex>");
        let broken = sitemap(b"<urlset><url><loc>http://a/1</loc></url><url><loc>http://a/2</lo").unwrap();
        assert_eq!((urls(&broken.pages), broken.is_cut), (vec!["http://a/1"], true));
    }
}
