//! A link on a page made absolute by hand where its text is ordinary, so that it costs no parse; else left to the parser.
//!
//! WHATWG's relative URLs on an `http` base are what the parser makes of the base's beginning with the link behind it: which
//! beginning follows from the link's first characters. Where the whole has nothing that the parser would change it is the
//! result. `tests/addresses.rs` compares this with the parser's own `join`.

use super::parts::{Parts, without_fragment};

/// What [`Place::join`] made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joined {
    /// The address as the parser would serialise it.
    Serialised,
    /// A text that the parser makes the same of as of the link on its base.
    Absolute,
    /// Nothing: the parser must join the link with the base itself.
    Unusual,
    /// A scheme that no crawl fetches.
    OtherScheme,
}

/// Where the parts of a base end in its text.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) text: String,
    scheme: usize,
    origin: usize,
    folder: usize,
    path: usize,
}

impl Place {
    /// Of a serialised address; none where it is not `http` or `https`.
    pub(super) fn new(url: &str) -> Option<Self> {
        let text = without_fragment(url);
        let parts = Parts::of(text)?;
        let origin = parts.origin.len();
        let path = origin + parts.path.len();
        Some(Self {
            text: text.to_owned(),
            scheme: text.find(':')? + 1,
            origin,
            folder: origin + parts.folder().len(),
            path,
        })
    }

    /// Joins a link that has no fragment, no tab, no line feed, and no space or control character at its ends.
    pub(super) fn join(&self, href: &str, out: &mut String) -> Joined {
        out.clear();
        let bytes = href.as_bytes();
        let first = bytes.first().copied();
        let second = bytes.get(1).copied();
        match (first, second) {
            (None, _) => {
                out.push_str(&self.text);
                return Joined::Serialised;
            }
            (Some(b'\\'), _) | (Some(b'/'), Some(b'\\')) => return Joined::Unusual,
            (Some(b'/'), Some(b'/')) if !bytes.get(2).is_some_and(u8::is_ascii_alphanumeric) => return Joined::Unusual,
            (Some(b'/'), Some(b'/')) => {
                out.push_str(&self.text[..self.scheme]);
                out.push_str(href);
                return Joined::Absolute;
            }
            (Some(b'/'), _) => {
                out.push_str(&self.text[..self.origin]);
                out.push_str(href);
                return Self::kind(&href[1..]);
            }
            (Some(b'?'), _) => {
                out.push_str(&self.text[..self.path]);
                out.push_str(href);
                return if is_plain_query(&bytes[1..]) { Joined::Serialised } else { Joined::Absolute };
            }
            _ => {}
        }
        let before = bytes.iter().position(|byte| matches!(byte, b':' | b'/' | b'?' | b'\\'));
        if before.is_some_and(|at| bytes[at] == b':') {
            return self.join_absolute(href, out);
        }
        self.join_relative(href, out)
    }

    /// A link whose first segment has a colon: an absolute one, or one of the odd kinds.
    fn join_absolute(&self, href: &str, out: &mut String) -> Joined {
        if let Some(rest) = href.strip_prefix(&self.text[..self.origin]) {
            if let Some(path) = rest.strip_prefix('/') {
                out.push_str(href);
                return Self::kind(path);
            }
        }
        if href.starts_with("http://") || href.starts_with("https://") {
            out.push_str(href);
            return Joined::Absolute;
        }
        let scheme = href.split(':').next().unwrap_or_default();
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        let is_special =
            ["http", "https", "ws", "wss", "ftp", "file"].iter().any(|special| scheme.eq_ignore_ascii_case(special));
        if is_scheme && !is_special { Joined::OtherScheme } else { Joined::Unusual }
    }

    fn join_relative(&self, href: &str, out: &mut String) -> Joined {
        let mut folder = self.folder;
        let mut rest = href;
        loop {
            if let Some(after) = rest.strip_prefix("./") {
                rest = after;
            } else if let Some(after) = rest.strip_prefix("../") {
                rest = after;
                folder = self.above(folder);
            } else {
                break;
            }
        }
        out.push_str(&self.text[..folder]);
        out.push_str(rest);
        Self::kind(rest)
    }

    /// Where the folder above the one that ends here ends; of the root the root.
    fn above(&self, folder: usize) -> usize {
        if folder <= self.origin + 1 {
            return folder;
        }
        self.text[..folder - 1].rfind('/').map_or(folder, |slash| slash + 1)
    }

    /// Whether the parser would leave a path that begins behind a slash (and its query) as it is.
    fn kind(rest: &str) -> Joined {
        let bytes = rest.as_bytes();
        let mut at_start = true;
        for (at, &byte) in bytes.iter().enumerate() {
            match PATH[usize::from(byte)] {
                Byte::Plain => at_start = false,
                Byte::Slash => at_start = true,
                // A segment that begins with a dot may be one of those that are no names.
                Byte::Dot if at_start => return Joined::Absolute,
                Byte::Dot => {}
                Byte::Question if is_plain_query(&bytes[at + 1..]) => return Joined::Serialised,
                Byte::Question | Byte::Other => return Joined::Absolute,
            }
        }
        Joined::Serialised
    }
}

#[derive(Clone, Copy)]
enum Byte {
    Plain,
    Slash,
    Dot,
    Question,
    Other,
}

/// What the parser does with a byte of a path. A percent sign may hide a dot; the rest of `Other` it would escape or turn.
const PATH: [Byte; 256] = {
    let mut table = [Byte::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        #[allow(clippy::cast_possible_truncation, reason = "the loop ends at 256")]
        let this = byte as u8;
        table[byte] = match this {
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'-'
            | b'_'
            | b'~'
            | b'!'
            | b'$'
            | b'&'
            | b'\''
            | b'('
            | b')'
            | b'*'
            | b'+'
            | b','
            | b';'
            | b'='
            | b':'
            | b'@' => Byte::Plain,
            b'/' => Byte::Slash,
            b'.' => Byte::Dot,
            b'?' => Byte::Question,
            _ => Byte::Other,
        };
        byte += 1;
    }
    table
};

/// Whether the parser would leave a query as it is.
fn is_plain_query(query: &[u8]) -> bool {
    query.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_~!$&()*+,;=:@/?.%".contains(byte))
}
