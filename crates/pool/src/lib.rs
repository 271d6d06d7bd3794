#![forbid(unsafe_code)]
//! Which worker does which job, and what happens when a worker dies.
//!
//! [`local`] carries jobs to a worker process on this machine and what becomes of them back; it decides nothing.
//!
//! [`Scheduler`] is pure: it is told what happened and when, and answers with [`Action`]s. It starts no process, reads no
//! clock and never waits. `README.md` beside this crate holds the states of a job and of a worker, and the argument that no
//! job is lost or run twice; comments name its sections.

pub mod action;
mod chunk_size;
pub mod error;
pub mod event;
pub mod id;
pub mod local;
pub mod options;
mod schedule;

pub use action::{Action, KillReason, MapCause, MapEnd, Outcome};
pub use chunk_size::chunk_size;
pub use error::Refused;
pub use event::{Death, Ended, Exit, StartFailure, StartTrouble, WorkerEvent};
pub use id::{IdMap, JobId, MapId, WorkerId};
pub use options::{Delivery, JobOptions, MapOptions, PoolOptions, ReadAhead, Staffing};
pub use schedule::{Cancel, Cancellation, Leave, Scheduler, SourceEnd, Unread};
