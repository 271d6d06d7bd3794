//! Why something waits, in the words a user reads.

use std::fmt;

/// Why something waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// For a lock that another may release.
    Lock = 1,
    /// For a lock that only its owner can release.
    RLock = 2,
    /// To be notified.
    Condition = 3,
    /// For a permit.
    Semaphore = 4,
    /// For the flag to be set.
    Event = 5,
    /// For the other parties.
    Barrier = 6,
    /// For an item.
    QueueGet = 7,
    /// For room.
    QueuePut = 8,
    /// For every item to be done.
    QueueJoin = 9,
    /// For a thread to end.
    ThreadJoin = 10,
    /// For a result.
    FutureResult = 11,
    /// For the end of the program.
    Shutdown = 12,
    /// For something that has no name of its own.
    Other = 13,
    /// For a job of a pool, in one of its workers.
    PoolJob = 14,
    /// For a message.
    Receive = 15,
    /// For room in a connection.
    Send = 16,
    /// Not a wait of its own: one of its callbacks keeps an event loop from all others.
    BlocksLoop = 17,
    /// For another task.
    Task = 18,
    /// For what its event loop brings.
    Loop = 19,
    /// For a crawl's next page, or its end.
    Crawl = 20,
}

/// What the holder that a wait names has to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    HeldBy,
    EndOf,
    ResultFrom,
}

impl Reason {
    const ALL: [Self; 20] = [
        Self::Lock,
        Self::RLock,
        Self::Condition,
        Self::Semaphore,
        Self::Event,
        Self::Barrier,
        Self::QueueGet,
        Self::QueuePut,
        Self::QueueJoin,
        Self::ThreadJoin,
        Self::FutureResult,
        Self::Shutdown,
        Self::Other,
        Self::PoolJob,
        Self::Receive,
        Self::Send,
        Self::BlocksLoop,
        Self::Task,
        Self::Loop,
        Self::Crawl,
    ];

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte).checked_sub(1)?).copied()
    }

    /// Whether only the holder that the row names can end the wait: `Some(true)` for certain, `Some(false)` when
    /// another may do it too, `None` when the wait has no single holder.
    pub(crate) const fn is_ended_by_holder_alone(self) -> Option<bool> {
        match self {
            Self::RLock | Self::ThreadJoin | Self::Task => Some(true),
            Self::Lock => Some(false),
            _ => None,
        }
    }

    pub(crate) const fn relation(self) -> Relation {
        match self {
            Self::ThreadJoin | Self::Shutdown | Self::Task => Relation::EndOf,
            Self::FutureResult => Relation::ResultFrom,
            _ => Relation::HeldBy,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Lock => "Lock.acquire",
            Self::RLock => "RLock.acquire",
            Self::Condition => "Condition.wait",
            Self::Semaphore => "Semaphore.acquire",
            Self::Event => "Event.wait",
            Self::Barrier => "Barrier.wait",
            Self::QueueGet => "Queue.get (empty)",
            Self::QueuePut => "Queue.put (full)",
            Self::QueueJoin => "Queue.join",
            Self::ThreadJoin => "Thread.join",
            Self::FutureResult => "Future.result",
            Self::Shutdown => "shutdown",
            Self::Other => "other",
            Self::PoolJob => "Pool worker (no job)",
            Self::Receive => "Connection.recv",
            Self::Send => "Connection.send (full)",
            Self::BlocksLoop => "blocks its event loop",
            Self::Task => "await",
            Self::Loop => "event loop",
            Self::Crawl => "crawl (no page yet)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_survives_the_file() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_byte(reason as u8), Some(reason));
        }
        assert_eq!(Reason::from_byte(0), None);
        assert_eq!(Reason::from_byte(21), None);
    }
}
