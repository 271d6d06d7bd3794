//! Byte streams behind descriptors: moves what can be moved at once, and sleeps until something can.

use std::ffi::c_int;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, RawFd};
use std::ptr;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ReadWriteFlags};

use crate::clock::Instant;

/// The kernel takes it for the place where the stream is.
const WHERE_IT_IS: u64 = u64::MAX;
/// Neither waiting nor a signal when nobody receives.
const NO_WAIT: c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// What came of an attempt to move bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Attempt<T> {
    /// It was made.
    Made(T),
    /// It would have to wait, or a signal came first.
    WouldWait,
    /// The kernel cannot try on this descriptor: only a call that may wait can tell.
    CannotTry,
}

/// What to be ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// There is something to read, or nothing will ever come.
    Read,
    /// There is room, or nobody reads any more.
    Write,
}

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// The descriptor is ready.
    Ready,
    /// The deadline passed.
    TimedOut,
    /// A signal handler ran on this thread.
    Interrupted,
}

/// Whether a call may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// It moves what it can at once, although the descriptor itself would make it wait.
    Try,
    /// It waits until it can move something, or a signal comes.
    Wait,
}

/// Memory that is being filled from a stream.
#[derive(Debug)]
pub struct Room<'a> {
    memory: &'a mut [MaybeUninit<u8>],
    filled_bytes: usize,
}

impl<'a> Room<'a> {
    /// With nothing in it.
    pub fn new(memory: &'a mut [MaybeUninit<u8>]) -> Self {
        Self { memory, filled_bytes: 0 }
    }

    /// What was read.
    pub fn bytes(&self) -> &[u8] {
        let filled = ptr::from_ref(&self.memory[..self.filled_bytes]);
        // SAFETY: the kernel has written these; an initialised `MaybeUninit<u8>` is a `u8`.
        unsafe { &*(filled as *const [u8]) }
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.filled_bytes == 0
    }

    /// Whether there is no room left.
    pub fn is_full(&self) -> bool {
        self.filled_bytes == self.memory.len()
    }

    /// Reads behind what is there; how many bytes, which is 0 at the end of the stream.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn read(&mut self, descriptor: RawFd, patience: Patience) -> io::Result<Attempt<usize>> {
        let rest = &mut self.memory[self.filled_bytes..];
        let part = libc::iovec { iov_base: rest.as_mut_ptr().cast(), iov_len: rest.len() };
        let moved = match patience {
            // SAFETY: `part` describes `rest`, which is ours to write during the call; one part is given and announced.
            // A number that is no open descriptor is an error of the call.
            Patience::Try => unsafe { libc::preadv2(descriptor, &raw const part, 1, -1, libc::RWF_NOWAIT) },
            // SAFETY: as above.
            Patience::Wait => unsafe { libc::readv(descriptor, &raw const part, 1) },
        };
        let outcome = attempt(usize::try_from(moved).map_err(|_negative| last_error()))?;
        if let Attempt::Made(count) = outcome {
            self.filled_bytes += count;
        }
        Ok(outcome)
    }
}

impl Room<'_> {
    /// The memory behind what is there, for somebody else to write to.
    pub fn rest(&mut self) -> &mut [MaybeUninit<u8>] {
        &mut self.memory[self.filled_bytes..]
    }

    /// Notes that somebody else has written behind what is there.
    ///
    /// # Safety
    /// The first `count` bytes of [`Self::rest`] were written.
    pub unsafe fn note_filled(&mut self, count: usize) {
        self.filled_bytes = self.filled_bytes.saturating_add(count).min(self.memory.len());
    }
}

