//! A page's links, title and what it says to robots, found in one pass over its bytes.

use std::borrow::Cow;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use encoding_rs::{Encoding, ISO_2022_JP, UTF_8};
use hashbrown::HashMap;

use super::attribute::{attribute_text, title_text};
use super::charset::encoding_of;
use super::link::{Link, LinkKind, has_word, related};
use super::robots::MetaRobots;
use super::scan::{Attributes, Element, Scanner, attribute};
use super::srcset::{refresh, srcset};
use crate::url::{Addresses, Base, Fingerprint, Hashed, Target};

/// Of a title, so many bytes are read: one that is not closed is the whole page.
const TITLE_BYTES: usize = 4096;

/// A page to read.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The body, decompressed.
    pub body: &'a [u8],
    /// The `Content-Type` header.
    pub content_type: Option<&'a str>,
    /// The address that answered: a serialised URL.
    pub url: &'a str,
    /// The crawler's name, to which a `meta` element of that name speaks besides `robots`.
    pub agent: &'a str,
    /// True to find media, too.
    pub media: bool,
}

/// What a page has.
#[derive(Debug, Clone)]
pub struct Extracted {
    /// The links, each address once, in the order of the page. A link that is no URL or has a scheme that is not fetched is there,
    /// too, with that verdict.
    pub links: Vec<Link>,
    /// The text of the title, white space collapsed.
    pub title: Option<String>,
    /// The name of the encoding.
    pub charset: &'static str,
    /// The address that the page would rather be known by.
    pub canonical: Option<Arc<Target>>,
    /// What its `meta` elements say to robots.
    pub robots: MetaRobots,
}

/// Reads a page of HTML; anything else gives what a browser would make of it as HTML.
pub fn page(source: &Source<'_>, addresses: &Addresses) -> Extracted {
    let encoding = encoding_of(source.body, source.content_type, true);
    // Of all encodings these alone have bytes like `<` within other characters.
    let is_decoded = encoding.is_single_byte() || (encoding.is_ascii_compatible() && encoding != ISO_2022_JP);
    let (body, inner) = if is_decoded {
        (Cow::Borrowed(source.body), encoding)
    } else {
        (Cow::Owned(encoding.decode(source.body).0.into_owned().into_bytes()), UTF_8)
    };
    let is_xml = source.content_type.is_some_and(|name| {
        name.trim_start().get(..21).is_some_and(|head| head.eq_ignore_ascii_case("application/xhtml+xml"))
    });
    let mut found = Found {
        encoding: inner,
        links: Vec::with_capacity(64),
        base: None,
        robots: MetaRobots::default(),
        agent: source.agent,
        media: source.media,
    };
    let mut scanner = Scanner::new(&body, is_xml);
    let mut attributes = Attributes::with_capacity(16);
    while let Some(element) = scanner.next_element(&mut attributes) {
        found.element(element, &attributes);
    }
    let title = scanner.title().and_then(|title| title_text(&title[..title.len().min(TITLE_BYTES)], inner));
    let robots = found.robots;
    let (links, canonical) = found.resolved(source.url, addresses);
    Extracted { links, title, charset: encoding.name(), canonical, robots }
}

/// A link as it is written.
struct Written<'a> {
    address: Cow<'a, str>,
    kind: LinkKind,
    no_follow: bool,
}

/// What the elements of a page say, before the base of its links is known.
struct Found<'a> {
    encoding: &'static Encoding,
    links: Vec<Written<'a>>,
    base: Option<Cow<'a, str>>,
    robots: MetaRobots,
    agent: &'a str,
    media: bool,
}

impl<'a> Found<'a> {
    fn element(&mut self, element: Element, attributes: &Attributes<'a>) {
        match element {
            Element::Anchor | Element::Area => self.anchor(attributes),
            Element::Link => self.link(attributes),
            Element::Frame => self.source(attributes, LinkKind::Frame),
            Element::Image | Element::Source if self.media => {
                self.source(attributes, LinkKind::Media);
                self.srcset(attributes);
            }
            Element::Meta => self.meta(attributes),
            Element::Base if self.base.is_none() => self.base = self.text(attributes, "href"),
            _ => {}
        }
    }

