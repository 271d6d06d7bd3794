//! Processes watched for their end, and descriptors that become readable: `pidfd_open` and `poll`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// What the kernel is asked of a process, `PIDFD_GET_INFO`: sixteen words with a length that the request names.
const GET_INFO: libc::Ioctl = 0xc040_ff0b_u32 as libc::Ioctl;
const INFO_WORDS: usize = 16;
/// In the first word, asked for and answered: how it ended, which is the last word.
const INFO_EXIT: u32 = 1 << 3;

/// A process, also one that is no child, that becomes readable when it ends.
#[derive(Debug)]
pub struct Watch(OwnedFd);

impl Watch {
    /// Watches the process that has this number now.
    ///
    /// # Errors
    /// `ESRCH` if there is none, any more.
    pub fn of(pid: u32) -> io::Result<Self> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self(pidfd_open(pid, PidfdFlags::empty())?))
    }

    /// How a process ended that somebody has waited for already: its wait status. `None` before that, and where the kernel does
    /// not keep it: before Linux 6.15.
    pub fn status_after_wait(&self) -> Option<i32> {
        let mut info = [0_u32; INFO_WORDS];
        info[0] = INFO_EXIT;
        // SAFETY: the descriptor is open, and the kernel writes at most as many bytes as the request's number says, which the
        // array has.
        let answer = unsafe { libc::ioctl(self.0.as_raw_fd(), GET_INFO, info.as_mut_ptr()) };
        (answer == 0 && info[0] & INFO_EXIT != 0).then(|| i32::from_ne_bytes(info[INFO_WORDS - 1].to_ne_bytes()))
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Waits until one of `descriptors` is readable or closed at its other end, or `limit` is over, or a signal arrives; says for
/// each whether it is.
///
/// # Blocking
/// Up to `limit`; `None` is for ever.
///
/// # Errors
/// What the system says; a signal is no error.
pub fn wait_readable(descriptors: &[BorrowedFd<'_>], limit: Option<Duration>) -> io::Result<Vec<bool>> {
    let mut polled: Vec<PollFd<'_>> =
        descriptors.iter().map(|descriptor| PollFd::from_borrowed_fd(*descriptor, PollFlags::IN)).collect();
    let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
    match poll(&mut polled, limit.as_ref()) {
        Ok(_count) => Ok(polled.iter().map(|polled| !polled.revents().is_empty()).collect()),
        Err(rustix::io::Errno::INTR) => Ok(vec![false; descriptors.len()]),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_it_ended_can_be_asked_after_somebody_has_waited_for_it() {
        let mut child = std::process::Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
        let watch = Watch::of(child.id()).unwrap();
        assert_eq!(watch.status_after_wait(), None);
        child.wait().unwrap();
        assert!(matches!(watch.status_after_wait(), None | Some(0x700)));
    }
}
