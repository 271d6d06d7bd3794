//! Memory that several processes share, without a name in any file system: a sparse memfd, mapped once for all its life.
//!
//! The mapping is as long as the region may ever become; the file behind it grows by `ftruncate`, by any process and
//! without remapping. The file is sealed against shrinking, so a length that was seen once holds for ever, and no access
//! that was checked against it can fault.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rustix::fs::{FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags};

use crate::descriptor::Descriptor;
use crate::source::Source;

/// What lengths are rounded up to; the smallest page of any supported machine.
pub const PAGE_BYTES: usize = 4096;

const WORD_BYTES: usize = size_of::<AtomicU64>();

/// An access that does not lie within the region, or a word that is not aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// Where it begins, in bytes.
    pub offset_bytes: usize,
    /// How long it is, in bytes.
    pub len_bytes: usize,
}

impl std::fmt::Display for Beyond {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} bytes at {} are not in the region", self.len_bytes, self.offset_bytes)
    }
}

impl std::error::Error for Beyond {}

impl From<Beyond> for io::Error {
    fn from(beyond: Beyond) -> Self {
        Self::new(io::ErrorKind::InvalidInput, beyond)
    }
}

/// A shared, growing piece of memory. A forked child inherits it; other processes attach to its descriptor.
#[derive(Debug)]
pub struct Region {
    start: NonNull<u8>,
    capacity_bytes: usize,
    /// A length that the file has reached; it may be longer by now.
    known_bytes: AtomicUsize,
    file: Descriptor,
}

// SAFETY: the mapping is plain memory that lives as long as the value; it is handed out as `&[AtomicU64]`, to be copied, or copied.
unsafe impl Send for Region {}
// SAFETY: as above; atomics may be shared between threads, and what copies may tear is said at the copying functions.
unsafe impl Sync for Region {}

