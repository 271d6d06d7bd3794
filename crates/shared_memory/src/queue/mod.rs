//! A queue that any number of processes put to and get from, and that outlives the death of any of them.
//!
//! One guard, one journal, one log: README section "The queue". Every change of the queue happens as a whole or not at
//! all, whenever and wherever its process is killed.

mod blocks;
mod cell;
mod error;
mod finish;
mod get;
mod holding;
mod journal;
mod layout;
mod log;
mod memory;
mod message;
mod put;
mod received;
mod region;
mod section;
mod tidy;

#[cfg(test)]
mod invariants;
#[cfg(test)]
mod mortality_test;

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use threefold_sys::clock::Instant;

pub use crate::wait::Outcome;
pub use error::{Damage, QueueError, Stop};
pub use memory::default_byte_cap;
pub use message::{Message, Part};
pub use received::Received;
pub use threefold_sys::source::Source;
pub use threefold_sys::target::{Filled, Target};

use crate::bell::Bell;
use crate::wait::{Driver, Plain, block};
use finish::Join;
use get::Get;
use layout::{DONE_BELL_WORD, DONE_COUNT, FILLED_BELL_WORD, GOT_COUNT, JOURNAL_LENGTH, PUT_COUNT, TAKEN_BELL_WORD};
use put::Put;
use section::Shared;

/// How a queue is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many messages may be in the queue; `None` and 0: any number.
    pub message_cap: Option<u64>,
    /// How many bytes of memory the messages may occupy; a put beyond it is refused.
    pub byte_cap: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { message_cap: None, byte_cap: default_byte_cap() }
    }
}

/// What became of several messages that were put together.
#[derive(Debug)]
#[must_use = "the messages behind the first `put_count` were not put"]
pub struct Batch<E> {
    /// How many were put: the first ones.
    pub put_count: usize,
    /// Why not more: all are put, the deadline passed, or an error as for [`Queue::put`].
    pub end: Result<Outcome<()>, Stop<E>>,
}

/// A first-in, first-out queue of messages in shared memory. Cloning gives another handle of the same queue.
///
/// A forked child may use its copy of a handle; another process attaches to the descriptor.
///
/// # Examples
/// ```
/// use threefold_shared_memory::queue::{Message, Options, Queue};
///
/// let queue = Queue::create(&Options::default())?;
/// queue.try_put(Message::new(b"hello"))?;
/// let received = queue.try_get()?;
/// assert_eq!(received.and_then(|message| message.as_slice(0).map(<[u8]>::to_vec)), Some(b"hello".to_vec()));
/// # Ok::<(), threefold_shared_memory::queue::QueueError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Queue {
    shared: Arc<Shared>,
}

impl Queue {
    /// A new, empty queue.
    ///
    /// # Errors
    /// What the kernel says: no descriptors left, no address space.
    pub fn create(options: &Options) -> Result<Self, QueueError> {
        Ok(Self { shared: Arc::new(Shared::create(options)?) })
    }

    /// The queue behind a descriptor that was inherited or received.
    ///
    /// # Errors
    /// When it is not a queue, not one of this version, or a damaged one.
    pub fn attach(descriptor: OwnedFd) -> Result<Self, QueueError> {
        let shared = Shared::attach(descriptor)?;
        shared.tidy()?;
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The queue that process `pid` of the same user has as descriptor `number`.
    ///
    /// # Errors
    /// When there is no such descriptor, or as for [`Queue::attach`].
    pub fn reopen(pid: u32, number: i32) -> Result<Self, QueueError> {
        let file = std::fs::File::options().read(true).write(true).open(format!("/proc/{pid}/fd/{number}"))?;
        Self::attach(file.into())
    }

    /// The descriptor, to be handed to another process.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.shared.region.descriptor()
    }

    /// Puts a message at the end.
    ///
    /// # Blocking
    /// While the queue is full, at most until `deadline`; a deadline in the past asks once. Never for long in the
    /// section, unless a process is stopped in it: then for a second beyond the deadline.
    ///
    /// # Errors
    /// [`QueueError::OutOfMemory`] beyond the byte cap; the driver's; a damaged queue. The message was not put then.
    pub fn put<D: Driver>(
        &self,
        message: Message<'_>,
        deadline: Option<Instant>,
        driver: &mut D,
    ) -> Result<Outcome<()>, Stop<D::Error>> {
        let messages = [message];
        settle(block(&mut Put::new(&self.shared, &messages, deadline), deadline, driver))
    }

    /// Puts a message if the queue is not full.
    ///
    /// # Errors
    /// As for [`Queue::put`].
    pub fn try_put(&self, message: Message<'_>) -> Result<Outcome<()>, QueueError> {
        plainly(self.put(message, Some(Instant::from_nanos(0)), &mut Plain))
    }

