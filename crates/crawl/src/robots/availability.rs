//! What an attempt to get a robots.txt says about the site (RFC 9309, 2.3.1).

use std::fmt;

/// Why a site's rules are what they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// The file was read.
    Successful,
    /// There is none: a status of the 400s, which the RFC takes for leave to fetch everything.
    NoFile(u16),
    /// More redirects than are followed, or one that leads nowhere; the RFC takes it for no file.
    Redirects,
    /// The server failed: nothing may be fetched.
    ServerError(u16),
    /// The network failed, or the answer took too long: nothing may be fetched.
    NetworkError(Box<str>),
    /// It could not be had for 30 days, which the RFC takes for no file.
    LongGone,
}

impl Availability {
    /// True where nothing may be fetched for now.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::ServerError(_) | Self::NetworkError(_))
    }
}

impl fmt::Display for Availability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Successful => write!(formatter, "it was read"),
            Self::NoFile(status) | Self::ServerError(status) => write!(formatter, "status {status}"),
            Self::Redirects => write!(formatter, "too many redirects"),
            Self::NetworkError(message) => write!(formatter, "{message}"),
            Self::LongGone => write!(formatter, "out of reach for 30 days"),
        }
    }
}
