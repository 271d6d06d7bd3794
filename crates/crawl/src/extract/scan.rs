//! The start tags of a page that may hold links: a scanner that goes from one `<` to the next over undecoded bytes.
//!
//! It is WHATWG's tokenizer with everything left out that can't move the border between markup and text: see
//! `docs/design/link-scanner.md`. The bytes are of an encoding in which ASCII stands for itself.

use memchr::{memchr, memchr_iter};

use super::rawtext::{raw_text_end, script_end};

/// The elements that matter here; all others are `Other`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    Anchor,
    Area,
    Base,
    Frame,
    Image,
    Link,
    Meta,
    Source,
    Title,
    Script,
    /// Its content is no markup: `style`, `xmp`, `noembed`, `noframes`, `textarea`.
    RawText,
    /// All that follows is text.
    PlainText,
    /// `svg` or `math`: elements inside follow the rules of XML.
    Foreign,
    /// HTML within `svg`.
    ForeignObject,
    Other,
}

impl Element {
    fn of(name: &[u8]) -> Self {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        let first = name[0] | 0x20;
        match (name.len(), first) {
            (1, b'a') => Self::Anchor,
            (3, b'i') if is("img") => Self::Image,
            (3, b's') if is("svg") => Self::Foreign,
            (3, b'x') if is("xmp") => Self::RawText,
            (4, b'a') if is("area") => Self::Area,
            (4, b'b') if is("base") => Self::Base,
            (4, b'l') if is("link") => Self::Link,
            (4, b'm') if is("meta") => Self::Meta,
            (4, b'm') if is("math") => Self::Foreign,
            (5, b'f') if is("frame") => Self::Frame,
            (5, b't') if is("title") => Self::Title,
            (5, b's') if is("style") => Self::RawText,
            (5, b'v') if is("video") => Self::Source,
            (5, b'a') if is("audio") => Self::Source,
            (6, b's') if is("script") => Self::Script,
            (6, b's') if is("source") => Self::Source,
            (6, b'i') if is("iframe") => Self::Frame,
            (7, b'n') if is("noembed") => Self::RawText,
            (8, b'n') if is("noframes") => Self::RawText,
            (8, b't') if is("textarea") => Self::RawText,
            (9, b'p') if is("plaintext") => Self::PlainText,
            (13, b'f') if is("foreignobject") => Self::ForeignObject,
            _ => Self::Other,
        }
    }

    fn has_links(self) -> bool {
        use Element::{Anchor, Area, Base, Frame, Image, Link, Meta, Source};
        matches!(self, Anchor | Area | Base | Frame | Image | Link | Meta | Source)
    }
}

/// Start tags that end `svg` and `math`, because they are HTML and nothing else.
const HTML_ONLY: [&str; 42] = [
    "b",
    "big",
    "blockquote",
    "body",
    "br",
    "center",
    "code",
    "dd",
    "div",
    "dl",
    "dt",
    "em",
    "embed",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "hr",
    "i",
    "img",
    "li",
    "listing",
    "menu",
    "meta",
    "nobr",
    "ol",
    "p",
    "pre",
    "ruby",
    "s",
    "small",
    "span",
    "strong",
    "strike",
    "sub",
    "sup",
    "table",
    "tt",
    "ul",
];

/// The attributes of a tag, as they are written.
pub(super) type Attributes<'a> = Vec<(&'a [u8], &'a [u8])>;

/// The first attribute of that name: of several the later ones do not count.
pub(super) fn attribute<'a>(attributes: &Attributes<'a>, name: &str) -> Option<&'a [u8]> {
    attributes.iter().find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| *value)
}

/// How a tag ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TagEnd {
    Open,
    SelfClosing,
}

/// The scanner.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    /// True for XHTML that is served as XML: no element has text that is no markup.
    is_xml: bool,
    foreign_depth: u32,
    /// The depth to go back to where HTML within `svg` ends.
    outer_depth: u32,
    title: Option<&'a [u8]>,
}

pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t' | b'\r' | b'\x0c')
}

