//! A stream of frames from one process to one other, without a lock and without a system call. README section "The ring".
//!
//! The writer publishes a frame by one store, so that a writer that is killed has written a frame or has not; the reader
//! gives a frame's memory back by one store. Neither ever waits for the other: a ring grows until its capacity is reached.

mod error;
mod frame;
mod header;
mod position;
mod reader;
mod space;
mod track;
mod writer;

pub use error::{RingDamage, RingError};
pub use frame::Frame;
pub use reader::Reader;
pub use track::Track;
pub use writer::Writer;
