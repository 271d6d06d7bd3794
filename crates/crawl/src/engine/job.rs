//! One job is one request: of a page, of a redirect's target, of a robots.txt.

use crate::engine::redirects::Way;
use crate::entry::Entry;
use crate::url::Fingerprint;

/// What politeness lets start.
pub(crate) enum Job {
    /// A robots.txt, or where it redirected to.
    Robots {
        /// Whose rules it gives.
        origin: String,
        /// What to ask for.
        address: String,
    },
    /// An entry of the frontier.
    Page(Box<PageJob>),
}

/// An entry that is being visited.
pub(crate) struct PageJob {
    /// The entry.
    pub(crate) entry: Entry,
    /// The redirects that led to the address that is asked now.
    pub(crate) way: Option<Box<Way>>,
    /// True once a request for the entry was answered with a redirect to the same page: another name of it, a cookie gate.
    pub(crate) is_again: bool,
}

impl PageJob {
    /// The address to ask.
    pub(crate) fn url(&self) -> &str {
        self.way.as_ref().map_or(&self.entry.url, |way| &way.target.url)
    }

    /// The fingerprint of the address to ask.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.way.as_ref().map_or(self.entry.fingerprint, |way| way.target.fingerprint)
    }

    /// True at the very first request for the entry.
    pub(crate) fn is_first(&self) -> bool {
        self.entry.tries == 0 && !self.is_again
    }
}
