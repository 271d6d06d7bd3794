//! What is queued for writing on a connection, and when its writer is to wait.

use std::collections::VecDeque;
use std::io::IoSlice;

/// Parts that go out with one system call.
pub const PART_COUNT: usize = 64;

/// Chunks of bytes in the order in which they are to go out.
#[derive(Debug)]
pub struct Outgoing<C> {
    chunks: VecDeque<C>,
    /// Bytes of the first chunk that have gone out already.
    gone_bytes: usize,
    queued_bytes: usize,
    high_bytes: usize,
    low_bytes: usize,
    is_paused: bool,
}

impl<C> Default for Outgoing<C> {
    fn default() -> Self {
        Self {
            chunks: VecDeque::new(),
            gone_bytes: 0,
            queued_bytes: 0,
            high_bytes: 64 * 1024,
            low_bytes: 16 * 1024,
            is_paused: false,
        }
    }
}

impl<C: AsRef<[u8]>> Outgoing<C> {
    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// How many bytes are queued.
    pub fn len_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Queues a chunk, of which the first `gone_bytes` have gone out already; that is possible only if nothing is queued.
    pub fn push(&mut self, chunk: C, gone_bytes: usize) {
        let len = chunk.as_ref().len();
        if self.chunks.is_empty() {
            self.gone_bytes = gone_bytes.min(len);
            self.queued_bytes = len - self.gone_bytes;
        } else {
            self.queued_bytes += len;
        }
        self.chunks.push_back(chunk);
    }

    /// Lays out the first parts that are to go out; how many they are.
    pub fn parts<'a>(&'a self, parts: &mut [IoSlice<'a>; PART_COUNT]) -> usize {
        let mut count = 0;
        let mut gone_bytes = self.gone_bytes;
        for (chunk, part) in self.chunks.iter().zip(parts) {
            *part = IoSlice::new(chunk.as_ref().get(gone_bytes..).unwrap_or_default());
            gone_bytes = 0;
            count += 1;
        }
        count
    }

    /// Notes that so many bytes have gone out; chunks that are done go to `done`.
    pub fn advance(&mut self, mut bytes: usize, done: &mut Vec<C>) {
        self.queued_bytes = self.queued_bytes.saturating_sub(bytes);
        while let Some(chunk) = self.chunks.front() {
            let left = chunk.as_ref().len() - self.gone_bytes;
            if bytes < left {
                self.gone_bytes += bytes;
                return;
            }
            bytes -= left;
            self.gone_bytes = 0;
            done.extend(self.chunks.pop_front());
        }
    }

    /// Takes out all that is queued.
    pub fn take(&mut self) -> VecDeque<C> {
        self.gone_bytes = 0;
        self.queued_bytes = 0;
        std::mem::take(&mut self.chunks)
    }

    /// Sets the marks: above `high_bytes` the writer is to wait, until not more than `low_bytes` are left.
    pub fn set_marks(&mut self, low_bytes: usize, high_bytes: usize) {
        (self.low_bytes, self.high_bytes) = (low_bytes, high_bytes);
    }

    /// The marks, the low one first.
    pub fn marks(&self) -> (usize, usize) {
        (self.low_bytes, self.high_bytes)
    }

    /// Whether the writer was told to wait.
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Whether the writer must be told to wait; true once until it may go on.
    #[must_use = "the writer goes on"]
    pub fn must_pause(&mut self) -> bool {
        let must = !self.is_paused && self.queued_bytes > self.high_bytes;
        self.is_paused |= must;
        must
    }

    /// Whether the writer must be told that it may go on; true once.
    #[must_use = "the writer waits"]
    pub fn must_resume(&mut self) -> bool {
        let must = self.is_paused && self.queued_bytes <= self.low_bytes;
        self.is_paused &= !must;
        must
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn laid_out(outgoing: &Outgoing<Vec<u8>>) -> Vec<u8> {
        let mut parts = [IoSlice::new(&[]); PART_COUNT];
        let count = outgoing.parts(&mut parts);
        parts[..count].iter().flat_map(|part| part.to_vec()).collect()
    }

    #[test]
    fn the_rest_of_a_chunk_goes_first() {
        let mut outgoing = Outgoing::default();
        outgoing.push(b"abcdef".to_vec(), 2);
        outgoing.push(b"gh".to_vec(), 0);
        assert_eq!((laid_out(&outgoing), outgoing.len_bytes()), (b"cdefgh".to_vec(), 6));
        let mut done = Vec::new();
        outgoing.advance(3, &mut done);
        assert_eq!((laid_out(&outgoing), outgoing.len_bytes(), done.len()), (b"fgh".to_vec(), 3, 0));
        outgoing.advance(3, &mut done);
        assert!(outgoing.is_empty() && outgoing.len_bytes() == 0 && done.len() == 2);
    }

    #[test]
    fn the_writer_is_told_once_to_wait_and_once_to_go_on() {
        let mut outgoing = Outgoing::default();
        outgoing.set_marks(2, 4);
        outgoing.push(b"abcd".to_vec(), 0);
        assert!(!outgoing.must_pause());
        outgoing.push(b"e".to_vec(), 0);
        assert!(outgoing.must_pause() && !outgoing.must_pause());
        outgoing.advance(2, &mut Vec::new());
        assert!(!outgoing.must_resume());
        outgoing.advance(1, &mut Vec::new());
        assert!(outgoing.must_resume() && !outgoing.must_resume());
    }

    proptest! {
        #[test]
        fn all_bytes_go_out_in_order(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..90),
            steps in prop::collection::vec(1_usize..40, 1..9),
        ) {
            let expected: Vec<u8> = chunks.concat();
            let mut outgoing = Outgoing::default();
            for chunk in chunks {
                outgoing.push(chunk, 0);
            }
            prop_assert_eq!(outgoing.len_bytes(), expected.len());
            let mut sent = Vec::new();
            for step in steps.iter().cycle() {
                if outgoing.is_empty() {
                    break;
                }
                let part = laid_out(&outgoing);
                let count = part.len().min(*step);
                sent.extend_from_slice(&part[..count]);
                outgoing.advance(count, &mut Vec::new());
            }
            prop_assert_eq!(sent, expected);
            prop_assert_eq!(outgoing.len_bytes(), 0);
        }
    }
}