impl Room<'_> {
    /// Receives from a socket that does not wait, behind what is there; how many bytes, which is 0 when the other end has
    /// said that nothing more comes.
    ///
    /// # Errors
    /// What the kernel says, also that the descriptor is no socket.
    pub fn receive(&mut self, descriptor: RawFd) -> io::Result<Attempt<usize>> {
        let rest = &mut self.memory[self.filled_bytes..];
        // SAFETY: the pointer and the length are those of `rest`, which is ours to write during the call. A number that is
        // no open descriptor is an error of the call.
        let moved = unsafe { libc::recv(descriptor, rest.as_mut_ptr().cast(), rest.len(), libc::MSG_DONTWAIT) };
        let outcome = attempt(usize::try_from(moved).map_err(|_negative| last_error()))?;
        if let Attempt::Made(count) = outcome {
            self.filled_bytes += count;
        }
        Ok(outcome)
    }
}

/// Sends bytes through a connected socket, without waiting; how many were taken.
///
/// # Errors
/// What the kernel says: `EPIPE` when nobody can receive them any more, without a signal.
pub fn send(descriptor: RawFd, bytes: &[u8]) -> io::Result<Attempt<usize>> {
    // SAFETY: the pointer and the length are those of `bytes`, which the kernel reads during the call. A number that is no
    // open descriptor is an error of the call.
    let moved = unsafe { libc::send(descriptor, bytes.as_ptr().cast(), bytes.len(), NO_WAIT) };
    attempt(usize::try_from(moved).map_err(|_negative| last_error()))
}

