//! Who waits for what, and who is chosen when something changes. Pure: no clock, no sleep. README section "Tasks".

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use super::sight::{Armed, Sight};

/// How often a lock may be found free and then taken before the end of the slice is left to settle it.
const MOST_LOOKS: usize = 100;

/// A task that waits, or did.
#[derive(Debug)]
pub(super) struct Entry {
    sight: Arc<dyn Sight>,
    waker: Waker,
    /// Where it stands in its line.
    number: i64,
    is_chosen: AtomicBool,
}

impl Entry {
    pub(super) fn is_chosen(&self) -> bool {
        self.is_chosen.load(Ordering::Acquire)
    }

    pub(super) fn sight(&self) -> &Arc<dyn Sight> {
        &self.sight
    }

    pub(super) fn wake(&self) {
        self.waker.wake_by_ref();
    }
}

/// Tasks that were chosen: to be woken after the lock was left.
#[derive(Debug, Default)]
#[must_use = "tasks that are not woken sleep until the end of a slice"]
pub struct Chosen(Vec<Arc<Entry>>);

impl Chosen {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Wakes them, in their order.
    pub fn wake(self) {
        self.0.iter().for_each(|entry| entry.wake());
    }
}

/// Those who wait on one word.
#[derive(Debug)]
struct Group {
    sight: Arc<dyn Sight>,
    armed: Armed,
    line: BTreeMap<i64, Arc<Entry>>,
}

impl Group {
    fn new(sight: &Arc<dyn Sight>) -> Self {
        Self { sight: Arc::clone(sight), armed: Armed::Not, line: BTreeMap::new() }
    }

    fn arm(&mut self) {
        self.sight.disarm(std::mem::replace(&mut self.armed, Armed::Not));
        self.armed = self.sight.arm();
    }

    fn is_armed(&self) -> bool {
        self.armed.expected().is_some()
    }

    fn has_changed(&self) -> bool {
        self.armed.expected().is_some_and(|expected| self.sight.word().load(Ordering::SeqCst) != expected)
    }

    /// Chooses the first who had better try, or all of them.
    fn choose(&mut self, chosen: &mut Chosen) {
        let most = if self.sight.is_for_all() { usize::MAX } else { 1 };
        self.choose_where(chosen, most, |entry| entry.sight.look());
    }

    fn choose_where(&mut self, chosen: &mut Chosen, most: usize, condition: impl Fn(&Entry) -> bool) {
        let first = self.line.values().take(most);
        let ready: Vec<i64> = first.filter(|entry| condition(entry)).map(|entry| entry.number).collect();
        for entry in ready.into_iter().filter_map(|number| self.line.remove(&number)) {
            entry.is_chosen.store(true, Ordering::Release);
            chosen.0.push(entry);
        }
    }

    /// Announces anew and looks, until the next change will be noticed or somebody was chosen, who comes back.
    fn settle(&mut self, chosen: &mut Chosen) {
        let before = chosen.0.len();
        for _ in 0..MOST_LOOKS {
            self.arm();
            self.choose(chosen);
            if self.is_armed() || self.line.is_empty() || chosen.0.len() > before {
                return;
            }
        }
    }

    fn is_over(&self) -> bool {
        self.line.is_empty() && !self.sight.lingers()
    }

    /// Sleeps no more; what it was woken for meanwhile goes to somebody else.
    fn retire(self) {
        let has_changed = self.has_changed();
        let expected = self.armed.expected();
        self.sight.disarm(self.armed);
        let word = self.sight.word().load(Ordering::SeqCst);
        if has_changed || expected.is_some_and(|expected| expected != word) {
            self.sight.pass_on();
        }
    }
}

/// All who wait, by word.
#[derive(Debug)]
pub(super) struct Board {
    groups: BTreeMap<usize, Group>,
    first: i64,
    last: i64,
    /// Where the next night's words begin, when there are more than one can sleep on.
    turn: usize,
    /// Whether the thread sleeps, or is about to, on what it has seen of the board: then changes must be told.
    pub(super) is_asleep: bool,
    /// Whether there is a thread.
    pub(super) is_watched: bool,
    /// To which process the board belongs.
    pub(super) generation: u32,
}

/// What to sleep on: the word behind each sight, and what it holds.
pub(super) type Night = Vec<(Arc<dyn Sight>, u64)>;

