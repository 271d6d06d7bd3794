//! Hands out the rows of a region: a free list through the rows themselves, then rows that were never used.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::layout::Region;

/// Makes sure that the file system has room for the region's rows below a number; see `Table::reserve`.
pub(crate) trait Reserve {
    fn words(&self) -> &[AtomicU64];
    fn reserve(&self, region: Region, reserved: &AtomicU32, row: u32) -> bool;
}

/// The rows of one region that are handed out and taken back one by one, by any thread.
#[derive(Debug)]
pub(crate) struct Rows {
    region: Region,
    /// Which word of a free row says what free row comes next (plus one).
    link: usize,
    /// First free row plus one in the lower half; the upper half counts changes, so that a row that left and came back
    /// between a load and its exchange is noticed.
    head: AtomicU64,
    reserved: AtomicU32,
}

impl Rows {
    pub(crate) const fn new(region: Region, link: usize) -> Self {
        Self { region, link, head: AtomicU64::new(0), reserved: AtomicU32::new(0) }
    }

    /// A row of the caller's own; `None` when all are in use.
    pub(crate) fn take(&self, table: &impl Reserve) -> Option<u32> {
        let mut head = self.head.load(Ordering::Acquire);
        while let Some(row) = first(head) {
            // Another user process of the same user may have scribbled into the file: never trust the link.
            if row >= self.region.capacity {
                return None;
            }
            let next = table.words()[self.region.row(row).start + self.link].load(Ordering::Relaxed) & 0xffff_ffff;
            match self.head.compare_exchange_weak(head, changed(head) | next, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Some(row),
                Err(present) => head = present,
            }
        }
        self.take_fresh(table)
    }

    fn take_fresh(&self, table: &impl Reserve) -> Option<u32> {
        let used = &table.words()[self.region.used];
        let capacity = u64::from(self.region.capacity);
        let add_one = |count: u64| (count < capacity).then_some(count + 1);
        let row = used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add_one).ok()?;
        let row = u32::try_from(row).ok()?;
        // A row without room behind it is lost, not written: writing it would kill the process with SIGBUS.
        table.reserve(self.region, &self.reserved, row).then_some(row)
    }

    /// Takes a row back; the caller has already marked it free for readers.
    pub(crate) fn give_back(&self, words: &[AtomicU64], row: u32) {
        let link = &words[self.region.row(row).start + self.link];
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            link.store(head & 0xffff_ffff, Ordering::Relaxed);
            let new = changed(head) | u64::from(row + 1);
            // Release: pairs with the Acquire in `take`, which then reads the link.
            match self.head.compare_exchange_weak(head, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(present) => head = present,
            }
        }
    }
}

fn first(head: u64) -> Option<u32> {
    u32::try_from(head & 0xffff_ffff).ok()?.checked_sub(1)
}

/// The upper half counted up, the lower half empty.
fn changed(head: u64) -> u64 {
    (head & !0xffff_ffff).wrapping_add(1 << 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Plain(Vec<AtomicU64>);

    impl Reserve for Plain {
        fn words(&self) -> &[AtomicU64] {
            &self.0
        }
        fn reserve(&self, _region: Region, _reserved: &AtomicU32, _row: u32) -> bool {
            true
        }
    }

    fn small() -> (Plain, Rows) {
        let region = Region { start: 4, row_words: 2, capacity: 3, used: 0 };
        (Plain((0..10).map(|_| AtomicU64::new(0)).collect()), Rows::new(region, 1))
    }

    #[test]
    fn every_row_is_handed_out_once_and_comes_back() {
        let (plain, rows) = small();
        let mut taken: Vec<u32> = std::iter::from_fn(|| rows.take(&plain)).collect();
        assert_eq!(taken, [0, 1, 2]);
        for &row in &taken {
            rows.give_back(plain.words(), row);
        }
        taken = std::iter::from_fn(|| rows.take(&plain)).collect();
        assert_eq!(taken, [2, 1, 0]);
    }

    #[test]
    fn a_scribbled_link_hands_out_nothing_rather_than_a_foreign_row() {
        let (plain, rows) = small();
        let row = rows.take(&plain).unwrap();
        rows.give_back(plain.words(), row);
        plain.0[5].store(77, Ordering::Relaxed);
        assert_eq!(rows.take(&plain), Some(0));
        assert_eq!(rows.take(&plain), None);
    }

    #[test]
    fn threads_never_share_a_row() {
        let region = Region { start: 1, row_words: 2, capacity: 8, used: 0 };
        let plain = Plain((0..17).map(|_| AtomicU64::new(0)).collect());
        let rows = Rows::new(region, 1);
        let users: Vec<AtomicU32> = (0..8).map(|_| AtomicU32::new(0)).collect();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        let row = rows.take(&plain).unwrap();
                        assert_eq!(users[row as usize].fetch_add(1, Ordering::SeqCst), 0);
                        users[row as usize].store(0, Ordering::SeqCst);
                        rows.give_back(plain.words(), row);
                    }
                });
            }
        });
    }
}
