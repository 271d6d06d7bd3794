//! A descriptor that is used only while it still is the file for which it was opened.
//!
//! A program that turns itself into a daemon closes all descriptors that it does not know, and its next file gets the
//! number of one of ours. Nothing of ours may be written to that file, and closing it is not our business.

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};

use rustix::fs::Stat;

/// A descriptor of our own, recognised by device and inode.
#[derive(Debug)]
pub struct Descriptor {
    file: ManuallyDrop<OwnedFd>,
    identity: (u64, u64),
    /// What it is, for the message that it is no more.
    what: &'static str,
}

impl Descriptor {
    /// Keeps `file`, which is `what` ("a shared memory region").
    ///
    /// # Errors
    /// What the kernel says.
    pub fn new(file: OwnedFd, what: &'static str) -> io::Result<Self> {
        let status = rustix::fs::fstat(&file)?;
        Ok(Self { file: ManuallyDrop::new(file), identity: (status.st_dev, status.st_ino), what })
    }

    /// The file, without a look whether it still is ours.
    pub fn unchecked(&self) -> BorrowedFd<'_> {
        use std::os::fd::AsFd;
        self.file.as_fd()
    }

    /// The file, if it still is ours.
    ///
    /// # Errors
    /// When the program has closed the descriptor.
    pub fn checked(&self) -> io::Result<BorrowedFd<'_>> {
        self.status().map(|_ours| self.unchecked())
    }

    /// What the kernel says of the file, if it still is ours.
    ///
    /// # Errors
    /// When the program has closed the descriptor.
    pub fn status(&self) -> io::Result<Stat> {
        match rustix::fs::fstat(&*self.file) {
            Ok(status) if (status.st_dev, status.st_ino) == self.identity => Ok(status),
            _ => Err(io::Error::other(format!("the program has closed the descriptor of {}", self.what))),
        }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        if self.status().is_ok() {
            // SAFETY: dropped once, here; nothing uses it afterwards. (Else the number belongs to somebody else by now.)
            unsafe { ManuallyDrop::drop(&mut self.file) };
        }
    }
}

/// Another descriptor for what this process has as descriptor `number`, which stays as it is.
///
/// # Errors
/// When there is no such descriptor, or no more are to be had.
pub fn duplicate(number: i32) -> io::Result<OwnedFd> {
    const LEAST_NUMBER: libc::c_int = 3;
    // SAFETY: takes numbers only; a number that is no descriptor is an error of the call.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, LEAST_NUMBER) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made it for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::{AsRawFd, IntoRawFd};

    use super::*;

    #[test]
    fn what_has_our_number_but_is_another_file_is_not_used_and_not_closed() {
        let ours = Descriptor::new(File::open("/dev/null").unwrap().into(), "a test").unwrap();
        assert!(ours.checked().is_ok());
        let number = ours.unchecked().as_raw_fd();
        let other = File::open("/proc/self/stat").unwrap().into_raw_fd();
        // SAFETY: numbers only; the program's other file takes the place of ours, as the test wants.
        assert_eq!(unsafe { libc::dup2(other, number) }, number);
        let error = ours.checked().unwrap_err();
        assert!(error.to_string().contains("closed the descriptor of a test"), "{error}");
        drop(ours);
        assert!(duplicate(number).is_ok(), "it belongs to the program and stays open");
        for number in [number, other] {
            // SAFETY: both are this test's own, made above, and closed once.
            drop(unsafe { OwnedFd::from_raw_fd(number) });
        }
        assert!(duplicate(-1).is_err());
    }
}
