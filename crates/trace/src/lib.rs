//! Who waits, for what, why, since when, at which line and held by whom: in a mapped file that any process of the same
//! user can read, without asking the writer, even when the writer is stuck or was killed.
//!
//! The README beside this crate has the protocol between writer and reader. Nothing here knows Python.
#![forbid(unsafe_code)]

mod layout;
mod object_row;
mod owner;
mod place;
mod process;
mod question;
mod quit_thread;
pub mod read;
mod reason;
pub mod report;
mod rows;
mod table;
mod text;
mod thread_row;
pub mod verdict;
mod wait_row;

pub use object_row::{ObjectRow, object};
pub use owner::Owner;
pub use place::{path_of, settle};
pub use question::{LoopTold, TaskTold, Told, answer, open_question, show_loop_count};
pub use reason::Reason;
pub use table::remove;
pub use text::{Text, intern};
pub use thread_row::{is_thread_named, name_thread};
pub use wait_row::{Wait, WaitRow, begin};

/// The report on SIGQUIT.
pub mod quit {
    pub use crate::quit_thread::{after_fork, after_fork_in_parent, before_fork, report_on_quit};
}
