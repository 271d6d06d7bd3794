//! robots.txt by RFC 9309: rules, statuses, and how long an answer is good.
//!
//! A file goes through `lines` (bytes to records), `group` (records to those for one product token), `rules` (a compact form that
//! answers for a path); `path` spells paths and patterns in one way, so that octets can be compared. `cache` is the state machine of
//! all hosts: whom to ask, what a status means, when to ask again. Nothing here has a clock or a socket.

mod availability;
mod cache;
mod delay;
mod directives;
mod group;
mod kept;
mod lines;
mod path;
mod pattern;
mod policy;
mod rules;
mod token;

pub use availability::Availability;
pub use cache::{Answer, Answered, Asked, RobotsCache, RobotsOptions};
pub use delay::RobotsDelay;
pub use directives::Directives;
pub use lines::MAX_BYTES;
pub use policy::Policy;
pub use rules::{Reason, Rules, Verdict};
pub use token::product_token;