/// Bytes that end the name of a tag or of an attribute; `=` ends only the latter.
const NAME_ENDS: [bool; 256] = {
    let mut table = [false; 256];
    let ends = b" \n\t\r\x0c/>=";
    let mut number = 0;
    while number < ends.len() {
        table[ends[number] as usize] = true;
        number += 1;
    }
    table
};

impl<'a> Scanner<'a> {
    pub(super) fn new(bytes: &'a [u8], is_xml: bool) -> Self {
        Self { bytes, at: 0, is_xml, foreign_depth: 0, outer_depth: 0, title: None }
    }

    /// What stands in the first `title` of the page, undecoded.
    pub(super) fn title(&self) -> Option<&'a [u8]> {
        self.title
    }

    /// Goes to the next complete start tag that may hold a link, and reads its attributes.
    pub(super) fn next_element(&mut self, attributes: &mut Attributes<'a>) -> Option<Element> {
        loop {
            self.at += memchr(b'<', self.bytes.get(self.at..)?)?;
            let next = *self.bytes.get(self.at + 1)?;
            if next.is_ascii_alphabetic() {
                let element = self.start_tag(attributes)?;
                if element.has_links() {
                    return Some(element);
                }
            } else {
                match next {
                    b'/' => self.end_tag()?,
                    b'!' => self.declaration()?,
                    b'?' => self.skip_past(self.at + 2)?,
                    _ => self.at += 1,
                }
            }
        }
    }

    /// Sets the place behind the next `>`.
    fn skip_past(&mut self, from: usize) -> Option<()> {
        self.at = from + memchr(b'>', self.bytes.get(from..)?)? + 1;
        Some(())
    }

    /// Reads the name that begins here and sets the place behind it.
    fn name(&mut self, from: usize) -> Option<&'a [u8]> {
        let rest = self.bytes.get(from..)?;
        // A name of a tag may hold `=`; no known one does.
        let length = rest.iter().position(|byte| NAME_ENDS[usize::from(*byte)] && *byte != b'=')?;
        self.at = from + length;
        Some(&rest[..length])
    }

    fn start_tag(&mut self, attributes: &mut Attributes<'a>) -> Option<Element> {
        let name = self.name(self.at + 1)?;
        let element = Element::of(name);
        let (place, end) = if element.has_links() {
            attributes.clear();
            read_attributes(self.bytes, self.at, |name, value| attributes.push((name, value)))?
        } else {
            read_attributes(self.bytes, self.at, |_, _| {})?
        };
        self.at = place;
        if self.is_xml {
            self.xml_content(element);
        } else if self.foreign_depth > 0 {
            self.foreign_content(element, name, end);
        } else {
            self.html_content(element, name, end)?;
        }
        Some(element)
    }

    /// What follows a start tag of HTML: markup, or text in which only its own end tag is markup.
    fn html_content(&mut self, element: Element, name: &[u8], end: TagEnd) -> Option<()> {
        let content = self.at;
        match element {
            Element::Script => self.at = script_end(self.bytes, content).unwrap_or(self.bytes.len()),
            Element::RawText | Element::Title => self.skip_raw_text(name),
            // Of the two frames `iframe` has content for browsers that do not know it.
            Element::Frame if name.len() == 6 => self.skip_raw_text(name),
            Element::PlainText => return None,
            Element::Foreign if end == TagEnd::Open => {
                self.foreign_depth = 1;
                return Some(());
            }
            _ => return Some(()),
        }
        if element == Element::Title && self.title.is_none() {
            self.title = Some(&self.bytes[content..self.at]);
        }
        Some(())
    }

    fn skip_raw_text(&mut self, name: &[u8]) {
        self.at = raw_text_end(self.bytes, self.at, name).unwrap_or(self.bytes.len());
    }

    fn foreign_content(&mut self, element: Element, name: &[u8], end: TagEnd) {
        match element {
            Element::Foreign if end == TagEnd::Open => self.foreign_depth += 1,
            Element::ForeignObject if end == TagEnd::Open => {
                self.outer_depth = self.foreign_depth;
                self.foreign_depth = 0;
            }
            _ if HTML_ONLY.iter().any(|html| name.eq_ignore_ascii_case(html.as_bytes())) => self.foreign_depth = 0,
            _ => {}
        }
    }

    fn xml_content(&mut self, element: Element) {
        if element == Element::Title && self.title.is_none() {
            let rest = &self.bytes[self.at..];
            self.title = Some(&rest[..memchr(b'<', rest).unwrap_or(rest.len())]);
        }
    }

    fn end_tag(&mut self) -> Option<()> {
        let first = *self.bytes.get(self.at + 2)?;
        if !first.is_ascii_alphabetic() {
            // `</>` is nothing, and anything else up to the next `>` a comment.
            return self.skip_past(self.at + 2);
        }
        let name = self.name(self.at + 2)?;
        self.at = read_attributes(self.bytes, self.at, |_, _| {})?.0;
        if self.foreign_depth > 0 || self.outer_depth > 0 {
            match Element::of(name) {
                Element::Foreign => self.foreign_depth = self.foreign_depth.saturating_sub(1),
                Element::ForeignObject => self.foreign_depth = std::mem::take(&mut self.outer_depth),
                _ => {}
            }
        }
        Some(())
    }

    /// A comment, a document type, or a section of unparsed text.
    fn declaration(&mut self) -> Option<()> {
        let from = self.at + 2;
        let rest = &self.bytes[from..];
        if rest.starts_with(b"--") {
            self.at = comment_end(self.bytes, from + 2)?;
            return Some(());
        }
        if (self.is_xml || self.foreign_depth > 0) && rest.starts_with(b"[CDATA[") {
            self.at = from + memchr::memmem::find(rest, b"]]>")? + 3;
            return Some(());
        }
        // A `>` ends a document type wherever it stands, in quotes, too.
        self.skip_past(from)
    }
}

