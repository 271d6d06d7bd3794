//! What was read: a process and its waits.

use std::time::Duration;

use crate::owner::Owner;
use crate::reason::Reason;

use super::told::LoopState;

/// The waits of one process at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The process.
    pub pid: u32,
    /// The process that started it.
    pub parent_pid: u32,
    /// Its command line; empty when it cannot be read.
    pub command: String,
    /// Who waits, the longest wait first, and then what tasks await of their loops.
    pub waits: Vec<Waiting>,
    /// The event loops that run, as the process told; `None` when it has some and did not answer.
    pub loops: Option<Vec<LoopState>>,
    /// Waits that found no room in the table, counted since it was made.
    pub not_shown_count: u64,
    /// Rows that did not stand still long enough to be read, or make no sense.
    pub unreadable_count: u64,
}

/// One wait.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// Who waits.
    pub waiter: Actor,
    /// Why.
    pub reason: Reason,
    /// Address of what is waited for.
    pub object: u64,
    /// Who holds it, if that is known.
    pub holder: Option<Actor>,
    /// What else is known of what it is waited for, in words; empty when the reason says all.
    pub what: String,
    /// How long it has lasted, if that is known.
    pub lasted: Option<Duration>,
    /// The line that waits; empty when it is not known.
    pub site: String,
    /// Whether it ends by itself.
    pub has_timeout: bool,
    /// Whether it stood unchanged from the beginning of the reading to its end, so that all such waits of a snapshot
    /// existed at the same time.
    pub is_steady: bool,
}

/// A thread or a task; or another process, as a holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Which one, in its process.
    pub owner: Owner,
    /// The name of the thread, or of the task; empty when it is not known.
    pub name: String,
    /// The name of the thread, or of the thread that runs the task; empty when it is not known.
    pub thread_name: String,
    /// The kernel's number of that thread; 0 when it is not known.
    pub kernel_id: u32,
    /// Whether the thread stayed in the parent process at `fork`.
    pub stayed_behind: bool,
}

impl Actor {
    /// The other process that it is, if it is one.
    pub fn pid(&self) -> Option<u32> {
        self.owner.pid()
    }

    /// Whether this is a task rather than a thread.
    pub fn is_task(&self) -> bool {
        self.pid().is_none() && self.owner.task_address() != 0
    }
}