impl Board {
    pub(super) const fn new() -> Self {
        Self { groups: BTreeMap::new(), first: 0, last: 0, turn: 0, is_asleep: false, is_watched: false, generation: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Puts a task in line, at the front if it was chosen in vain; returns whether the thread must hear of it.
    pub(super) fn enter(&mut self, sight: &Arc<dyn Sight>, waker: &Waker, is_back: bool) -> (Arc<Entry>, bool) {
        let number = if is_back { &mut self.first } else { &mut self.last };
        *number += if is_back { -1 } else { 1 };
        let number = *number;
        let entry = Entry { sight: Arc::clone(sight), waker: waker.clone(), number, is_chosen: AtomicBool::new(false) };
        let entry = Arc::new(entry);
        let group = self.groups.entry(key(&**sight)).or_insert_with(|| Group::new(sight));
        group.line.insert(number, Arc::clone(&entry));
        let is_news = !group.is_armed();
        if is_news {
            group.arm();
        }
        (entry, is_news)
    }

    /// Whether a task that looked in vain will be woken, and whether the thread must hear of it.
    pub(super) fn settle(&mut self, entry: &Entry) -> (bool, bool) {
        match self.groups.get_mut(&key(&*entry.sight)) {
            Some(group) if !entry.is_chosen() && !group.is_armed() => {
                group.arm();
                (group.is_armed(), group.is_armed())
            }
            _ => (true, false),
        }
    }

    /// Takes a task out of its line; whether it had been chosen.
    pub(super) fn leave(&mut self, entry: &Entry) -> bool {
        if entry.is_chosen() {
            return true;
        }
        let key = key(&*entry.sight);
        if let Some(group) = self.groups.get_mut(&key) {
            group.line.remove(&entry.number);
            if group.is_over() {
                self.retire(key);
            }
        }
        false
    }

    /// Somebody who was chosen has taken something or gave up: chooses the next one, if there is more. Returns whether
    /// the thread must look at the group.
    pub(super) fn go_on(&mut self, sight: &dyn Sight, chosen: &mut Chosen) -> bool {
        let key = key(sight);
        let Some(group) = self.groups.get_mut(&key) else { return false };
        let was_armed = group.is_armed();
        if was_armed {
            group.choose(chosen);
        } else {
            group.settle(chosen);
        }
        let is_news = !was_armed && group.is_armed();
        if group.is_over() {
            self.retire(key);
        }
        is_news
    }

    /// After a sleep, a call, or before the next sleep: serves what has changed.
    pub(super) fn serve(&mut self, chosen: &mut Chosen) {
        let due: Vec<usize> = self.keys_where(|group| group.has_changed() || !group.is_armed());
        for key in due {
            let Some(group) = self.groups.get_mut(&key) else { continue };
            let has_changed = group.has_changed();
            if group.line.is_empty() {
                self.retire(key);
                continue;
            }
            if has_changed {
                group.settle(chosen);
            } else {
                // Whoever was chosen, or has just entered, sees to it; if it is slow, this is as good.
                group.arm();
            }
            if group.is_over() {
                self.retire(key);
            }
        }
    }

    /// At the end of a slice: whoever had better try does, whatever was rung; nobody lingers any longer.
    pub(super) fn look_at_all(&mut self, chosen: &mut Chosen) {
        for group in self.groups.values_mut() {
            group.choose(chosen);
        }
        for key in self.keys_where(|group| group.line.is_empty()) {
            self.retire(key);
        }
    }

    /// Chooses everybody.
    pub(super) fn choose_all(&mut self, chosen: &mut Chosen) {
        for group in self.groups.values_mut() {
            group.choose_where(chosen, usize::MAX, |_| true);
        }
        for key in self.keys_where(Group::is_over) {
            self.retire(key);
        }
    }

    /// Everything that somebody waits for, to be looked after.
    pub(super) fn sights(&self) -> Vec<Arc<dyn Sight>> {
        self.groups.values().map(|group| Arc::clone(&group.sight)).collect()
    }

    /// What to sleep on next, at most `most` words; and whether that is all.
    pub(super) fn night(&mut self, most: usize) -> (Night, bool) {
        let armed = self.groups.values().filter_map(|group| Some((&group.sight, group.armed.expected()?)));
        let all: Night = armed.map(|(sight, expected)| (Arc::clone(sight), expected)).collect();
        if all.len() <= most {
            return (all, true);
        }
        let start = self.turn % all.len();
        self.turn = start + most;
        (all.iter().cycle().skip(start).take(most).cloned().collect(), false)
    }

    /// Forgets everybody, without a word to anyone: a forked child's copy of its parent's board.
    pub(super) fn forget(&mut self) {
        std::mem::forget(std::mem::replace(self, Self::new()));
    }

    fn keys_where(&self, condition: impl Fn(&Group) -> bool) -> Vec<usize> {
        self.groups.iter().filter(|(_, group)| condition(group)).map(|(&key, _)| key).collect()
    }

    fn retire(&mut self, key: usize) {
        if let Some(group) = self.groups.remove(&key) {
            group.retire();
        }
    }
}

/// Those with the same word wait for the same thing.
fn key(sight: &dyn Sight) -> usize {
    std::ptr::from_ref(sight.word()).addr()
}
