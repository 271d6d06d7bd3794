//! The row of a wait, shown from its beginning to its end.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use threefold_sys::clock::Instant;

use crate::layout::{WAITS, wait as word};
use crate::object_row::ObjectRow;
use crate::owner::Owner;
use crate::reason::Reason;
use crate::rows::Reserve;
use crate::table::{self, Table};
use crate::text::Text;
use crate::{quit_thread, thread_row};

/// What a wait row says.
#[derive(Clone, Copy, Debug)]
pub struct Wait<'a> {
    /// Who waits.
    pub owner: Owner,
    /// The name of the thread or task.
    pub name: Text,
    /// Why.
    pub reason: Reason,
    /// Address of what is waited for.
    pub object: u64,
    /// Where its holder stands, if it has a row.
    pub object_row: Option<&'a ObjectRow>,
    /// Its holder, if it is known and there is no row.
    pub holder: Owner,
    /// The line that waits: `file.py:12`.
    pub site: Text,
    /// Since when.
    pub since: Instant,
    /// Whether the wait ends by itself.
    pub has_timeout: bool,
}

/// A wait that is shown until this is dropped.
#[derive(Debug)]
#[must_use = "dropping this ends the wait for the readers of the table"]
pub struct WaitRow {
    place: Option<(&'static Table, u32)>,
    since: Instant,
}

/// Shows a wait. Never fails: a wait that finds no room is counted, and its row is empty.
pub fn begin(wait: &Wait<'_>) -> WaitRow {
    let since = wait.since;
    let Some(table) = table::current() else { return WaitRow { place: None, since } };
    quit_thread::resume_if_paused();
    let is_thread = wait.owner.masked() == Owner::thread();
    thread_row::introduce(if is_thread { wait.name } else { Text::NONE });
    let Some(row) = table.waits.take(table) else {
        table.count_not_shown();
        return WaitRow { place: None, since };
    };
    write(&table.words()[WAITS.row(row)], wait);
    WaitRow { place: Some((table, row)), since }
}

fn write(row: &[AtomicU64], wait: &Wait<'_>) {
    let reference = wait.object_row.map_or(0, ObjectRow::reference);
    let timeout = if wait.has_timeout { word::HAS_TIMEOUT } else { 0 };
    let set = |place: usize, value: u64| row[place].store(value, Ordering::Relaxed);
    change(row, || {
        set(word::OWNER, wait.owner.masked().0);
        set(word::NAME, wait.name.bits());
        set(word::SITE, wait.site.bits());
        set(word::OBJECT, wait.object);
        set(word::SINCE, wait.since.as_nanos());
        set(word::HOLDER, if reference == 0 { wait.holder.as_holder_word() } else { 0 });
        set(word::REASON, wait.reason as u64 | timeout | reference);
    });
}

/// Changes a row so that a reader either sees that it is being changed or none of it (README, section 2).
fn change(row: &[AtomicU64], stores: impl FnOnce()) {
    let sequence = row[word::SEQUENCE].load(Ordering::Relaxed);
    row[word::SEQUENCE].store(sequence | 1, Ordering::Relaxed);
    // Orders the odd number before the stores.
    fence(Ordering::Release);
    stores();
    // Release: orders the stores before the even number.
    row[word::SEQUENCE].store((sequence | 1).wrapping_add(1), Ordering::Release);
}

impl WaitRow {
    /// When the wait began.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Says who holds the object now, where it has no row of its own.
    pub fn set_holder(&self, holder: Owner) {
        if let Some((table, row)) = self.place.filter(|(table, _)| table.is_ours()) {
            let words = &table.words()[WAITS.row(row)];
            change(words, || words[word::HOLDER].store(holder.as_holder_word(), Ordering::Relaxed));
        }
    }

    /// Whether readers of the table can see it.
    pub fn is_shown(&self) -> bool {
        self.place.is_some()
    }
}

impl Drop for WaitRow {
    fn drop(&mut self) {
        // In a forked child the row belongs to the parent.
        if let Some((table, row)) = self.place.filter(|(table, _)| table.is_ours()) {
            let words = &table.words()[WAITS.row(row)];
            change(words, || words[word::REASON].store(0, Ordering::Relaxed));
            table.waits.give_back(table.words(), row);
        }
    }
}