/// Reads the attributes that begin here, and returns the place behind the tag and how it ended; none where the page ends before.
pub(super) fn read_attributes<'a>(
    bytes: &'a [u8],
    from: usize,
    mut keep: impl FnMut(&'a [u8], &'a [u8]),
) -> Option<(usize, TagEnd)> {
    let mut at = from;
    loop {
        match *bytes.get(at)? {
            b'>' => return Some((at + 1, TagEnd::Open)),
            b'/' if *bytes.get(at + 1)? == b'>' => return Some((at + 2, TagEnd::SelfClosing)),
            byte if byte == b'/' || is_space(byte) => {
                at += 1;
                continue;
            }
            _ => {}
        }
        // The first character belongs to the name even if it is `=`.
        let start = at;
        at += 1;
        at += bytes[at..].iter().position(|byte| NAME_ENDS[usize::from(*byte)])?;
        let name = &bytes[start..at];
        at += bytes[at..].iter().position(|byte| !is_space(*byte))?;
        if bytes[at] != b'=' {
            keep(name, b"");
            continue;
        }
        at += 1;
        at += bytes[at..].iter().position(|byte| !is_space(*byte))?;
        let value = match bytes[at] {
            quote @ (b'"' | b'\'') => {
                let rest = &bytes[at + 1..];
                let value = &rest[..memchr(quote, rest)?];
                at += value.len() + 2;
                value
            }
            b'>' => b"",
            _ => {
                let rest = &bytes[at..];
                let value = &rest[..rest.iter().position(|byte| is_space(*byte) || *byte == b'>')?];
                at += value.len();
                value
            }
        };
        keep(name, value);
    }
}

/// Where a comment ends whose content begins here; none where it does not end.
fn comment_end(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = &bytes[from..];
    if rest.starts_with(b">") {
        return Some(from + 1);
    }
    if rest.starts_with(b"->") {
        return Some(from + 2);
    }
    memchr_iter(b'>', rest)
        .find(|end| rest[..*end].ends_with(b"--") || rest[..*end].ends_with(b"--!"))
        .map(|end| from + end + 1)
}
