//! A pipe as a doorbell: a byte in it says that there is something to look at.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::pipe::PipeFlags;

use crate::descriptor::{Descriptor, duplicate};

const WHAT: &str = "a doorbell";

/// Both ends of a doorbell, in the process that is to be woken.
#[derive(Debug)]
pub struct Doorbell {
    read_end: Descriptor,
    write_end: Descriptor,
}

impl Doorbell {
    /// A new doorbell, which no program inherits that is executed.
    ///
    /// # Errors
    /// What the kernel says: no descriptors left.
    pub fn create() -> io::Result<Self> {
        let (read_end, write_end) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Self { read_end: Descriptor::new(read_end, WHAT)?, write_end: Descriptor::new(write_end, WHAT)? })
    }

    /// What becomes readable when it is rung: for `poll` and the like.
    pub fn read_descriptor(&self) -> BorrowedFd<'_> {
        self.read_end.unchecked()
    }

    /// What other processes ring: to be handed to them, for [`DoorbellRinger::attach`].
    pub fn write_descriptor(&self) -> BorrowedFd<'_> {
        self.write_end.unchecked()
    }

    /// Takes out all rings; says whether there were any. To be called before the look at what may be there.
    ///
    /// # Errors
    /// When the program has closed the descriptor.
    pub fn drain(&self) -> io::Result<bool> {
        let file = self.read_end.checked()?;
        let mut bytes = [0; 1024];
        let mut was_rung = false;
        loop {
            match rustix::io::read(file, &mut bytes) {
                Ok(count) if count == bytes.len() => was_rung = true,
                Ok(count) => return Ok(was_rung || count > 0),
                Err(Errno::AGAIN) => return Ok(was_rung),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// What rings a doorbell of another process.
#[derive(Debug)]
pub struct DoorbellRinger(Descriptor);

impl DoorbellRinger {
    /// For the doorbell that this process has as descriptor `number`, which stays as it is.
    ///
    /// # Errors
    /// When there is no such descriptor.
    pub fn attach(number: i32) -> io::Result<Self> {
        Self::new(duplicate(number)?)
    }

    /// For the doorbell behind this descriptor.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn new(write_end: OwnedFd) -> io::Result<Self> {
        Ok(Self(Descriptor::new(write_end, WHAT)?))
    }

    /// Rings. A doorbell that is full of rings has been rung.
    ///
    /// A process that has asked to be ended by `SIGPIPE` is, if nobody can hear the bell any more.
    ///
    /// # Errors
    /// When the program has closed the descriptor, or nobody can hear it any more (`BrokenPipe`).
    pub fn ring(&self) -> io::Result<()> {
        let file = self.0.checked()?;
        loop {
            match rustix::io::write(file.as_fd(), &[1]) {
                Ok(_) | Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    fn ringer(doorbell: &Doorbell) -> DoorbellRinger {
        DoorbellRinger::attach(doorbell.write_descriptor().as_raw_fd()).unwrap()
    }

    #[test]
    fn rings_are_heard_once_however_many_there_were() {
        let doorbell = Doorbell::create().unwrap();
        assert!(!doorbell.drain().unwrap());
        let ringer = ringer(&doorbell);
        (0..3000).for_each(|_| ringer.ring().unwrap());
        assert!(doorbell.drain().unwrap());
        assert!(!doorbell.drain().unwrap());
    }

    #[test]
    fn a_full_doorbell_has_been_rung() {
        let doorbell = Doorbell::create().unwrap();
        let ringer = ringer(&doorbell);
        (0..70_000).for_each(|_| ringer.ring().unwrap());
        assert!(doorbell.drain().unwrap());
        assert!(!doorbell.drain().unwrap());
    }

    #[test]
    fn a_file_that_took_the_bells_number_gets_no_byte() {
        let doorbell = Doorbell::create().unwrap();
        let ringer = ringer(&doorbell);
        let path = std::env::temp_dir().join(format!("threefold-doorbell-{}", std::process::id()));
        let file = std::fs::File::create(&path).unwrap();
        let number = ringer.0.unchecked().as_raw_fd();
        // SAFETY: numbers only; the program's own file takes the place of the bell, as the test wants.
        assert_eq!(unsafe { libc::dup2(file.as_raw_fd(), number) }, number);
        assert!(ringer.ring().is_err());
        assert_eq!(file.metadata().unwrap().len(), 0);
        drop(ringer);
        // SAFETY: made by `dup2` above, and not closed by the ringer, to which it does not belong.
        assert_eq!(unsafe { libc::close(number) }, 0);
        std::fs::remove_file(path).unwrap();
    }
}
