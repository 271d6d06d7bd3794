//! What stays the same from the start of a crawl to its end: its options in the form that the fetches use.

use std::collections::HashSet;
use std::sync::Arc;

use crate::engine::CrawlOptions;
use crate::engine::known::{Knowledge, Known};
use crate::entry::{EntryKind, NewEntry, RequestParts};
use crate::extract::Fields;
use crate::frontier::KnownFilter;
use crate::politeness::RetryPolicy;
use crate::refusal::Refusal;
use crate::sink::OutputFormat;
use crate::url::{Addresses, Fingerprints, Parts, Target, Url, check_shape};

/// What is done with the pages, and what they are judged by.
#[allow(clippy::struct_excessive_bools, reason = "each is a decision of its own")]
pub(crate) struct Plan {
    pub(crate) options: CrawlOptions,
    pub(crate) addresses: Addresses,
    pub(crate) fingerprints: Fingerprints,
    pub(crate) known: Known,
    pub(crate) filter: Arc<KnownFilter>,
    /// Hosts of seeds on private addresses, without scheme and port.
    pub(crate) private_hosts: HashSet<String>,
    /// The seeds' origins, whose sitemaps are read.
    pub(crate) seed_hosts: HashSet<String>,
    pub(crate) fields: Option<Fields>,
    pub(crate) output: Option<OutputFormat>,
    pub(crate) hash_key: [u8; 16],
    pub(crate) retry: RetryPolicy,
    /// For hashes of bodies: quicker than a keyed one, and all that depends on it is which pages of a trap count as the same.
    pub(crate) hasher: hashbrown::DefaultHashBuilder,
    /// The product token that robots.txt is asked about.
    pub(crate) token: String,
    /// True where somebody takes the pages.
    pub(crate) is_delivered: bool,
    /// True where they say later what they made of them.
    pub(crate) is_answered: bool,
}

impl Plan {
    /// What scope, filters, shape and the guard against private addresses say.
    pub(crate) fn verdict(&self, target: &Target) -> Result<(), Refusal> {
        match target.verdict {
            Err(Refusal::PrivateAddress) if self.is_private_seed(&target.url) => {
                self.addresses.scope().admits_text(&target.url).and_then(|()| check_shape(&target.url))
            }
            verdict => verdict,
        }
    }

    /// True where a seed's host may be on a private address, so that this address of the same host may, too.
    pub(crate) fn is_private_seed(&self, url: &str) -> bool {
        !self.private_hosts.is_empty()
            && Parts::of(url).is_some_and(|parts| self.private_hosts.contains(parts.host_name()))
    }

    /// True where items are made without a program.
    pub(crate) fn makes_items(&self) -> bool {
        !self.is_answered && (self.fields.is_some() || self.output.is_some())
    }

    /// True where a page is needed as a whole, and not only for its links.
    pub(crate) fn needs_pages(&self) -> bool {
        self.is_delivered || self.fields.is_some() || self.output.is_some()
    }

    /// The entry of a request that a program asks for; none where it is known already. What a link may not do it may not do,
    /// either, except that traps and `nofollow` do not hold for it.
    pub(crate) fn requested(
        &self,
        url: &str,
        depth: u32,
        parent: Option<&Arc<str>>,
        request: Option<&RequestParts>,
    ) -> Result<Option<NewEntry>, Refusal> {
        let target = self.addresses.target(url).ok_or(Refusal::NotFetchable)?;
        let fingerprint = match request.map(|parts| (parts, Url::parse(&target.url))) {
            Some((parts, Ok(url))) => self.fingerprints.of_request(&url, parts),
            _ => target.fingerprint,
        };
        // Before all else: of the links that a program asks for again, most are known.
        if self.known.look(fingerprint) == Knowledge::Recorded {
            return Ok(None);
        }
        self.verdict(&target)?;
        if depth > self.options.depth {
            return Err(Refusal::TooDeep);
        }
        Ok(Some(NewEntry {
            url: String::from(&*target.url),
            fingerprint,
            depth,
            parent: parent.cloned(),
            kind: EntryKind::Page,
            request: request.cloned().map(Box::new),
        }))
    }

    /// The sitemaps that an origin's robots.txt names, or the one where they are by custom.
    pub(crate) fn sitemap_entries(&self, origin: &str, named: &[&str]) -> Vec<NewEntry> {
        let robots = format!("{origin}/robots.txt");
        let named = if named.is_empty() { &["/sitemap.xml"][..] } else { named };
        let entry = |address: &&str| {
            let target = self.addresses.join(&robots, address)?;
            // A sitemap may lie on another host than what it lists.
            let is_fit = matches!(self.verdict(&target), Ok(()) | Err(Refusal::OutOfScope | Refusal::Filtered));
            is_fit.then(|| NewEntry {
                url: target.url.to_string(),
                fingerprint: target.fingerprint,
                depth: 0,
                parent: None,
                kind: EntryKind::Sitemap,
                request: None,
            })
        };
        named.iter().filter_map(entry).collect()
    }
}
