//! Bytes that are to be copied, whether or not somebody writes to them meanwhile.

use std::marker::PhantomData;

/// Readable bytes that are never looked at in place, only copied: so others may change them while they are borrowed, and
/// the copy is then a mixture of old and new.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    start: *const u8,
    len_bytes: usize,
    borrowed: PhantomData<&'a [u8]>,
}

// SAFETY: reading through the pointer is all that can be done with it, and that is allowed from any thread for `'a`.
unsafe impl Send for Source<'_> {}
// SAFETY: as above.
unsafe impl Sync for Source<'_> {}

impl<'a> Source<'a> {
    /// The first `count` bytes, at most all, and the rest.
    #[must_use]
    pub fn split_at(self, count: usize) -> (Self, Self) {
        let count = count.min(self.len_bytes);
        // The rest begins within the bytes or at their end.
        let rest = self.start.wrapping_add(count);
        let part = |start, len_bytes| Source::<'a> { start, len_bytes, borrowed: PhantomData };
        (part(self.start, count), part(rest, self.len_bytes - count))
    }
}

impl Source<'_> {
    /// The `len_bytes` bytes from `start` on.
    ///
    /// # Safety
    /// They must be readable for all of `'a`. The pointer may be null or dangling when there are none.
    #[must_use]
    pub const unsafe fn new(start: *const u8, len_bytes: usize) -> Self {
        Self { start, len_bytes, borrowed: PhantomData }
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

    /// Copies them to the end of a vector.
    pub fn append_to(&self, target: &mut Vec<u8>) {
        if self.len_bytes == 0 {
            return;
        }
        target.reserve(self.len_bytes);
        // SAFETY: the source is readable (`new`); the target has room for as many more, just reserved, and is ours alone.
        unsafe {
            self.copy_to(target.as_mut_ptr().add(target.len()));
            target.set_len(target.len() + self.len_bytes);
        }
    }

    /// Copies them to `target`.
    ///
    /// # Safety
    /// As many bytes must be writable there, and must not be these.
    pub(crate) unsafe fn copy_to(&self, target: *mut u8) {
        if self.len_bytes > 0 {
            // SAFETY: the source is readable (`new`), the target writable and elsewhere (the caller).
            unsafe { std::ptr::copy_nonoverlapping(self.start, target, self.len_bytes) };
        }
    }

    /// Where they begin: for those who may read there as long as this value's lifetime lasts.
    #[must_use]
    pub const fn start(&self) -> *const u8 {
        self.start
    }
}

impl<'a> From<&'a [u8]> for Source<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self { start: bytes.as_ptr(), len_bytes: bytes.len(), borrowed: PhantomData }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_copied_as_they_are_and_none_from_nowhere() {
        let mut target = vec![1];
        Source::from(&[2, 3][..]).append_to(&mut target);
        // SAFETY: no byte is to be readable.
        let nothing = unsafe { Source::new(std::ptr::null(), 0) };
        nothing.append_to(&mut target);
        assert_eq!((target, nothing.is_empty()), (vec![1, 2, 3], true));
    }
}
