//! A link of a page, and what `rel` says of it.

use std::sync::Arc;

use crate::url::Target;

/// What kind of link it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LinkKind {
    /// `a` or `area`.
    Anchor,
    /// `iframe` or `frame`.
    Frame,
    /// A `meta` element that leads on after a time.
    Refresh,
    /// `link` to another page: `next`, `prev`, `alternate`, `index`, ...
    Related,
    /// `link` to the address that the page itself would rather be known by.
    Canonical,
    /// `img`, `source`, `video`, `audio`, with `srcset`: found only where media are asked for.
    Media,
}

impl LinkKind {
    /// Whether a crawl follows it: all that lead to pages.
    pub fn is_navigation(self) -> bool {
        self != Self::Media
    }
}

/// A link of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where it leads.
    pub target: Arc<Target>,
    /// What kind of link it is; of several to one address the first.
    pub kind: LinkKind,
    /// True where each link to this address says `nofollow`.
    pub no_follow: bool,
}

/// Relations of `link` whose addresses are pages.
const PAGES: [&str; 22] = [
    "alternate",
    "amphtml",
    "appendix",
    "archives",
    "author",
    "bookmark",
    "chapter",
    "contents",
    "copyright",
    "first",
    "glossary",
    "help",
    "index",
    "last",
    "license",
    "next",
    "prev",
    "previous",
    "section",
    "start",
    "toc",
    "up",
];

/// What the `rel` (and `type`) of a `link` element make of it; none for what is no page: style sheets, icons, feeds, hints.
pub(super) fn related(rel: &str, media_type: Option<&str>) -> Option<LinkKind> {
    let is_page_type = media_type.is_none_or(|name| {
        let essence = name.split(';').next().unwrap_or_default().trim();
        essence.is_empty()
            || essence.eq_ignore_ascii_case("text/html")
            || essence.eq_ignore_ascii_case("application/xhtml+xml")
    });
    if !is_page_type || has_word(rel, "stylesheet") {
        None
    } else if has_word(rel, "canonical") {
        Some(LinkKind::Canonical)
    } else {
        PAGES.iter().any(|page| has_word(rel, page)).then_some(LinkKind::Related)
    }
}

/// Whether a list of words has this one.
pub(super) fn has_word(words: &str, word: &str) -> bool {
    words.split_ascii_whitespace().any(|known| known.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_to_pages_are_links() {
        for rel in ["next", "PREV up", "alternate", "index"] {
            assert_eq!(related(rel, None), Some(LinkKind::Related), "{rel}");
        }
        assert_eq!(related("canonical", Some("text/html; charset=utf-8")), Some(LinkKind::Canonical));
        for rel in
            ["stylesheet", "alternate stylesheet", "icon", "preload", "dns-prefetch", "shortcut icon", "manifest", ""]
        {
            assert_eq!(related(rel, None), None, "{rel}");
        }
        assert_eq!(related("alternate", Some("application/rss+xml")), None);
    }
}