impl Region {
    /// A new region of `len_bytes` zeros that can grow to `capacity_bytes`; both are rounded up to whole pages.
    /// Memory is only taken for pages that are written. `name` is shown in `/proc/PID/maps`.
    ///
    /// # Errors
    /// What the kernel says: no descriptors left, no address space.
    pub fn create(name: &str, capacity_bytes: usize, len_bytes: usize) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = match rustix::fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
            // A kernel that does not know the flag yet.
            Err(Errno::INVAL) => rustix::fs::memfd_create(name, flags)?,
            other => other?,
        };
        rustix::fs::ftruncate(&file, in_pages(len_bytes)? as u64)?;
        rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::SEAL)?;
        Self::attach(file, capacity_bytes)
    }

    /// Maps the region behind a descriptor that another process created and this one inherited or received.
    ///
    /// # Errors
    /// When it is no region (`InvalidData`), or longer than `capacity_bytes`; else what the kernel says.
    pub fn attach(file: OwnedFd, capacity_bytes: usize) -> io::Result<Self> {
        let is_sealed = rustix::fs::fcntl_get_seals(&file).is_ok_and(|seals| seals.contains(SealFlags::SHRINK));
        if !is_sealed {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the descriptor is not a shared memory region"));
        }
        let capacity_bytes = in_pages(capacity_bytes.max(1))?;
        let file = Descriptor::new(file, "a shared memory region")?;
        let known_bytes = usize::try_from(file.status()?.st_size).unwrap_or(usize::MAX);
        if known_bytes > capacity_bytes {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the region is longer than its capacity"));
        }
        let flags = MapFlags::SHARED | MapFlags::NORESERVE;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choice cannot overlap anything of ours; the length is at
        // least one page.
        let start =
            unsafe { rustix::mm::mmap(std::ptr::null_mut(), capacity_bytes, access, flags, file.unchecked(), 0)? };
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mmap returned null"))?;
        Ok(Self { start, capacity_bytes, known_bytes: AtomicUsize::new(known_bytes), file })
    }

    /// Maps the region that process `pid` of the same user has as descriptor `number`.
    ///
    /// # Errors
    /// When there is no such descriptor, or as for [`Region::attach`].
    pub fn reopen(pid: u32, number: i32, capacity_bytes: usize) -> io::Result<Self> {
        let path = format!("/proc/{pid}/fd/{number}");
        Self::attach(rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?, capacity_bytes)
    }

    /// The descriptor, to be handed to another process.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.unchecked()
    }

    /// The longest it can become.
    pub fn capacity_bytes(&self) -> usize {
        self.capacity_bytes
    }

    /// How long it is by now, whoever made it grow.
    ///
    /// # Errors
    /// When the descriptor was closed behind our back.
    pub fn len_bytes(&self) -> io::Result<usize> {
        Ok(usize::try_from(self.file.status()?.st_size).unwrap_or(0))
    }

    /// Memory that its pages take at the moment.
    ///
    /// # Errors
    /// As for [`Region::len_bytes`].
    pub fn resident_bytes(&self) -> io::Result<usize> {
        Ok(usize::try_from(self.file.status()?.st_blocks).unwrap_or(0) * 512)
    }

    /// Makes it at least `len_bytes` long. Any process may do so at any time.
    ///
    /// # Errors
    /// `StorageFull` beyond the capacity; else what the kernel says.
    pub fn grow(&self, len_bytes: usize) -> io::Result<()> {
        if len_bytes <= self.known_bytes.load(Ordering::Relaxed) {
            return Ok(());
        }
        let len_bytes = in_pages(len_bytes)?;
        if len_bytes > self.capacity_bytes {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the shared memory region is full"));
        }
        if self.refresh()? < len_bytes {
            match rustix::fs::ftruncate(self.file.unchecked(), len_bytes as u64) {
                // Somebody else has made it longer meanwhile: this would have been a shrinking, which the seal forbids.
                Ok(()) | Err(Errno::PERM) => {}
                Err(error) => return Err(error.into()),
            }
            if self.refresh()? < len_bytes {
                return Err(io::Error::other("the shared memory region did not grow"));
            }
        }
        Ok(())
    }

    /// The words up to a length that the region has certainly reached.
    #[inline]
    pub fn words(&self) -> &[AtomicU64] {
        let count = self.known_bytes.load(Ordering::Relaxed) / WORD_BYTES;
        // SAFETY: the mapping is aligned (pages are) and stays until `drop`; the file has reached this length and is
        // sealed against shrinking, so every word is backed by it; any bits are a valid atomic; atomics may be written
        // by others while they are borrowed.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), count) }
    }

    /// `count` words, the first at `offset_bytes`.
    ///
    /// # Errors
    /// When they are not aligned or not in the region.
    #[inline]
    pub fn words_at(&self, offset_bytes: usize, count: usize) -> Result<&[AtomicU64], Beyond> {
        let beyond = Beyond { offset_bytes, len_bytes: count.saturating_mul(WORD_BYTES) };
        self.check(offset_bytes, beyond.len_bytes)?;
        let first = offset_bytes / WORD_BYTES;
        self.words().get(first..first + count).filter(|_| offset_bytes % WORD_BYTES == 0).ok_or(beyond)
    }

    /// Copies bytes out. Bytes that another thread or process writes meanwhile arrive as a mixture of old and new:
    /// callers order reading after writing by an atomic word.
    ///
    /// # Errors
    /// When they are not in the region.
    #[inline]
    pub fn read_bytes(&self, offset_bytes: usize, target: &mut [u8]) -> Result<(), Beyond> {
        self.check(offset_bytes, target.len())?;
        // SAFETY: the source lies within the file's length (checked) and the mapping; the target is ours alone and cannot
        // overlap memory that is never handed out as a slice of bytes. A concurrent writer can make the bytes torn; any
        // byte is valid, and nothing is decided by them before an atomic word has said that they are complete.
        unsafe {
            std::ptr::copy_nonoverlapping(self.start.as_ptr().add(offset_bytes), target.as_mut_ptr(), target.len());
        }
        Ok(())
    }

    /// Bytes to be copied to somewhere else.
    ///
    /// # Errors
    /// When they are not in the region.
    #[inline]
    pub fn source(&self, offset_bytes: usize, len_bytes: usize) -> Result<Source<'_>, Beyond> {
        self.check(offset_bytes, len_bytes)?;
        // SAFETY: they lie within the file's length (checked) and the mapping, which outlives the borrow.
        Ok(unsafe { Source::new(self.start.as_ptr().add(offset_bytes), len_bytes) })
    }

    /// As [`Region::read_bytes`], to the end of a vector.
    ///
    /// # Errors
    /// When they are not in the region; nothing is appended then.
    pub fn append_bytes(&self, offset_bytes: usize, len_bytes: usize, target: &mut Vec<u8>) -> Result<(), Beyond> {
        let source = self.source(offset_bytes, len_bytes)?;
        target.reserve_exact(len_bytes);
        source.append_to(target);
        Ok(())
    }

    /// Copies bytes in; the counterpart of [`Region::read_bytes`].
    ///
    /// # Errors
    /// When they do not fit the region; nothing is written then.
    #[inline]
    pub fn write_bytes(&self, offset_bytes: usize, source: &[u8]) -> Result<(), Beyond> {
        self.write(offset_bytes, source.into())
    }

    /// As [`Region::write_bytes`], from bytes that may be changing.
    ///
    /// # Errors
    /// When they do not fit the region; nothing is written then.
    #[inline]
    pub fn write(&self, offset_bytes: usize, source: Source<'_>) -> Result<(), Beyond> {
        self.check(offset_bytes, source.len())?;
        // SAFETY: the target lies within the file's length (checked) and the mapping, which is never handed out as a
        // slice of bytes; a source that lies in it is a message's that is still held, and those have blocks of their own.
        // Torn bytes are the callers' business, as above.
        unsafe { source.copy_to(self.start.as_ptr().add(offset_bytes)) };
        Ok(())
    }

    /// As [`Region::write`], for places that have no memory yet: by a system call, which gets the memory for all of them
    /// at once, and not by one page fault after the other.
    ///
    /// # Errors
    /// When they do not fit the region; when there is no memory left, of which a fault would kill the process. Some may
    /// have been written then.
    pub fn write_cold(&self, offset_bytes: usize, source: Source<'_>) -> io::Result<()> {
        self.check(offset_bytes, source.len())?;
        let mut done = 0;
        // A descriptor that was closed behind our back may be somebody else's file by now.
        while done < source.len() {
            let (Ok(file), Ok(offset)) = (self.file.checked(), libc::off_t::try_from(offset_bytes + done)) else {
                break;
            };
            // SAFETY: the kernel only reads the rest of the source, which is readable.
            let written = unsafe {
                let rest = source.start().add(done).cast();
                libc::pwrite(file.as_raw_fd(), rest, source.len() - done, offset)
            };
            match (usize::try_from(written), io::Error::last_os_error()) {
                (Ok(count @ 1..), _) => done += count,
                (_, error) if error.kind() == io::ErrorKind::Interrupted => {}
                (_, error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::OutOfMemory) => {
                    return Err(error);
                }
                _ => break,
            }
        }
        if done < source.len() {
            self.write(offset_bytes, source)?;
        }
        Ok(())
    }

    /// Gives the memory of all whole pages in this range back to the system; they read as zeros afterwards.
    ///
    /// # Errors
    /// When the range is not in the region, or what the kernel says.
    pub fn punch(&self, offset_bytes: usize, len_bytes: usize) -> io::Result<()> {
        self.check(offset_bytes, len_bytes).map_err(|beyond| io::Error::new(io::ErrorKind::InvalidInput, beyond))?;
        let page_bytes = page_bytes();
        let first = offset_bytes.next_multiple_of(page_bytes);
        let end = (offset_bytes + len_bytes) / page_bytes * page_bytes;
        if first < end {
            // SAFETY: the pages lie within our shared mapping (checked); they become zeros, which is a valid content for
            // atomics and bytes, and for all who share them.
            let removed =
                unsafe { rustix::mm::madvise(self.start.as_ptr().add(first).cast(), end - first, Advice::LinuxRemove) };
            if removed.is_err() {
                // A program that locks its memory is not let through the mapping.
                let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                rustix::fs::fallocate(self.file.checked()?, mode, first as u64, (end - first) as u64)?;
            }
        }
        Ok(())
    }

    #[inline]
    fn check(&self, offset_bytes: usize, len_bytes: usize) -> Result<(), Beyond> {
        let beyond = Beyond { offset_bytes, len_bytes };
        let end = offset_bytes.checked_add(len_bytes).ok_or(beyond)?;
        if end <= self.known_bytes.load(Ordering::Relaxed) { Ok(()) } else { self.check_again(end, beyond) }
    }

    /// Another process may have made it longer.
    #[cold]
    fn check_again(&self, end: usize, beyond: Beyond) -> Result<(), Beyond> {
        if end <= self.refresh().unwrap_or(0) { Ok(()) } else { Err(beyond) }
    }

    fn refresh(&self) -> io::Result<usize> {
        let len_bytes = self.len_bytes()?.min(self.capacity_bytes);
        self.known_bytes.fetch_max(len_bytes, Ordering::Relaxed);
        Ok(len_bytes)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the address and length are those of the mapping made in `attach`, and no reference outlives `self`.
        let _result = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.capacity_bytes) };
    }
}

