//! The names of threads and the kernel's numbers for them, so that a holder that never waited can be told.
//!
//! They are kept in this process too: a table made later, or in a forked child, begins with all of them.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use threefold_sys::{fork, slot};

use crate::layout::{THREADS, thread};
use crate::owner::Owner;
use crate::table::{self, Table};
use crate::text::Text;

const COUNT: usize = THREADS.capacity as usize;

/// For each slot the bits of its name.
static NAMES: [AtomicU64; COUNT] = [const { AtomicU64::new(0) }; COUNT];
/// For each slot the kernel's number of the thread.
static KERNEL_IDS: [AtomicU32; COUNT] = [const { AtomicU32::new(0) }; COUNT];
/// One more than the highest slot in the two lists.
static KNOWN_COUNT: AtomicU32 = AtomicU32::new(0);

/// What this thread knows of its own row.
struct Own {
    /// Fork generation plus one in which it was written; 0 = never.
    generation: Cell<u32>,
    slot: Cell<u32>,
    kernel_id: Cell<u32>,
    name: Cell<u64>,
}

impl Drop for Own {
    /// The slot goes to another thread after this one ends, the name must not.
    fn drop(&mut self) {
        let number = self.slot.get() as usize;
        if self.generation.get() == 0 || number >= COUNT {
            return;
        }
        let own = self.kernel_id.get();
        // The next thread may already have taken the slot and the row: then it is no longer ours.
        if KERNEL_IDS[number].compare_exchange(own, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            NAMES[number].store(0, Ordering::Relaxed);
            if let Some(Ok(table)) = table::existing() {
                publish(table, number);
            }
        }
    }
}

thread_local! {
    static OWN: Own = const {
        Own { generation: Cell::new(0), slot: Cell::new(0), kernel_id: Cell::new(0), name: Cell::new(0) }
    };
}

/// Gives the calling thread its row, once; again when it has got a name or is the survivor of a fork.
#[inline]
pub(crate) fn introduce(name: Text) {
    let generation = fork::generation().wrapping_add(1);
    // A thread that is ending has no row any more.
    let _ending = OWN.try_with(|own| {
        let is_new_name = name != Text::NONE && own.name.get() != name.bits();
        if is_new_name || own.generation.get() != generation {
            write_own(own, generation, name);
        }
    });
}

#[cold]
fn write_own(own: &Own, generation: u32, name: Text) {
    let number = slot::current() as usize;
    if number >= COUNT {
        return;
    }
    if own.generation.get() == 0 {
        // What stands there may be the name of the slot's last thread.
        NAMES[number].store(0, Ordering::Relaxed);
    }
    if name != Text::NONE {
        NAMES[number].store(name.bits(), Ordering::Relaxed);
        own.name.set(name.bits());
    }
    own.generation.set(generation);
    own.slot.set(slot::current());
    own.kernel_id.set(u32::try_from(rustix::thread::gettid().as_raw_nonzero().get()).unwrap_or(0));
    KERNEL_IDS[number].store(own.kernel_id.get(), Ordering::Relaxed);
    announce(number);
}

/// Makes the slot known to this process and to its table.
fn announce(number: usize) {
    KNOWN_COUNT.fetch_max(u32::try_from(number + 1).unwrap_or(0), Ordering::AcqRel);
    if let Some(Ok(table)) = table::existing() {
        publish(table, number);
    }
}

/// Copies what is known of every thread into a table that other threads can already find.
pub(crate) fn publish_all(table: &Table) {
    for number in 0..KNOWN_COUNT.load(Ordering::Acquire) as usize {
        publish(table, number);
    }
}

fn publish(table: &Table, number: usize) {
    let slot_number = u32::try_from(number).unwrap_or(slot::UNKNOWN);
    let Some(row) = table.thread_row(slot_number) else { return };
    // A thread that stayed behind at a fork keeps its name here, but it has no number in this process.
    let kernel_id = if slot::is_dead(slot_number) { 0 } else { KERNEL_IDS[number].load(Ordering::Relaxed) };
    row[thread::KERNEL_ID].store(u64::from(kernel_id), Ordering::Relaxed);
    row[thread::NAME].store(NAMES[number].load(Ordering::Relaxed), Ordering::Relaxed);
}

/// Names the thread of `owner`, and notes the kernel's number when that is the calling thread.
pub fn name_thread(owner: Owner, name: Text) {
    let number = owner.slot();
    if number == slot::current() {
        introduce(name);
    } else if (number as usize) < COUNT {
        NAMES[number as usize].store(name.bits(), Ordering::Relaxed);
        announce(number as usize);
    }
}

/// Whether the thread of `owner` has a name.
pub fn is_thread_named(owner: Owner) -> bool {
    NAMES.get(owner.slot() as usize).is_some_and(|name| name.load(Ordering::Relaxed) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::intern;

    #[test]
    fn a_name_goes_with_its_thread() {
        let owner = std::thread::spawn(|| {
            name_thread(Owner::thread(), intern("short-lived"));
            assert!(is_thread_named(Owner::thread()));
            Owner::thread()
        });
        let owner = owner.join().unwrap();
        let name = NAMES[owner.slot() as usize].load(Ordering::Relaxed);
        assert_ne!(name, intern("short-lived").bits());
    }
}
