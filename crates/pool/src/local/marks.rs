//! One word for each job on the way: whether it may begin, has begun, or was taken back. README section 7.

use std::sync::atomic::{AtomicU64, Ordering};

use super::error::LinkError;

/// How many words there are, used in turn: as many as the lowest byte of a sequence number has values.
pub(super) const MARK_COUNT: usize = 256;

const STATE_BITS: u32 = 2;
const STATE_MASK: u64 = (1 << STATE_BITS) - 1;

/// Sent, and neither begun nor taken back.
const SENT: u64 = 1;
/// The worker has begun it.
const STARTED: u64 = 2;
/// The parent has taken it back.
const WITHDRAWN: u64 = 3;

/// The table of marks: job number and state. The job with sequence number n has the word n modulo their number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks<'a>(&'a [AtomicU64]);

impl<'a> Marks<'a> {
    pub(super) const fn new(words: &'a [AtomicU64]) -> Self {
        Self(words)
    }

    fn word(self, sequence: u64) -> &'a AtomicU64 {
        &self.0[sequence.to_le_bytes()[0] as usize]
    }

    /// By the parent, before the job can be seen.
    pub(super) fn note_sent(self, sequence: u64, job: u64) -> Result<(), LinkError> {
        if job > u64::MAX >> STATE_BITS {
            return Err(LinkError::JobNumber { job });
        }
        self.word(sequence).store(job << STATE_BITS | SENT, Ordering::Release);
        Ok(())
    }

    /// By the worker: whether it may do the job. If so, it has begun.
    pub(super) fn begin(self, sequence: u64, job: u64) -> Result<bool, LinkError> {
        let (sent, started) = (job << STATE_BITS | SENT, job << STATE_BITS | STARTED);
        match self.word(sequence).compare_exchange(sent, started, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => Ok(true),
            Err(found) if found == job << STATE_BITS | WITHDRAWN => Ok(false),
            Err(_) => Err(LinkError::Marks),
        }
    }

    /// By the parent: whether the job will never begin. `sent_count` is how many were sent.
    pub(super) fn take_back(self, sent_count: u64, job: u64) -> bool {
        let (sent, withdrawn) = (job << STATE_BITS | SENT, job << STATE_BITS | WITHDRAWN);
        self.find(sent_count, job)
            .is_some_and(|word| word.compare_exchange(sent, withdrawn, Ordering::SeqCst, Ordering::SeqCst).is_ok())
    }

    /// By the parent: whether the worker has begun the job.
    pub(super) fn has_begun(self, sent_count: u64, job: u64) -> bool {
        let state = self.find(sent_count, job).map(|word| word.load(Ordering::SeqCst) & STATE_MASK);
        state == Some(STARTED)
    }

    /// The mark of the job when it was sent last.
    fn find(self, sent_count: u64, job: u64) -> Option<&'a AtomicU64> {
        let oldest = sent_count.saturating_sub(MARK_COUNT as u64);
        let words = (oldest..sent_count).rev().map(|sequence| self.word(sequence));
        words.into_iter().find(|word| word.load(Ordering::Acquire) >> STATE_BITS == job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_either_begun_or_taken_back() {
        let words = [const { AtomicU64::new(0) }; MARK_COUNT];
        let marks = Marks::new(&words);
        for (sequence, job) in [(0, 7), (1, 0), (2, u64::MAX >> 2), (3, 7)] {
            marks.note_sent(sequence, job).unwrap();
        }
        assert!(marks.begin(0, 7).unwrap());
        assert!(!marks.has_begun(4, 7), "it was sent once more");
        assert!(marks.take_back(4, 7) && !marks.take_back(4, 7));
        assert!(!marks.begin(3, 7).unwrap());
        assert!(marks.begin(1, 0).unwrap() && marks.has_begun(4, 0) && !marks.take_back(4, 0));
        assert!(marks.begin(2, 5).is_err() && marks.note_sent(4, 1 << 62).is_err());
        assert!(!marks.take_back(4, 99) && !marks.has_begun(4, 99));
    }
}
