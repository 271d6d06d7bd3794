//! The pool's end of a link.

use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;

use threefold_shared_memory::ring::{Frame, Reader, Writer};
use threefold_sys::source::Source;

use super::attention::{self, Attention};
use super::error::LinkError;
use super::layout::Layout;
use super::marks::MARK_COUNT;

/// How many jobs may be with a worker that has room for another one: enough that it need not wait for the parent's turn.
pub const MOST_UNFINISHED: u64 = 200;

/// Unread bytes from which on a worker has no room for a further frame, but for a second one: long messages are double
/// buffered, and not piled up.
const ENOUGH_BYTES: u64 = 1 << 20;
const ENOUGH_FRAMES: u64 = 2;

/// What the pool has of a link: writes jobs, reads reports. One process has it.
#[derive(Debug)]
pub struct ParentEnd {
    layout: Layout,
    jobs: Writer,
    reports: Reader,
    /// How many job frames were sent: the next one's sequence number.
    sent_count: u64,
}

impl ParentEnd {
    /// A new link, over which up to `capacity_bytes` can be on the way in each direction. That is address space; only what
    /// is written takes memory. Where there is not enough of it, the capacity is halved.
    ///
    /// # Errors
    /// What the kernel says: no descriptors left, no address space.
    pub fn create(capacity_bytes: usize) -> Result<Self, LinkError> {
        let layout = Layout::create(capacity_bytes)?;
        let (jobs, reports) = (layout.job_track()?.writer()?, layout.report_track()?.reader()?);
        Ok(Self { layout, jobs, reports, sent_count: 0 })
    }

    /// The descriptor, to be handed to the worker.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.layout.region.descriptor()
    }

    /// How much can be on the way in each direction: what the worker attaches with.
    pub fn capacity_bytes(&self) -> usize {
        self.layout.capacity_bytes
    }

    /// Whether the worker should be sent another job: it has not many, and not much to read.
    ///
    /// # Errors
    /// A damaged link.
    pub fn has_room(&mut self) -> Result<bool, LinkError> {
        if self.unfinished_count()? >= MOST_UNFINISHED {
            return Ok(false);
        }
        Ok(self.jobs.unread_count()? < ENOUGH_FRAMES || self.jobs.unread_bytes()? < ENOUGH_BYTES)
    }

    /// Sends a frame, which the worker sees when this returns, if it is awake. What has a job number is a job: it counts
    /// as unfinished, and can be taken back, until the worker has begun it.
    ///
    /// # Errors
    /// When there is no room at all, which [`ParentEnd::has_room`] says long before; what the kernel says; a damaged link.
    /// Nothing was sent then.
    pub fn send(&mut self, kind: u8, flags: u16, job: Option<u64>, parts: &[Source<'_>]) -> Result<(), LinkError> {
        let Some(job) = job else { return Ok(self.jobs.write(kind, flags, None, parts)?) };
        let unfinished_count = self.unfinished_count()?;
        if unfinished_count >= MARK_COUNT as u64 {
            return Err(LinkError::TooManyJobs { unfinished_count });
        }
        // Of a job that is not sent then, the mark is written over by the next one.
        self.layout.marks().note_sent(self.sent_count, job)?;
        self.jobs.write(kind, flags, Some(job), parts)?;
        self.sent_count += 1;
        Ok(())
    }

    /// Wakes the worker if it sleeps: after one or several frames were sent.
    #[inline]
    pub fn wake(&self) {
        self.layout.bell().ring(1);
    }

    /// Takes a job back, by the parent's own hand: whether it had not begun, and never will. Its frame stays in the ring,
    /// and the worker skips it.
    pub fn take_back(&self, job: u64) -> bool {
        self.layout.marks().take_back(self.sent_count, job)
    }

    /// Whether the worker has begun a job that was sent to it, among the last 256. Of a dead worker this is what there is
    /// to know, once its reports have been read.
    pub fn has_begun(&self, job: u64) -> bool {
        self.layout.marks().has_begun(self.sent_count, job)
    }

    /// The worker's next frame, if there is one. It must be dropped before the next one is asked for.
    ///
    /// # Errors
    /// A damaged link; a frame that is still held.
    pub fn next_report(&mut self) -> Result<Option<Frame>, LinkError> {
        Ok(self.reports.try_next()?)
    }

    /// Whether there is a report to read.
    #[inline]
    pub fn has_report(&self) -> bool {
        !self.reports.is_empty()
    }

    /// Says when the worker is to ring the doorbell. After anything but [`Attention::Awake`], and before it sleeps, the
    /// parent looks for reports once more; and as long as the worker has jobs it sleeps for at most a slice.
    pub fn set_attention(&self, attention: Attention) {
        attention::set(self.layout.attention(), attention);
    }

    /// How many frames the worker has not read yet.
    ///
    /// # Errors
    /// A damaged link.
    pub fn unread_count(&self) -> Result<u64, LinkError> {
        Ok(self.jobs.unread_count()?)
    }

    /// How many jobs were sent that the worker is not through with, those that were taken back included.
    ///
    /// # Errors
    /// A damaged link.
    pub fn unfinished_count(&self) -> Result<u64, LinkError> {
        // Pairs with the worker's store: it does not look at the marks of these jobs again.
        let finished_count = self.layout.finished_count().load(Ordering::Acquire);
        let unfinished_count = self.sent_count.checked_sub(finished_count).ok_or(LinkError::Marks)?;
        if unfinished_count <= MARK_COUNT as u64 { Ok(unfinished_count) } else { Err(LinkError::Marks) }
    }

    /// Gives memory back to the system that jobs have taken, if all were read. The worker does the same for reports.
    ///
    /// # Errors
    /// A damaged link; what the kernel says.
    pub fn tidy(&mut self) -> Result<(), LinkError> {
        self.jobs.tidy()?;
        Ok(())
    }

    /// Memory that the link takes at the moment, in bytes.
    ///
    /// # Errors
    /// When the program has closed the descriptor.
    pub fn resident_bytes(&self) -> Result<usize, LinkError> {
        Ok(self.layout.region.resident_bytes()?)
    }

    /// Gives all memory back to the system, when the worker is gone: processes that were forked meanwhile have it mapped, too.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn free(self) -> Result<(), LinkError> {
        self.layout.region.punch(0, self.layout.region.len_bytes()?)?;
        Ok(())
    }
}