    fn text(&self, attributes: &Attributes<'a>, name: &str) -> Option<Cow<'a, str>> {
        attribute(attributes, name).map(|value| attribute_text(value, self.encoding))
    }

    fn push(&mut self, address: Cow<'a, str>, kind: LinkKind, no_follow: bool) {
        self.links.push(Written { address, kind, no_follow });
    }

    fn anchor(&mut self, attributes: &Attributes<'a>) {
        // The second name is that of links in drawings.
        let Some(address) = self.text(attributes, "href").or_else(|| self.text(attributes, "xlink:href")) else {
            return;
        };
        let no_follow = self.text(attributes, "rel").is_some_and(|rel| has_word(&rel, "nofollow"));
        self.push(address, LinkKind::Anchor, no_follow);
    }

    fn link(&mut self, attributes: &Attributes<'a>) {
        let (Some(address), Some(rel)) = (self.text(attributes, "href"), self.text(attributes, "rel")) else { return };
        let media_type = self.text(attributes, "type");
        if let Some(kind) = related(&rel, media_type.as_deref()) {
            self.push(address, kind, has_word(&rel, "nofollow"));
        }
    }

    fn source(&mut self, attributes: &Attributes<'a>, kind: LinkKind) {
        // An empty source is no source.
        if let Some(address) = self.text(attributes, "src").filter(|address| !address.trim_ascii().is_empty()) {
            self.push(address, kind, false);
        }
    }

    fn srcset(&mut self, attributes: &Attributes<'a>) {
        let Some(value) = self.text(attributes, "srcset") else { return };
        for address in srcset(&value) {
            self.push(Cow::Owned(address.to_owned()), LinkKind::Media, false);
        }
    }

    fn meta(&mut self, attributes: &Attributes<'a>) {
        let Some(content) = self.text(attributes, "content") else { return };
        if self.text(attributes, "http-equiv").is_some_and(|name| name.eq_ignore_ascii_case("refresh")) {
            if let Some(address) = refresh(&content) {
                self.push(Cow::Owned(address.to_owned()), LinkKind::Refresh, false);
            }
        }
        let is_for_us = |name: &str| {
            name.eq_ignore_ascii_case("robots") || (!self.agent.is_empty() && name.eq_ignore_ascii_case(self.agent))
        };
        if self.text(attributes, "name").is_some_and(|name| is_for_us(&name)) {
            self.robots = self.robots.and(MetaRobots::read(&content));
        }
    }

    /// The links made absolute, each address once, and the canonical one.
    fn resolved(self, url: &str, addresses: &Addresses) -> (Vec<Link>, Option<Arc<Target>>) {
        let base = Base::new(url);
        let base = self.base.as_deref().and_then(|href| base.with_element(href)).unwrap_or(base);
        let mut places: HashMap<Fingerprint, usize, BuildHasherDefault<Hashed>> =
            HashMap::with_capacity_and_hasher(self.links.len(), BuildHasherDefault::default());
        let mut links: Vec<Link> = Vec::with_capacity(self.links.len());
        let mut canonical = None;
        let mut scratch = String::with_capacity(128);
        for Written { address, kind, no_follow } in self.links {
            let target = if self.encoding == UTF_8 || address.is_ascii() {
                addresses.resolve(&base, &address, &mut scratch)
            } else {
                addresses.resolve_in(&base, &address, self.encoding)
            };
            if kind == LinkKind::Canonical && canonical.is_none() {
                canonical = Some(Arc::clone(&target));
            }
            let place = *places.entry(target.fingerprint).or_insert(links.len());
            match links.get_mut(place) {
                Some(known) => known.no_follow &= no_follow,
                None => links.push(Link { target, kind, no_follow }),
            }
        }
        (links, canonical)
    }
}
