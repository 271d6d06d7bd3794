//! What a pool hears of its workers.

use std::fmt;

use crate::id::{JobId, WorkerId};

/// Something that happened to a worker.
///
/// Events of one worker come in the order in which they happened, and [`WorkerEvent::Exited`] is the last: whatever the
/// worker left behind in its ring is told before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerEvent {
    /// Its process exists.
    Started {
        /// The process.
        pid: u32,
    },
    /// Its process could not be made.
    NotStarted {
        /// The system's error number, if there was one.
        os_error: Option<i32>,
    },
    /// Its initializer has run; it takes jobs now.
    Ready,
    /// Its initializer failed; it takes no jobs.
    InitializerFailed,
    /// It began a job.
    JobStarted(JobId),
    /// The call returned.
    JobReturned(JobId),
    /// The call raised.
    JobRaised(JobId),
    /// The job could not be handed over, and never will be: its arguments cannot be encoded.
    JobUnsendable(JobId),
    /// The answer to [`Action::TakeBack`](crate::Action::TakeBack): the worker had not begun it, and never will.
    JobTakenBack(JobId),
    /// The other answer to [`Action::TakeBack`](crate::Action::TakeBack): the worker has begun it.
    JobNotTakenBack(JobId),
    /// It should be replaced when it has done what it has begun: it uses too much memory, for example.
    Retire,
    /// It has taken more memory than it may, and is ended in the middle of what it does.
    TooLarge,
    /// Its process is gone.
    Exited(Exit),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// What the system says.
    pub ended: Ended,
    /// Whether it was probably killed because it needed too much memory.
    pub is_out_of_memory: bool,
}

/// What the system says of a process that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// Somebody else reaped it.
    Unknown,
}

impl fmt::Display for Exit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ended {
            Ended::Code(code) => write!(formatter, "exit code {code}")?,
            Ended::Signal(signal) => write!(formatter, "signal {signal}")?,
            Ended::Unknown => write!(formatter, "unknown exit code")?,
        }
        if self.is_out_of_memory {
            write!(formatter, ", probably killed because it needed too much memory")
        } else {
            Ok(())
        }
    }
}

/// A worker that died with a job in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Death {
    /// The worker.
    pub worker: WorkerId,
    /// Its process.
    pub pid: u32,
    /// How it ended.
    pub exit: Exit,
}

impl fmt::Display for Death {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "process {} died ({})", self.pid, self.exit)
    }
}

/// A worker that ended before it had begun a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartFailure {
    /// The worker.
    pub worker: WorkerId,
    /// Its process, if there was one.
    pub pid: Option<u32>,
    /// What went wrong.
    pub trouble: StartTrouble,
}

/// What went wrong with a worker before it had begun a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartTrouble {
    /// There was no process to be had.
    NotStarted {
        /// The system's error number, if there was one.
        os_error: Option<i32>,
    },
    /// Its initializer failed.
    InitializerFailed,
    /// It died.
    Died(Exit),
}

impl fmt::Display for StartFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pid = self.pid.unwrap_or(0);
        match self.trouble {
            StartTrouble::NotStarted { os_error: Some(number) } => {
                write!(formatter, "no process could be started (system error {number})")
            }
            StartTrouble::NotStarted { os_error: None } => write!(formatter, "no process could be started"),
            StartTrouble::InitializerFailed => write!(formatter, "the initializer failed in process {pid}"),
            StartTrouble::Died(exit) => write!(formatter, "process {pid} died before it began a job ({exit})"),
        }
    }
}
