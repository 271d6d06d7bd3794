//! When a request may start: per host in flight, delays, throttling, retries. Pure: events and a clock in, actions out.
//!
//! [`Politeness`] holds what waits, host by host, and says what may start. What makes a host slower:
//!
//! | sign | reaction |
//! |---|---|
//! | `--delay`, `Crawl-delay`, `Request-rate` | the next start is that long after the last request was surely at the server: after its answer began |
//! | answers take longer than a quarter of a second | as many fewer at a time, down to one (`throttle`) |
//! | 429, 503 | half as many at a time; none at all for `Retry-After`, or for 1, 2, 4 ... 120 seconds; then one more after each full round of good answers |
//! | no answer | half as many at a time |

mod host;
mod options;
mod outcome;
mod retry;
mod retry_after;
mod scheduler;
mod throttle;

pub use options::PolitenessOptions;
pub use outcome::{Outcome, OutcomeKind};
pub use retry::RetryPolicy;
pub use retry_after::parse_retry_after;
pub use scheduler::{Next, Politeness, Ticket};
