//! Why an address is not fetched: each refusal is counted under its reason, none is silent.

use serde::{Deserialize, Serialize};

/// The reasons. `as_str` gives the names in reports and in the frontier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// No URL, or none that can be fetched (`mailto:`, `javascript:`).
    NotFetchable,
    /// Outside the scope of the crawl.
    OutOfScope,
    /// Not matched by `--include`, or matched by `--exclude`.
    Filtered,
    /// Deeper than `--depth`.
    TooDeep,
    /// A rule of robots.txt disallows it.
    Robots,
    /// robots.txt can't be had, which the RFC takes for a complete disallow.
    RobotsUnreachable,
    /// It leads to a private address, and no seed does.
    PrivateAddress,
    /// Longer than 2,083 characters.
    UrlTooLong,
    /// More than 20 path segments.
    PathTooDeep,
    /// A sequence of path segments repeats more than twice.
    RepeatedPath,
    /// Too many addresses of one form (numbers and dates replaced) on one host: a calendar.
    TooManyOfOneForm,
    /// Too many combinations of query parameters on one path.
    TooManyQueries,
    /// The same body under too many addresses of one form.
    SameBody,
    /// A redirect that leads back, or more than 10 of them.
    RedirectLoop,
    /// A session identifier is all that is new in it.
    SessionId,
    /// The body is larger than the limit, or expands beyond it.
    TooLarge,
    /// `nofollow` on the link or on its page.
    NoFollow,
    /// The host's own budget of pages is used up.
    HostBudget,
}

impl Refusal {
    /// Every reason, in the order of reports.
    pub const ALL: [Self; 18] = [
        Self::NotFetchable,
        Self::OutOfScope,
        Self::Filtered,
        Self::TooDeep,
        Self::Robots,
        Self::RobotsUnreachable,
        Self::PrivateAddress,
        Self::UrlTooLong,
        Self::PathTooDeep,
        Self::RepeatedPath,
        Self::TooManyOfOneForm,
        Self::TooManyQueries,
        Self::SameBody,
        Self::RedirectLoop,
        Self::SessionId,
        Self::TooLarge,
        Self::NoFollow,
        Self::HostBudget,
    ];

    /// The reason's name in reports and in the frontier.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFetchable => "not_fetchable",
            Self::OutOfScope => "out_of_scope",
            Self::Filtered => "filtered",
            Self::TooDeep => "too_deep",
            Self::Robots => "robots",
            Self::RobotsUnreachable => "robots_unreachable",
            Self::PrivateAddress => "private_address",
            Self::UrlTooLong => "url_too_long",
            Self::PathTooDeep => "path_too_deep",
            Self::RepeatedPath => "repeated_path",
            Self::TooManyOfOneForm => "too_many_of_one_form",
            Self::TooManyQueries => "too_many_queries",
            Self::SameBody => "same_body",
            Self::RedirectLoop => "redirect_loop",
            Self::SessionId => "session_id",
            Self::TooLarge => "too_large",
            Self::NoFollow => "nofollow",
            Self::HostBudget => "host_budget",
        }
    }

    /// The reason of a name, as the frontier stores it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.as_str() == name)
    }
}
