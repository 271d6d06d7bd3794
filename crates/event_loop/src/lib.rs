#![forbid(unsafe_code)]
//! Tasks: what an event loop consists of, without a word of Python.
//!
//! [`Timers`] say what is due, the [`Inbox`] takes what other threads bring, [`Watch`] remembers who wants to hear of
//! which descriptor and tells the kernel, [`Stream`] knows how far a connection is open and what is queued on it. What
//! runs when something is due is the caller's.

pub mod inbox;
pub mod outgoing;
pub mod records;
pub mod stream;
pub mod timers;
pub mod watch;

pub use inbox::Inbox;
pub use outgoing::Outgoing;
pub use records::Records;
pub use stream::Stream;
pub use timers::Timers;
pub use watch::Watch;
