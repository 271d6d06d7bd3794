//! A file mapped as shared atomics, so that other processes can read it while we write, and after we were killed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A writable, shared, zero-filled mapping of a file of our own, seen as 64-bit atomics.
#[derive(Debug)]
pub struct SharedMap {
    start: NonNull<AtomicU64>,
    len_words: usize,
    _file: File,
}

// SAFETY: the mapping is plain memory that lives as long as the value, and is only ever handed out as `&[AtomicU64]`.
unsafe impl Send for SharedMap {}
// SAFETY: as above; atomics may be shared between threads.
unsafe impl Sync for SharedMap {}

impl SharedMap {
    /// Creates `path` (mode 0600, refusing one that exists or is a link) with `len_words` zero words, and maps it.
    /// The file is sparse: pages that are never written take no memory.
    ///
    /// # Errors
    /// What the file system says: exists, no space, no permission.
    pub fn create(path: &Path, len_words: usize) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(path)?;
        let len_bytes = len_words * size_of::<AtomicU64>();
        file.set_len(len_bytes as u64)?;
        // SAFETY: a fresh mapping at an address of the kernel's choice cannot overlap anything of ours; the length is
        // not zero for any table we make, and a zero length is an error, not undefined behaviour.
        let start = unsafe {
            mmap(std::ptr::null_mut(), len_bytes, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &file, 0)?
        };
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mmap returned null"))?;
        Ok(Self { start, len_words, _file: file })
    }

    /// The words of the mapping.
    #[must_use]
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping holds `len_words` aligned words (pages are aligned), is zero-initialised by the kernel,
        // stays mapped until `drop`, and atomics may be written by others while borrowed.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len_words) }
    }
}

impl Drop for SharedMap {
    fn drop(&mut self) {
        // SAFETY: the address and length are those of the mapping made in `create`, and no reference outlives `self`.
        let _result = unsafe { munmap(self.start.as_ptr().cast(), self.len_words * size_of::<AtomicU64>()) };
    }
}
