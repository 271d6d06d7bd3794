//! An eventfd: wakes a background thread from anywhere, a signal handler included.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use rustix::event::{EventfdFlags, eventfd};

/// A counter that can be raised from a signal handler and waited for by a thread.
#[derive(Debug)]
pub struct EventFd(OwnedFd);

impl EventFd {
    /// Opens one, close-on-exec.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC)?))
    }

    /// Adds one; wakes a thread in [`EventFd::wait`]. Async-signal-safe.
    pub fn raise(&self) {
        let _full_means_already_raised = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Waits until raised, and resets to zero.
    ///
    /// # Blocking
    /// For ever when nobody raises it. For background threads of our own only.
    ///
    /// # Errors
    /// When the descriptor was closed behind our back.
    pub fn wait(&self) -> io::Result<()> {
        let mut count = [0_u8; 8];
        loop {
            match rustix::io::read(&self.0, &mut count) {
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The descriptor's number, for a signal handler's static.
    #[must_use]
    pub fn number(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
