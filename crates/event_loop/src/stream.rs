//! A connection without its socket: how far it is open in both directions, and what its writer may do.

use std::collections::VecDeque;

use crate::outgoing::Outgoing;

/// How far a connection is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// It is to be closed as soon as what is queued has gone out.
    Closing,
    /// Nothing can be read or written any more; its protocol hears of that, or has heard.
    Lost,
}

/// What may be done with bytes that somebody wants to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// They may go out at once.
    Send,
    /// Others come first.
    Queue,
    /// The connection is lost: nothing happens. So many writes came too late before.
    Late(usize),
    /// The writer has said before that nothing more comes.
    Ended,
    /// The descriptor is lent to somebody else who writes there.
    Lent,
}

/// The state of a connection.
#[derive(Debug)]
pub struct Stream<C> {
    /// What is queued for writing.
    pub outgoing: Outgoing<C>,
    phase: Phase,
    is_reading_paused: bool,
    has_ended: bool,
    is_lent: bool,
    late_count: usize,
}

impl<C> Default for Stream<C> {
    fn default() -> Self {
        Self {
            outgoing: Outgoing::default(),
            phase: Phase::Open,
            is_reading_paused: false,
            has_ended: false,
            is_lent: false,
            late_count: 0,
        }
    }
}

impl<C: AsRef<[u8]>> Stream<C> {
    /// What may be done with bytes; `is_empty`: there are none, which is never too late.
    #[must_use = "the bytes are not written yet"]
    pub fn permission(&mut self, is_empty: bool) -> Permission {
        if self.has_ended {
            Permission::Ended
        } else if self.is_lent {
            Permission::Lent
        } else if self.phase == Phase::Lost && !is_empty {
            Permission::Late(self.count_late())
        } else if self.outgoing.is_empty() {
            Permission::Send
        } else {
            Permission::Queue
        }
    }

    /// Counts a write that comes too late; how many there were before, with this one.
    pub fn count_late(&mut self) -> usize {
        self.late_count += 1;
        self.late_count
    }

    /// Whether somebody has closed the connection.
    pub fn is_closing(&self) -> bool {
        self.phase != Phase::Open
    }

    /// Whether nothing can be read or written any more.
    pub fn is_lost(&self) -> bool {
        self.phase == Phase::Lost
    }

    /// Whether what arrives is wanted.
    pub fn is_reading(&self) -> bool {
        self.phase == Phase::Open && !self.is_reading_paused
    }

    /// Whether reading was paused, and not resumed.
    pub fn is_reading_paused(&self) -> bool {
        self.is_reading_paused
    }

    /// Pauses reading; whether that changes anything.
    #[must_use = "the kernel tells of what arrives until it is asked not to"]
    pub fn pause_reading(&mut self) -> bool {
        let changes = self.is_reading();
        self.is_reading_paused |= changes;
        changes
    }

    /// Resumes reading; whether that changes anything.
    #[must_use = "the kernel does not tell of what arrives"]
    pub fn resume_reading(&mut self) -> bool {
        let changes = self.phase == Phase::Open && self.is_reading_paused;
        self.is_reading_paused &= !changes;
        changes
    }

    /// Nothing more will be written; whether the other end can be told so now, because nothing is queued.
    #[must_use = "the other end waits for more"]
    pub fn end_writing(&mut self) -> bool {
        if self.phase != Phase::Open || self.has_ended {
            return false;
        }
        self.has_ended = true;
        self.outgoing.is_empty()
    }

    /// Whether nothing more will be written.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether the descriptor is lent.
    pub fn is_lent(&self) -> bool {
        self.is_lent
    }

    /// Lends the descriptor, or takes it back.
    pub fn set_lent(&mut self, is_lent: bool) {
        self.is_lent = is_lent;
    }

    /// Closes the connection. Whether it is lost by that: else what is queued goes out first, or it was closed before.
    #[must_use = "the protocol must hear of the end"]
    pub fn close(&mut self) -> bool {
        if self.phase != Phase::Open {
            return false;
        }
        self.phase = if self.outgoing.is_empty() { Phase::Lost } else { Phase::Closing };
        self.phase == Phase::Lost
    }

    /// Gives the connection up; what was queued, or nothing if it was lost before.
    #[must_use = "the protocol must hear of the end"]
    pub fn abort(&mut self) -> Option<VecDeque<C>> {
        if self.phase == Phase::Lost {
            return None;
        }
        self.phase = Phase::Lost;
        Some(self.outgoing.take())
    }

    /// What was queued has gone out. Whether a connection that is being closed is lost by that.
    #[must_use = "the protocol must hear of the end"]
    pub fn finish(&mut self) -> bool {
        let is_over = self.phase == Phase::Closing && self.outgoing.is_empty();
        if is_over {
            self.phase = Phase::Lost;
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(chunks: &[&'static [u8]]) -> Stream<&'static [u8]> {
        let mut stream = Stream::default();
        for chunk in chunks {
            stream.outgoing.push(*chunk, 0);
        }
        stream
    }

    #[test]
    fn closing_waits_for_what_is_queued() {
        let mut stream = with(&[b"abc"]);
        assert!(!stream.close() && stream.is_closing() && !stream.is_lost() && !stream.is_reading());
        assert_eq!(stream.permission(false), Permission::Queue);
        assert!(!stream.finish());
        stream.outgoing.advance(3, &mut Vec::new());
        assert!(stream.finish() && stream.is_lost() && !stream.finish() && !stream.close());
        assert_eq!(stream.abort(), None);
    }

    #[test]
    fn closing_with_nothing_queued_loses_the_connection_once() {
        let mut stream = with(&[]);
        assert!(stream.close() && !stream.close());
        assert_eq!(stream.permission(false), Permission::Late(1));
        assert_eq!(stream.permission(true), Permission::Send);
        assert_eq!(stream.permission(false), Permission::Late(2));
    }

    #[test]
    fn an_abort_gives_back_what_was_queued_also_while_closing() {
        let mut stream = with(&[b"abc", b"d"]);
        assert!(!stream.close());
        assert_eq!(stream.abort().map(|chunks| chunks.len()), Some(2));
        assert!(stream.outgoing.is_empty() && stream.outgoing.len_bytes() == 0 && stream.is_lost());
    }

    #[test]
    fn a_half_closed_connection_reads_on_but_writes_no_more() {
        let mut stream = with(&[b"abc"]);
        assert!(!stream.end_writing() && stream.has_ended() && stream.is_reading());
        assert_eq!(stream.permission(true), Permission::Ended);
        assert!(!stream.end_writing());
        let mut idle = with(&[]);
        assert!(idle.end_writing());
    }

    #[test]
    fn reading_pauses_and_resumes_once_and_not_after_the_end() {
        let mut stream = with(&[]);
        assert!(!stream.resume_reading());
        assert!(stream.pause_reading() && !stream.pause_reading() && !stream.is_reading());
        assert!(stream.resume_reading() && stream.is_reading());
        assert!(stream.pause_reading() && stream.close());
        assert!(!stream.resume_reading() && stream.is_reading_paused());
    }

    #[test]
    fn a_lent_descriptor_is_written_to_by_nobody_else() {
        let mut stream = with(&[]);
        stream.set_lent(true);
        assert_eq!(stream.permission(false), Permission::Lent);
        stream.set_lent(false);
        assert_eq!(stream.permission(false), Permission::Send);
    }
}
