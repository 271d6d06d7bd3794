//! The fetcher against servers of the tests' own: well-behaved, broken and hostile ones.

#![allow(clippy::unwrap_used, reason = "a test fails where it can't go on")]

mod broken;
mod guard;
mod kept;
mod proxies;
mod secure;
mod server;
mod whole;