/// The machine's page, which may be larger than [`PAGE_BYTES`].
fn page_bytes() -> usize {
    // SAFETY: only asks for a number.
    let answer = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(answer).unwrap_or(PAGE_BYTES).max(PAGE_BYTES)
}

fn in_pages(len_bytes: usize) -> io::Result<usize> {
    len_bytes
        .checked_next_multiple_of(PAGE_BYTES)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the length of a region is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: usize = 1 << 30;

    #[test]
    fn what_lies_beyond_the_file_is_an_error_until_somebody_makes_it_grow() {
        let region = Region::create("test", 64 * GIB, 1).unwrap();
        let other = Region::attach(region.descriptor().try_clone_to_owned().unwrap(), 64 * GIB).unwrap();
        assert_eq!(region.words().len(), 512);
        assert!(other.words_at(PAGE_BYTES, 1).is_err());
        assert!(other.write_bytes(PAGE_BYTES - 1, b"ab").is_err());
        assert!(other.read_bytes(usize::MAX, &mut [0; 2]).is_err());
        region.grow(32 * GIB).unwrap();
        other.write_bytes(PAGE_BYTES - 1, b"ab").unwrap();
        other.words_at(16 * GIB, 1).unwrap()[0].store(7, Ordering::Relaxed);
        let mut bytes = [0; 2];
        region.read_bytes(PAGE_BYTES - 1, &mut bytes).unwrap();
        assert_eq!(&bytes, b"ab");
        assert_eq!(region.words_at(16 * GIB, 1).unwrap()[0].load(Ordering::Relaxed), 7);
        assert!(region.words_at(3, 1).is_err());
        assert!(region.resident_bytes().unwrap() <= 3 * PAGE_BYTES);
        assert!(region.grow(65 * GIB).is_err_and(|error| error.kind() == io::ErrorKind::StorageFull));
    }

    #[test]
    fn memory_goes_back_and_what_lies_beside_it_stays() {
        let region = Region::create("test", GIB, 1 << 20).unwrap();
        region.write_bytes(0, &vec![1; 1 << 20]).unwrap();
        region.punch(1, (1 << 20) - 2).unwrap();
        assert_eq!(region.resident_bytes().unwrap(), 2 * PAGE_BYTES);
        region.write_cold(PAGE_BYTES + 5, Source::from(&[2; 3][..])).unwrap();
        let mut written = [0; 5];
        region.read_bytes(PAGE_BYTES + 4, &mut written).unwrap();
        assert_eq!(written, [0, 2, 2, 2, 0]);
        assert!(region.write_cold((1 << 20) - 1, Source::from(&[2; 3][..])).is_err());
        region.write_cold(PAGE_BYTES + 5, Source::from(&[0; 3][..])).unwrap();
        let mut all = Vec::new();
        region.append_bytes(0, 1 << 20, &mut all).unwrap();
        let (first, last) = ([1; PAGE_BYTES], [1; PAGE_BYTES]);
        assert!(all.starts_with(&first) && all.ends_with(&last));
        assert!(all[PAGE_BYTES..(1 << 20) - PAGE_BYTES].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn nobody_can_shrink_it_and_only_regions_are_attached_to() {
        let region = Region::create("test", GIB, PAGE_BYTES).unwrap();
        assert_eq!(rustix::fs::ftruncate(region.descriptor(), 0), Err(Errno::PERM));
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        assert!(Region::attach(file.into(), GIB).is_err_and(|error| error.kind() == io::ErrorKind::InvalidData));
        let number = region.descriptor().as_raw_fd();
        let again = Region::reopen(std::process::id(), number, GIB).unwrap();
        again.words()[0].store(9, Ordering::Relaxed);
        assert_eq!(region.words()[0].load(Ordering::Relaxed), 9);
        assert!(Region::reopen(std::process::id(), 9999, GIB).is_err());
    }
}
