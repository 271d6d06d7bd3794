//! Memory that is to be filled by copying, and the proof that it was: so that nobody needs to write zeros there first.

use std::marker::PhantomData;

use rustix::mm::Advice;

use crate::region::PAGE_BYTES;
use crate::source::Source;

/// From this length on the kernel is asked for all pages at once: a fault for each costs more than the copying.
const LONG_BYTES: usize = 4 << 20;

/// Writable bytes that may be uninitialised. Filling them uses the value up and gives the proof.
///
/// The lifetime is that of one target only: a proof of another one has another type.
#[derive(Debug)]
pub struct Target<'one> {
    start: *mut u8,
    len_bytes: usize,
    one: PhantomData<fn(&'one ()) -> &'one ()>,
}

/// Proves that the target of this lifetime has been filled.
#[derive(Debug)]
pub struct Filled<'one>(PhantomData<fn(&'one ()) -> &'one ()>);

impl<'one> Target<'one> {
    /// The `len_bytes` bytes from `start` on.
    ///
    /// # Safety
    /// They must be writable for all of `'one`, and nobody else may look at them or write to them until then. No other
    /// target may have the same lifetime: it is to come from the signature of a closure that takes any.
    #[must_use]
    pub const unsafe fn new(start: *mut u8, len_bytes: usize) -> Self {
        Self { start, len_bytes, one: PhantomData }
    }

    /// How many bytes there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len_bytes
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len_bytes == 0
    }

    /// Fills it with a copy of `source`; `None`, and nothing is written, when that is of another length.
    #[must_use]
    pub fn fill(self, source: Source<'_>) -> Option<Filled<'one>> {
        if source.len() != self.len_bytes {
            return None;
        }
        if self.len_bytes >= LONG_BYTES {
            self.ask_for_pages();
        }
        // SAFETY: as many bytes are writable here, and are nobody else's (`new`), so the source lies elsewhere.
        unsafe { source.copy_to(self.start) };
        Some(Filled(PhantomData))
    }

    fn ask_for_pages(&self) {
        let skipped_bytes = self.start.addr().next_multiple_of(PAGE_BYTES) - self.start.addr();
        let len_bytes = (self.len_bytes - skipped_bytes) / PAGE_BYTES * PAGE_BYTES;
        // Not for large ones: in a virtual machine its host has to find memory for these first, which took twice as long.
        // An older kernel refuses, and gives pages as they are written to.
        // SAFETY: the bytes are ours (`new`), and the advice changes none of them.
        let _refused =
            unsafe { rustix::mm::madvise(self.start.add(skipped_bytes).cast(), len_bytes, Advice::LinuxPopulateWrite) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(len_bytes: usize, fill: impl for<'one> FnOnce(Target<'one>) -> Option<Filled<'one>>) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(len_bytes);
        // SAFETY: the vector has that much room, which is ours until the closure returns; the lifetime is the closure's.
        let proof = fill(unsafe { Target::new(bytes.as_mut_ptr(), len_bytes) });
        // SAFETY: there is a proof that all were written.
        proof.map(|_filled| unsafe { bytes.set_len(len_bytes) })?;
        Some(bytes)
    }

    #[test]
    fn only_a_whole_copy_is_a_proof() {
        assert_eq!(filled(2, |target| target.fill(Source::from(&[1, 2][..]))), Some(vec![1, 2]));
        assert_eq!(filled(3, |target| target.fill(Source::from(&[1, 2][..]))), None);
        let long = vec![7; LONG_BYTES + 5];
        assert_eq!(filled(long.len(), |target| target.fill(Source::from(&long[..]))), Some(long));
        assert_eq!(filled(0, |target| target.fill(Source::from(&[][..]))), Some(Vec::new()));
    }
}
