//! Reads the tables of running processes, as any process of the same user can, without asking them.
//!
//! A reader never maps a file: a file that is cut short meanwhile, or was never a table, is an error, not a crash.

mod decode;
mod error;
mod find;
mod snapshot;
mod source;
mod told;

pub use decode::from_bytes;
pub use error::ReadError;
pub use find::{family, snapshot};
pub use snapshot::{Actor, Snapshot, Waiting};
pub(crate) use source::{Source, header_words};
pub use told::LoopState;
