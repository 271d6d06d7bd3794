//! The row of a contended lock: its address and who holds it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::layout::wait::{OBJECT_ROW_SHIFT, OBJECT_USES_SHIFT};
use crate::layout::{OBJECTS, object as word};
use crate::owner::Owner;
use crate::rows::Reserve;
use crate::table::{self, Table};

/// Shows an object's holder to the readers of the table while it lives.
#[derive(Debug)]
#[must_use = "dropping this takes the object out of the table, and its waiters no longer show who holds it"]
pub struct ObjectRow {
    place: Option<(&'static Table, u32)>,
}

/// A row for the object at `address`; an empty one when the table is full or could not be made.
pub fn object(address: u64) -> ObjectRow {
    let place = table::current().and_then(|table| Some((table, table.objects.take(table)?)));
    let row = ObjectRow { place };
    if let Some(words) = row.words() {
        words[word::HOLDER].store(0, Ordering::Relaxed);
        words[word::ADDRESS].store(address, Ordering::Relaxed);
    }
    row
}

impl ObjectRow {
    /// Says who holds the object now; [`Owner::NOBODY`] for no one.
    pub fn set_holder(&self, holder: Owner) {
        if let Some(words) = self.words() {
            words[word::HOLDER].store(holder.as_holder_word(), Ordering::Relaxed);
        }
    }

    /// Who was said to hold the object; nobody when the row is empty.
    pub fn holder(&self) -> Owner {
        self.words().map_or(Owner::NOBODY, |words| Owner(words[word::HOLDER].load(Ordering::Relaxed)).masked())
    }

    /// What a wait row says to point here: the row's number plus one and how often it was given back; 0 when empty.
    pub(crate) fn reference(&self) -> u64 {
        let Some((words, (_, row))) = self.words().zip(self.place) else { return 0 };
        let uses = words[word::USES].load(Ordering::Relaxed) & 0xffff;
        (u64::from(row) + 1) << OBJECT_ROW_SHIFT | uses << OBJECT_USES_SHIFT
    }

    /// `None` when empty, and in a forked child, where it belongs to the parent.
    fn words(&self) -> Option<&'static [AtomicU64]> {
        let (table, row) = self.place.filter(|(table, _)| table.is_ours())?;
        table.words().get(OBJECTS.row(row))
    }
}

impl Drop for ObjectRow {
    fn drop(&mut self) {
        if let (Some(words), Some((table, row))) = (self.words(), self.place) {
            words[word::ADDRESS].store(0, Ordering::Relaxed);
            // Before the row can be taken again, which `give_back` and `take` order: a reader that finds the next
            // object's holder here finds this count, too.
            words[word::USES].fetch_add(1, Ordering::Relaxed);
            table.objects.give_back(table.words(), row);
        }
    }
}