/// Sends parts one behind the other through a connected socket, without waiting; how many bytes were taken.
///
/// # Errors
/// As [`send`].
pub fn send_parts(descriptor: RawFd, parts: &[IoSlice<'_>]) -> io::Result<Attempt<usize>> {
    // SAFETY: all zeros are a message without a name, parts and control data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = parts.as_ptr().cast_mut().cast();
    message.msg_iovlen = parts.len() as _;
    // SAFETY: an `IoSlice` has the layout of an `iovec`; the parts live during the call, and the kernel only reads them.
    let moved = unsafe { libc::sendmsg(descriptor, &raw const message, NO_WAIT) };
    attempt(usize::try_from(moved).map_err(|_negative| last_error()))
}

/// Writes parts one behind the other, as one; returns how many bytes were written.
///
/// # Errors
/// What the kernel says.
pub fn write(descriptor: RawFd, parts: &[IoSlice<'_>], patience: Patience) -> io::Result<Attempt<usize>> {
    let descriptor = borrow(descriptor)?;
    attempt(match patience {
        Patience::Try => rustix::io::pwritev2(descriptor, parts, WHERE_IT_IS, ReadWriteFlags::NOWAIT),
        Patience::Wait => rustix::io::writev(descriptor, parts),
    })
}

/// Sleeps until a descriptor is ready, a signal comes, or `deadline`.
///
/// # Blocking
/// For ever, when `deadline` is `None` and nothing happens at the other end.
///
/// # Errors
/// What the kernel says, also when there is no such descriptor.
pub fn wait(descriptor: RawFd, direction: Direction, deadline: Option<Instant>) -> io::Result<Readiness> {
    let wanted = match direction {
        Direction::Read => PollFlags::IN,
        Direction::Write => PollFlags::OUT,
    };
    // More than the kernel can count is for ever.
    let timeout = deadline.and_then(|deadline| Timespec::try_from(deadline.since(Instant::now())).ok());
    let mut descriptors = [PollFd::from_borrowed_fd(borrow(descriptor)?, wanted)];
    match poll(&mut descriptors, timeout.as_ref()) {
        Ok(0) => Ok(Readiness::TimedOut),
        Ok(_) if descriptors[0].revents().contains(PollFlags::NVAL) => Err(Errno::BADF.into()),
        Ok(_) => Ok(Readiness::Ready),
        Err(Errno::INTR) => Ok(Readiness::Interrupted),
        Err(error) => Err(error.into()),
    }
}

fn attempt<T>(result: rustix::io::Result<T>) -> io::Result<Attempt<T>> {
    match result {
        Ok(moved) => Ok(Attempt::Made(moved)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(Attempt::WouldWait),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(Attempt::CannotTry),
        Err(error) => Err(error.into()),
    }
}

fn last_error() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}

fn borrow<'a>(descriptor: RawFd) -> io::Result<BorrowedFd<'a>> {
    const NONE: c_int = -1;
    if descriptor == NONE {
        return Err(Errno::BADF.into());
    }
    // SAFETY: it is not -1. It is given to one system call only, which says so if it is not open; keeping it open for as
    // long as it is used is the caller's business, as it is with every function that takes a number.
    Ok(unsafe { BorrowedFd::borrow_raw(descriptor) })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;

    #[test]
    fn parts_arrive_as_one() {
        let (mut here, there) = UnixStream::pair().unwrap();
        let parts = [IoSlice::new(b"ab"), IoSlice::new(b"cde")];
        assert_eq!(write(there.as_raw_fd(), &parts, Patience::Wait).unwrap(), Attempt::Made(5));
        let mut text = [0; 5];
        here.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"abcde");
    }

    #[test]
    fn room_is_filled_piece_after_piece() {
        let (mut here, there) = UnixStream::pair().unwrap();
        let mut memory = [MaybeUninit::uninit(); 5];
        let mut room = Room::new(&mut memory);
        for (piece, count) in [(&b"abc"[..], 3), (b"def", 2)] {
            here.write_all(piece).unwrap();
            assert_eq!(room.read(there.as_raw_fd(), Patience::Wait).unwrap(), Attempt::Made(count));
        }
        assert!(room.is_full());
        assert_eq!(room.bytes(), b"abcde");
    }

    #[test]
    fn an_empty_stream_never_makes_an_attempt_wait() {
        let (_here, there) = UnixStream::pair().unwrap();
        let mut memory = [MaybeUninit::uninit(); 8];
        let outcome = Room::new(&mut memory).read(there.as_raw_fd(), Patience::Try).unwrap();
        assert!(matches!(outcome, Attempt::WouldWait | Attempt::CannotTry), "{outcome:?}");
        let soon = Instant::now().after(Duration::from_millis(1));
        assert_eq!(wait(there.as_raw_fd(), Direction::Read, Some(soon)).unwrap(), Readiness::TimedOut);
        assert_eq!(wait(there.as_raw_fd(), Direction::Write, None).unwrap(), Readiness::Ready);
    }

    #[test]
    fn the_end_of_a_stream_is_ready_and_empty() {
        let (here, there) = UnixStream::pair().unwrap();
        drop(here);
        assert_eq!(wait(there.as_raw_fd(), Direction::Read, None).unwrap(), Readiness::Ready);
        let mut memory = [MaybeUninit::uninit(); 8];
        let mut room = Room::new(&mut memory);
        assert_eq!(room.read(there.as_raw_fd(), Patience::Wait).unwrap(), Attempt::Made(0));
        assert!(room.is_empty());
    }

    #[test]
    fn a_socket_takes_what_fits_and_tells_when_nobody_receives() {
        let (here, there) = UnixStream::pair().unwrap();
        let (near, far) = (here.as_raw_fd(), there.as_raw_fd());
        assert_eq!(send(near, b"abc").unwrap(), Attempt::Made(3));
        assert_eq!(send_parts(near, &[IoSlice::new(b"de"), IoSlice::new(b"f")]).unwrap(), Attempt::Made(3));
        let mut memory = [MaybeUninit::uninit(); 8];
        let mut room = Room::new(&mut memory);
        assert_eq!(room.receive(far).unwrap(), Attempt::Made(6));
        assert_eq!(room.bytes(), b"abcdef");
        assert_eq!(room.receive(far).unwrap(), Attempt::WouldWait);
        let much = vec![0; 1 << 20];
        while send(near, &much).unwrap() != Attempt::WouldWait {}
        drop(there);
        assert_eq!(send(near, b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn what_is_no_descriptor_is_an_error() {
        for number in [-1, 1_000_000_000] {
            assert!(Room::new(&mut [MaybeUninit::uninit()]).read(number, Patience::Try).is_err());
            assert!(write(number, &[IoSlice::new(b"x")], Patience::Try).is_err());
            assert!(wait(number, Direction::Read, Some(Instant::now())).is_err());
        }
    }
}
