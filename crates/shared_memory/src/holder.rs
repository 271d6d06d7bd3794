//! Who holds something, in one word of shared memory, so that others can see whether the holder still lives.

use std::cell::Cell;
use std::fmt;

use threefold_sys::fork;
use threefold_sys::process::{self, Life};

/// A thread of a process, told from all earlier ones of the same numbers; or nobody.
///
/// | bits | |
/// |---|---|
/// | 0 | for lock words, no part of the holder |
/// | 1 to 22 | the kernel's number of the thread |
/// | 23 to 31 | the low 9 bits of the process's start time |
/// | 32 to 53 | the process's number |
/// | 54 to 63 | the next 10 bits of the start time |
///
/// The thread and the flag are in the half on which a futex can sleep. Numbers have 22 bits at most on Linux. A start
/// time is in clock ticks: a process with the same number that began a multiple of 87 minutes later, to the hundredth of
/// a second, would be taken for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Holder(u64);

const NUMBER_MASK: u64 = (1 << 22) - 1;
const LOW_START_MASK: u64 = (1 << 9) - 1;
const HIGH_START_MASK: u64 = (1 << 10) - 1;

thread_local! {
    /// What this thread is, and the fork generation in which it was found out.
    static CURRENT: Cell<(u64, u32)> = const { Cell::new((0, 0)) };
}

impl Holder {
    /// No one.
    pub const NOBODY: Self = Self(0);

    /// The bit of a lock word that is no part of the holder.
    pub const FLAG: u64 = 1;

    /// The calling thread.
    #[inline]
    pub fn current() -> Self {
        let (known, generation) = CURRENT.get();
        if generation == fork::generation() && known != 0 { Self(known) } else { Self::find_current() }
    }

    #[cold]
    fn find_current() -> Self {
        let (pid, start_time) = process::own();
        let current = Self::new(pid, process::thread_id(), start_time.into());
        CURRENT.set((current.0, fork::generation()));
        current
    }

    const fn new(pid: u32, thread_id: u32, start_time: u64) -> Self {
        let low = (thread_id as u64 & NUMBER_MASK) << 1 | (start_time & LOW_START_MASK) << 23;
        let high = (pid as u64 & NUMBER_MASK) << 32 | (start_time >> 9 & HIGH_START_MASK) << 54;
        Self(low | high)
    }

    /// From a word of shared memory; the flag is dropped.
    #[inline]
    pub const fn from_word(word: u64) -> Self {
        Self(word & !Self::FLAG)
    }

    /// As a word of shared memory, without the flag.
    #[inline]
    pub const fn word(self) -> u64 {
        self.0
    }

    /// Whether this is nobody.
    #[inline]
    pub const fn is_nobody(self) -> bool {
        self.0 == 0
    }

    /// The process's number; 0 for nobody.
    #[inline]
    pub const fn pid(self) -> u32 {
        (self.0 >> 32 & NUMBER_MASK) as u32
    }

    /// The kernel's number of the thread; 0 for nobody.
    #[inline]
    pub const fn thread_id(self) -> u32 {
        (self.0 >> 1 & NUMBER_MASK) as u32
    }

    /// Whether both are threads of one process, which runs or ran.
    #[inline]
    pub const fn is_of_process_of(self, other: Self) -> bool {
        self.process_bits() == other.process_bits()
    }

    const fn process_bits(self) -> u64 {
        self.0 & !(NUMBER_MASK << 1)
    }

    /// Whether the holder's process still runs (a stopped one does, a zombie does not); `false` for nobody.
    ///
    /// Free for the own process; else a few system calls, for those who have waited a while.
    pub fn is_alive(self) -> bool {
        if self.is_nobody() {
            return false;
        }
        if self.is_of_process_of(Self::current()) {
            return true;
        }
        match process::life(self.pid()) {
            Life::Gone => false,
            Life::Unknown => true,
            Life::Runs { start_time } => self.process_bits() == Self::new(self.pid(), 0, start_time).process_bits(),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_nobody() {
            formatter.write_str("nobody")
        } else {
            write!(formatter, "thread {} of process {}", self.thread_id(), self.pid())
        }
    }
}

#[cfg(test)]
impl Holder {
    /// Some holder, for tests.
    pub(crate) const fn test(pid: u32, thread_id: u32, start_time: u64) -> Self {
        Self::new(pid, thread_id, start_time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_keeps_its_numbers_and_leaves_the_flag_alone() {
        let holder = Holder::new(4_194_303, 4_194_302, u64::MAX);
        assert_eq!((holder.pid(), holder.thread_id()), (4_194_303, 4_194_302));
        assert_eq!(holder.word() & Holder::FLAG, 0);
        assert_eq!(Holder::from_word(holder.word() | Holder::FLAG), holder);
    }

    #[test]
    fn the_living_are_alive_and_nobody_and_those_of_another_time_are_not() {
        let own = Holder::current();
        assert!(own.is_alive());
        assert!(!Holder::NOBODY.is_alive());
        let parent = std::os::unix::process::parent_id();
        let Life::Runs { start_time } = process::life(parent) else { panic!("the parent runs") };
        assert!(Holder::new(parent, parent, start_time).is_alive());
        assert!(!Holder::new(parent, parent, start_time + 1).is_alive());
        assert!(!Holder::new(4_194_303, 1, 5).is_alive());
    }

    #[test]
    fn another_thread_is_another_holder_of_the_same_process() {
        let there = std::thread::spawn(Holder::current).join().unwrap();
        assert_ne!(there, Holder::current());
        assert!(there.is_of_process_of(Holder::current()));
        assert!(there.is_alive());
    }
}
