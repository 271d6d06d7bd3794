//! Who holds or waits: a thread, or a task on a thread, in one word that fits into a lock.

use threefold_sys::slot;

const SLOT_BITS: u32 = 20;
const SLOT_MASK: u64 = (1 << SLOT_BITS) - 1;
const TASK_MASK: u64 = (1 << 43) - 1;

/// Lock words use the top bit for themselves; files use it for [`STAYED_BEHIND`].
const OWNER_MASK: u64 = !(1 << 63);

/// In a row's holder word: the holder is a thread that stayed in the parent process at `fork`.
pub(crate) const STAYED_BEHIND: u64 = 1 << 63;

/// A thread (low 20 bits: its slot) or a task on it (next 43 bits: the task's address without its 4 lowest bits), or
/// another process (slot 0, its number in the next bits); 0 = nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner(pub u64);

impl Owner {
    /// No one.
    pub const NOBODY: Self = Self(0);

    /// The calling thread.
    #[inline]
    pub fn thread() -> Self {
        Self(u64::from(slot::current()))
    }

    /// The thread with this slot.
    pub const fn of_slot(slot: u32) -> Self {
        Self(slot as u64)
    }

    /// Another process.
    pub const fn process(pid: u32) -> Self {
        Self((pid as u64) << SLOT_BITS)
    }

    /// The process, if it is another one.
    pub const fn pid(self) -> Option<u32> {
        let rest = (self.0 & OWNER_MASK) >> SLOT_BITS;
        // No thread has slot 0.
        if self.slot() == 0 && rest != 0 { Some((rest & 0xffff_ffff) as u32) } else { None }
    }

    /// The task at `address`, run by the calling thread.
    #[inline]
    pub fn task(address: usize) -> Self {
        Self::task_of(slot::current(), address)
    }

    /// The task at `address`, run by the thread with this slot.
    pub fn task_of(slot: u32, address: usize) -> Self {
        Self(u64::from(slot) & SLOT_MASK | (((address as u64) >> 4) & TASK_MASK) << SLOT_BITS)
    }

    /// The slot of the thread, or of the thread that runs the task.
    pub const fn slot(self) -> u32 {
        (self.0 & SLOT_MASK) as u32
    }

    /// The task's address; 0 for a thread itself.
    pub fn task_address(self) -> usize {
        usize::try_from(((self.0 & OWNER_MASK) >> SLOT_BITS) << 4).unwrap_or(0)
    }

    /// The thread that runs this task, or the thread itself.
    #[must_use]
    pub const fn its_thread(self) -> Self {
        Self(self.0 & SLOT_MASK)
    }

    /// Whether this is nobody; the bit that lock words use does not count.
    pub const fn is_nobody(self) -> bool {
        self.0 & OWNER_MASK == 0
    }

    /// Whether the thread stayed behind in a parent process at `fork`.
    pub fn is_dead(self) -> bool {
        slot::is_dead(self.slot())
    }

    /// Without the bit that lock words use.
    pub(crate) const fn masked(self) -> Self {
        Self(self.0 & OWNER_MASK)
    }

    /// As a row's holder word.
    pub(crate) fn as_holder_word(self) -> u64 {
        let owner = self.masked();
        if !owner.is_nobody() && owner.is_dead() { owner.0 | STAYED_BEHIND } else { owner.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_keeps_its_thread_and_its_address() {
        let owner = Owner::task(0x7fff_dead_bee0);
        assert_eq!(owner.slot(), Owner::thread().slot());
        assert_eq!(owner.task_address(), 0x7fff_dead_bee0);
        assert_eq!(owner.its_thread(), Owner::thread());
        assert!(!owner.is_dead());
    }

    #[test]
    fn another_process_is_told_from_threads_and_tasks() {
        let other = Owner::process(4_194_303);
        assert_eq!((other.pid(), other.is_nobody(), other.its_thread()), (Some(4_194_303), false, Owner::NOBODY));
        assert_eq!(
            (Owner::thread().pid(), Owner::task(0x7fff_dead_bee0).pid(), Owner::NOBODY.pid()),
            (None, None, None)
        );
    }

    #[test]
    fn the_lock_word_bit_is_not_part_of_an_owner() {
        let held = Owner(Owner::thread().0 | 1 << 63);
        assert_eq!(held.masked(), Owner::thread());
        assert_eq!(held.task_address(), 0);
        assert!(Owner(1 << 63).is_nobody());
    }
}
