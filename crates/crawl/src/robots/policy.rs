//! What is known of one site: its rules, or that it has none, or that they can't be had.

use super::{Availability, Reason, RobotsDelay, Rules, Verdict};

/// What a crawler may do at one origin (`scheme://host:port`).
#[derive(Debug)]
pub struct Policy {
    availability: Availability,
    rules: Rules,
}

impl Policy {
    pub(super) fn of_file(rules: Rules) -> Self {
        Self { availability: Availability::Successful, rules }
    }

    pub(super) fn without_file(availability: Availability) -> Self {
        Self { availability, rules: Rules::default() }
    }

    /// Whether a path with its query may be fetched, and what decided it.
    pub fn verdict(&self, path_and_query: &str) -> Verdict<'_> {
        match &self.availability {
            Availability::Successful => self.rules.verdict(path_and_query),
            why if why.is_unreachable() => match path_and_query {
                "/robots.txt" => Verdict { allowed: true, reason: Reason::RobotsFile },
                _ => Verdict { allowed: false, reason: Reason::Unreachable(why) },
            },
            why => Verdict { allowed: true, reason: Reason::Unavailable(why) },
        }
    }

    /// Why the rules are what they are.
    pub fn availability(&self) -> &Availability {
        &self.availability
    }

    /// True where the file can't be had, so that nothing may be fetched for now.
    pub fn is_unreachable(&self) -> bool {
        self.availability.is_unreachable()
    }

    /// How far apart the requests shall be, where the file says so.
    pub fn delay(&self) -> Option<RobotsDelay> {
        self.rules.delay()
    }

    /// The sitemaps that the file names, as written: they may be relative to its address.
    pub fn sitemaps(&self) -> impl Iterator<Item = &str> {
        self.rules.sitemaps()
    }

    /// The rules as a robots.txt that says the same; none where that is too long.
    pub(super) fn to_text(&self) -> Option<String> {
        self.rules.to_text()
    }

    /// The bytes of memory that the rules take.
    pub fn memory_bytes(&self) -> usize {
        self.rules.memory_bytes()
    }
}
