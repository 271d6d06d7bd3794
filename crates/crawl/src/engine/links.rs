//! Which of a page's links become entries.

use std::sync::Arc;

use crate::engine::known::Knowledge;
use crate::engine::plan::Plan;
use crate::engine::redirects::Way;
use crate::engine::tally::Refusals;
use crate::entry::{Entry, EntryKind, NewEntry};
use crate::extract::{Extracted, Sitemap, SitemapEntry};
use crate::refusal::Refusal;
use crate::url::{Fingerprint, Target, Url};

/// Apart from the fingerprints of addresses: a refusal that holds for one link and not for its address is counted once, and
/// the address stays open for other links.
const OF_LINK_NO_FOLLOW: u128 = 0x6e6f_666f_6c6c_6f77_2d6f_662d_6c69_6e6b;
const OF_LINK_SESSION: u128 = 0x7365_7373_696f_6e2d_6f66_2d61_2d6c_696e;
const OF_LINK_TOO_DEEP: u128 = 0x746f_6f2d_6465_6570_2d6f_662d_6c69_6e6b;

/// How deep sitemaps may name sitemaps.
const SITEMAP_DEPTH: u32 = 4;

impl Plan {
    /// The links that are to be followed and are not known yet, as far as can be told here.
    pub(crate) fn new_links(&self, page: &Extracted, depth: u32, url: &str, refusals: &mut Refusals) -> Vec<NewEntry> {
        let mut entries = Vec::new();
        if !self.options.follow {
            return entries;
        }
        let mut parent: Option<Arc<str>> = None;
        for link in page.links.iter().filter(|link| link.kind.is_navigation()) {
            let target = &link.target;
            if page.robots.no_follow || link.no_follow {
                self.refuse_link(target.fingerprint, OF_LINK_NO_FOLLOW, Refusal::NoFollow, refusals);
            } else if self.admits(target, depth + 1, refusals) {
                let parent = parent.get_or_insert_with(|| Arc::from(url));
                entries.push(NewEntry {
                    url: String::from(&*target.url),
                    fingerprint: target.fingerprint,
                    depth: depth + 1,
                    parent: Some(Arc::clone(parent)),
                    kind: EntryKind::Page,
                    request: None,
                });
            }
        }
        entries
    }

    /// The pages and sitemaps that a sitemap names.
    pub(crate) fn listed(&self, sitemap: &Sitemap, depth: u32, url: &str, refusals: &mut Refusals) -> Vec<NewEntry> {
        let parent: Arc<str> = Arc::from(url);
        let mut entries = Vec::new();
        let mut list = |listed: &SitemapEntry, kind: EntryKind, depth: u32, entries: &mut Vec<NewEntry>| {
            let Some(target) = self.addresses.target(&listed.url) else {
                refusals.count(Refusal::NotFetchable);
                return;
            };
            if self.admits(&target, depth, refusals) {
                let (url, fingerprint) = (String::from(&*target.url), target.fingerprint);
                entries.push(NewEntry {
                    url,
                    fingerprint,
                    depth,
                    parent: Some(Arc::clone(&parent)),
                    kind,
                    request: None,
                });
            }
        };
        for page in &sitemap.pages {
            list(page, EntryKind::Page, 0, &mut entries);
        }
        if depth < SITEMAP_DEPTH {
            for nested in &sitemap.sitemaps {
                list(nested, EntryKind::Sitemap, depth + 1, &mut entries);
            }
        }
        entries
    }

    /// The entry of a redirect's target; none where it is known already.
    pub(crate) fn led(&self, source: &Entry, way: &Way) -> Option<NewEntry> {
        let target = &way.target;
        let request = source.request.as_ref().filter(|_| !way.is_get);
        let fingerprint = match request.map(|parts| (parts, Url::parse(&target.url))) {
            Some((parts, Ok(url))) => self.fingerprints.of_request(&url, parts),
            _ => target.fingerprint,
        };
        if self.known.look(fingerprint) == Knowledge::Recorded {
            return None;
        }
        self.known.enter_recorded(fingerprint);
        Some(NewEntry {
            url: String::from(&*target.url),
            fingerprint,
            depth: source.depth,
            parent: source.parent.clone(),
            kind: source.kind,
            request: request.cloned(),
        })
    }

    /// True for an address that is not known and may be visited; a refusal is counted the first time.
    fn admits(&self, target: &Target, depth: u32, refusals: &mut Refusals) -> bool {
        match self.known.look(target.fingerprint) {
            Knowledge::Nothing if self.filter.contains(target.fingerprint) => {
                self.known.enter_recorded(target.fingerprint);
                return false;
            }
            Knowledge::Nothing => {}
            Knowledge::Recorded if target.has_session => {
                self.refuse_link(target.fingerprint, OF_LINK_SESSION, Refusal::SessionId, refusals);
                return false;
            }
            _ => return false,
        }
        if let Err(refusal) = self.verdict(target) {
            self.known.enter_refused(target.fingerprint, refusal);
            refusals.count(refusal);
            return false;
        }
        if depth > self.options.depth {
            self.refuse_link(target.fingerprint, OF_LINK_TOO_DEEP, Refusal::TooDeep, refusals);
            return false;
        }
        self.known.enter_recorded(target.fingerprint);
        true
    }

    fn refuse_link(&self, fingerprint: Fingerprint, of_link: u128, refusal: Refusal, refusals: &mut Refusals) {
        let of_link = Fingerprint(fingerprint.0 ^ of_link);
        if self.known.look(of_link) == Knowledge::Nothing {
            self.known.enter_refused(of_link, refusal);
            refusals.count(refusal);
        }
    }
}
