//! The worker's end of a link.

use std::sync::atomic::Ordering;

use threefold_shared_memory::Bell;
use threefold_shared_memory::ring::{Frame, Reader, Writer};
use threefold_sys::pipe::DoorbellRinger;
use threefold_sys::source::Source;

use super::attention;
use super::error::LinkError;
use super::layout::Layout;

/// The job that was taken last.
#[derive(Clone, Copy, Debug)]
struct Current {
    job: u64,
    has_begun: bool,
}

/// What a worker has of a link: reads jobs, one after another, and writes reports. One process has it.
#[derive(Debug)]
pub struct WorkerEnd {
    layout: Layout,
    jobs: Reader,
    reports: Writer,
    current: Option<Current>,
    finished_count: u64,
    teller: Teller,
}

/// Rings for the parent.
#[derive(Debug)]
struct Teller {
    ringer: Option<DoorbellRinger>,
    /// Whether a job was skipped since the last ring: the parent has room that no report tells it of.
    has_skipped: bool,
    /// Whether a ring has failed.
    is_mute: bool,
}

impl WorkerEnd {
    /// The link that this process has as descriptor `number`, which stays as it is; with the capacity that the parent's
    /// end has. Without a ringer the parent must look by itself.
    ///
    /// # Errors
    /// When it is no such link, or somebody has attached to it before.
    pub fn attach(number: i32, capacity_bytes: usize, ringer: Option<DoorbellRinger>) -> Result<Self, LinkError> {
        let layout = Layout::attach(number, capacity_bytes)?;
        let (jobs, reports) = (layout.job_track()?.reader()?, layout.report_track()?.writer()?);
        let teller = Teller { ringer, has_skipped: false, is_mute: false };
        Ok(Self { layout, jobs, reports, current: None, finished_count: 0, teller })
    }

    /// The next frame, if there is one. It must be dropped, and the job before be finished, before the next one is asked
    /// for.
    ///
    /// # Errors
    /// A damaged link; a frame that is still held; a job that is not finished.
    pub fn try_next(&mut self) -> Result<Option<Frame>, LinkError> {
        if let Some(Current { job, .. }) = self.current {
            return Err(LinkError::NotCurrent { job });
        }
        let Some(frame) = self.jobs.try_next()? else { return Ok(None) };
        self.current = frame.job().map(|job| Current { job, has_begun: false });
        // The last one: time to send more, while this one is done.
        attention::after_frame(self.layout.attention(), || !self.jobs.is_empty(), || self.teller.ring());
        Ok(Some(frame))
    }

    /// Whether the worker may do the job that was taken last. If so, it has begun, and cannot be taken back any more;
    /// else it is to be finished without a report.
    ///
    /// # Errors
    /// When it is not that job; a damaged link.
    pub fn begin(&mut self, job: u64) -> Result<bool, LinkError> {
        let current = self.current.as_mut().filter(|current| current.job == job);
        let current = current.ok_or(LinkError::NotCurrent { job })?;
        current.has_begun = self.layout.marks().begin(self.finished_count, job)?;
        Ok(current.has_begun)
    }

    /// Sends a frame to the parent, and rings for it if it wants that.
    ///
    /// # Errors
    /// When the ring is full or damaged; what the kernel says. Nothing was sent then.
    pub fn report(&mut self, kind: u8, flags: u16, job: Option<u64>, parts: &[Source<'_>]) -> Result<(), LinkError> {
        self.reports.write(kind, flags, job, parts)?;
        attention::after_report(self.layout.attention(), || !self.jobs.is_empty(), || self.teller.ring());
        Ok(())
    }

    /// The job that was taken last is over: after its report, or when it could not begin.
    ///
    /// # Errors
    /// When it is not that job.
    pub fn finish(&mut self, job: u64) -> Result<(), LinkError> {
        let current = self.current.filter(|current| current.job == job).ok_or(LinkError::NotCurrent { job })?;
        self.current = None;
        self.teller.has_skipped |= !current.has_begun;
        self.finished_count += 1;
        // Pairs with the parent's load: it may use the mark again.
        self.layout.finished_count().store(self.finished_count, Ordering::Release);
        Ok(())
    }

    /// Whether the parent could not be rung, since the program has closed the descriptor. Such a worker had better end when
    /// it has finished its job: its death is always heard, and what it has reported counts.
    pub fn is_mute(&self) -> bool {
        self.teller.is_mute
    }

    /// Whether the process that made the link still runs. A few system calls.
    pub fn is_parent_alive(&self) -> bool {
        self.layout.parent().is_alive()
    }

    /// Gives memory back to the system that reports have taken, if all were read. Happens by itself when the worker has
    /// waited a slice for a job.
    ///
    /// # Errors
    /// A damaged link; what the kernel says.
    pub fn tidy(&mut self) -> Result<(), LinkError> {
        self.reports.tidy()?;
        Ok(())
    }

    pub(super) fn bell(&self) -> Bell<'_> {
        self.layout.bell()
    }

    pub(super) fn has_frame(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// There is nothing to do: a parent that waits for that, or does not know of it, is told.
    pub(super) fn ring_before_sleep(&mut self) {
        let has_skipped = self.teller.has_skipped;
        attention::before_sleep(self.layout.attention(), has_skipped, || self.teller.ring());
    }
}

impl Teller {
    fn ring(&mut self) {
        self.has_skipped = false;
        if let Some(ringer) = &self.ringer {
            // A parent that has jobs out looks by itself, at the end of its slice; the next one may find it asleep.
            self.is_mute |= ringer.ring().is_err();
        }
    }
}