    /// Puts messages in their order, perhaps with others' in between.
    ///
    /// # Blocking
    /// As for [`Queue::put`], until the last one is put.
    pub fn put_many<D: Driver>(
        &self,
        messages: &[Message<'_>],
        deadline: Option<Instant>,
        driver: &mut D,
    ) -> Batch<D::Error> {
        let mut put = Put::new(&self.shared, messages, deadline);
        let end = settle(block(&mut put, deadline, driver));
        Batch { put_count: put.done_count, end }
    }

    /// Takes the first message.
    ///
    /// # Blocking
    /// While the queue is empty, at most until `deadline`; else as for [`Queue::put`].
    ///
    /// # Errors
    /// The driver's; a damaged queue. No message was taken then.
    pub fn get<D: Driver>(
        &self,
        deadline: Option<Instant>,
        driver: &mut D,
    ) -> Result<Outcome<Received>, Stop<D::Error>> {
        settle(block(&mut Get::new(&self.shared, 1, deadline), deadline, driver))
    }

    /// Takes the first message if there is one.
    ///
    /// # Errors
    /// As for [`Queue::get`].
    pub fn try_get(&self) -> Result<Option<Received>, QueueError> {
        match plainly(self.get(Some(Instant::from_nanos(0)), &mut Plain))? {
            Outcome::Ready(received) => Ok(Some(received)),
            Outcome::TimedOut => Ok(None),
        }
    }

    /// Takes the first message and those behind it that are there, up to `most` (and up to 64) in all.
    ///
    /// # Blocking
    /// As for [`Queue::get`], until there is one.
    ///
    /// # Errors
    /// As for [`Queue::get`].
    pub fn get_many<D: Driver>(
        &self,
        most: usize,
        deadline: Option<Instant>,
        driver: &mut D,
    ) -> Result<Vec<Received>, Stop<D::Error>> {
        let mut get = Get::new(&self.shared, most, deadline);
        match settle(block(&mut get, deadline, driver))? {
            Outcome::Ready(first) => {
                let mut all = std::mem::take(&mut get.more);
                all.insert(0, first);
                Ok(all)
            }
            Outcome::TimedOut => Ok(Vec::new()),
        }
    }

    /// Says that one message that was put has been dealt with.
    ///
    /// # Errors
    /// When all have been already.
    pub fn task_done(&self) -> Result<(), QueueError> {
        self.shared.task_done()
    }

    /// Waits until every message that was put has been dealt with.
    ///
    /// # Blocking
    /// Until then, at most until `deadline`. A message whose taker died is never dealt with.
    ///
    /// # Errors
    /// The driver's; a damaged queue.
    pub fn join<D: Driver>(&self, deadline: Option<Instant>, driver: &mut D) -> Result<Outcome<()>, Stop<D::Error>> {
        settle(block(&mut Join { shared: &self.shared, deadline }, deadline, driver))
    }

    /// How many messages are in the queue; others may put and take meanwhile.
    pub fn len(&self) -> u64 {
        let got = self.shared.peek(GOT_COUNT);
        self.shared.peek(PUT_COUNT).saturating_sub(got)
    }

    /// Whether no message is in the queue; as for [`Queue::len`].
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether as many messages are in the queue as may be; as for [`Queue::len`].
    pub fn is_full(&self) -> bool {
        self.message_cap().is_some_and(|cap| self.len() >= cap)
    }

    /// Whether somebody is in the middle of a change, or died there: then the counts may be behind.
    pub(crate) fn is_disturbed(&self) -> bool {
        self.shared.peek(JOURNAL_LENGTH) != 0
    }

    /// As [`Queue::tidy`], unless somebody is in the section: that process may be stopped.
    pub(crate) fn tidy_if_nobody_is_inside(&self) {
        if self.shared.is_somebody_inside() {
            return;
        }
        // A queue whose memory cannot be looked after can still be waited at.
        let _tidied_later = self.shared.tidy();
    }

    /// How many messages have not been dealt with.
    pub fn unfinished_count(&self) -> u64 {
        let done = self.shared.peek(DONE_COUNT);
        self.shared.peek(PUT_COUNT).saturating_sub(done)
    }

    /// How many messages may be in the queue; `None`: any number.
    pub fn message_cap(&self) -> Option<u64> {
        self.shared.message_cap
    }

    /// Memory that the queue takes at the moment, in bytes.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn resident_bytes(&self) -> Result<usize, QueueError> {
        Ok(self.shared.region.resident_bytes()?)
    }

    /// Frees what dead processes held and gives unused memory back to the system. Happens by itself in a queue that is
    /// used; a program that leaves a queue alone for long may call it.
    ///
    /// # Errors
    /// A damaged queue, or what the kernel says.
    pub fn tidy(&self) -> Result<(), QueueError> {
        self.shared.tidy()
    }

    /// Rung when a message was put: for those who wait for several things at once.
    pub fn filled_bell(&self) -> Bell<'_> {
        self.shared.bell(FILLED_BELL_WORD)
    }

    /// Rung when a message was taken from a queue with a message cap.
    pub fn taken_bell(&self) -> Bell<'_> {
        self.shared.bell(TAKEN_BELL_WORD)
    }

    /// Rung when the last unfinished message was dealt with.
    pub fn done_bell(&self) -> Bell<'_> {
        self.shared.bell(DONE_BELL_WORD)
    }
}

fn settle<T, E>(outcome: Result<Outcome<Result<T, QueueError>>, E>) -> Result<Outcome<T>, Stop<E>> {
    match outcome {
        Ok(Outcome::Ready(Ok(output))) => Ok(Outcome::Ready(output)),
        Ok(Outcome::Ready(Err(error))) => Err(Stop::Queue(error)),
        Ok(Outcome::TimedOut) => Ok(Outcome::TimedOut),
        Err(error) => Err(Stop::Driver(error)),
    }
}

fn plainly<T>(outcome: Result<T, Stop<std::convert::Infallible>>) -> Result<T, QueueError> {
    outcome.map_err(|stop| match stop {
        Stop::Queue(error) => error,
        Stop::Driver(never) => match never {},
    })
}
