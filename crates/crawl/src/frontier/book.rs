//! Which entries are queued, handed out or waiting for a retry, and in which order they go: pure, without a clock or a store.

use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use hashbrown::{HashMap, HashSet};

use super::Wanted;
use super::host::{HostQueue, Place};
use crate::entry::{Entry, EntryId, EntryKind, RequestParts, Validators};
use crate::url::Fingerprint;

/// An entry as the frontier holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Queued {
    pub(super) id: u64,
    pub(super) url: Arc<str>,
    pub(super) fingerprint: Fingerprint,
    pub(super) depth: u32,
    pub(super) parent: Option<Arc<str>>,
    pub(super) kind: EntryKind,
    pub(super) tries: u32,
    pub(super) validators: Option<Box<Validators>>,
    pub(super) request: Option<Box<RequestParts>>,
}

impl Queued {
    fn place(&self) -> Place {
        (self.depth, self.id)
    }

    fn to_entry(&self) -> Entry {
        Entry {
            id: EntryId(self.id),
            url: self.url.to_string(),
            fingerprint: self.fingerprint,
            depth: self.depth,
            parent: self.parent.clone(),
            kind: self.kind,
            tries: self.tries,
            validators: self.validators.as_deref().cloned().unwrap_or_default(),
            request: self.request.clone(),
        }
    }
}

/// An entry that waits for its next try; the earliest is the greatest, as the heap wants it.
struct Later {
    due: SystemTime,
    host: usize,
    entry: Queued,
}

impl Later {
    fn rank(&self) -> (SystemTime, u64) {
        (self.due, self.entry.id)
    }
}

impl PartialEq for Later {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Later {}

impl PartialOrd for Later {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Later {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.rank().cmp(&self.rank())
    }
}

/// What the book holds of an entry that is handed out.
pub(super) enum Out {
    /// It is being visited.
    Visiting { host: usize, entry: Queued },
    /// It was visited, and the program has not answered yet.
    Delivered { host: usize },
}

impl Out {
    pub(super) fn host(&self) -> usize {
        match self {
            Self::Visiting { host, .. } | Self::Delivered { host } => *host,
        }
    }
}

/// What one call has taken so far.
#[derive(Default)]
pub(super) struct Taking {
    pub(super) entries: Vec<Entry>,
    by_host: HashMap<usize, usize>,
    full: HashSet<usize>,
}

impl Taking {
    fn has_enough(&self, host: usize, per_host: usize) -> bool {
        self.full.contains(&host) || self.by_host.get(&host).is_some_and(|count| *count >= per_host)
    }
}

/// The queues of all hosts, and what is handed out.
#[derive(Default)]
pub(super) struct Book {
    hosts: Vec<HostQueue>,
    by_key: HashMap<Arc<str>, usize>,
    /// For each depth the hosts whose next entry has it, in turn.
    rings: BTreeMap<u32, VecDeque<(usize, u64)>>,
    standing_count: u64,
    out: HashMap<u64, Out>,
    later: BinaryHeap<Later>,
    later_ids: HashSet<u64>,
    held: usize,
    /// Hosts whose queue ran dry while the store has more.
    hungry: Vec<usize>,
}

impl Book {
    /// The number of a host; the second value is true where it is new.
    pub(super) fn host(&mut self, key: &str) -> (usize, bool) {
        if let Some(number) = self.by_key.get(key) {
            return (*number, false);
        }
        let (number, key): (usize, Arc<str>) = (self.hosts.len(), key.into());
        self.hosts.push(HostQueue::new(Arc::clone(&key)));
        self.by_key.insert(key, number);
        (number, true)
    }

    pub(super) fn key(&self, host: usize) -> &Arc<str> {
        &self.hosts[host].key
    }

    pub(super) fn host_count(&self) -> usize {
        self.hosts.len()
    }

    /// How many entries are in the queues in memory.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    pub(super) fn out_count(&self) -> usize {
        self.out.len()
    }

    /// Queues a new entry, or leaves it to the store where `limit` entries are held and its host has `least` of them.
    ///
    /// True where the store has to hand out entries of a host from now on that it had not to before.
    pub(super) fn push(&mut self, host: usize, entry: Queued, limit: usize, least: usize) -> bool {
        let queue = &mut self.hosts[host];
        match queue.beyond {
            Some(beyond) if entry.place() >= beyond => return false,
            // All that is queued has a lower place: none is deeper, and a new entry has the highest number.
            None if self.held >= limit && queue.len() >= least && queue.greatest_depth() <= Some(entry.depth) => {
                queue.beyond = Some(entry.place());
                return true;
            }
            _ => {}
        }
        self.queue(host, entry, false);
        false
    }

    /// Says that the store has entries of the host from this place on.
    pub(super) fn set_beyond(&mut self, host: usize, beyond: Option<Place>) {
        self.hosts[host].beyond = beyond;
        if beyond.is_some() && self.hosts[host].len() == 0 {
            self.hungry.push(host);
        }
    }

    fn queue(&mut self, host: usize, entry: Queued, at_front: bool) {
        self.held += 1;
        let queue = &mut self.hosts[host];
        if at_front {
            queue.push_front(entry);
        } else {
            queue.push(entry);
        }
        self.stand(host);
    }

    /// Puts a host into the ring of its next entry's depth, if it stands in none or in another one.
    fn stand(&mut self, host: usize) {
        let queue = &mut self.hosts[host];
        let depth = queue.depth();
        if queue.standing.map(|(depth, _)| depth) == depth {
            return;
        }
        queue.standing = depth.map(|depth| {
            self.standing_count += 1;
            self.rings.entry(depth).or_default().push_back((host, self.standing_count));
            (depth, self.standing_count)
        });
    }

    /// Hands out entries: the least deep first, hosts in turn. What one call of the frontier takes adds up in `taking`.
    pub(super) fn take(&mut self, wanted: &Wanted<'_>, taking: &mut Taking) {
        self.wake(wanted.now);
        if taking.full.is_empty() && !wanted.full_hosts.is_empty() {
            taking.full = wanted.full_hosts.iter().filter_map(|key| self.by_key.get(key.as_str())).copied().collect();
        }
        let mut next_depth = self.rings.keys().next().copied();
        while let Some(depth) = next_depth {
            self.take_level(depth, wanted, taking);
            if self.rings.get(&depth).is_some_and(VecDeque::is_empty) {
                self.rings.remove(&depth);
            }
            if taking.entries.len() >= wanted.count {
                break;
            }
            next_depth = self.rings.range(depth + 1..).next().map(|(depth, _)| *depth);
        }
    }

    fn take_level(&mut self, depth: u32, wanted: &Wanted<'_>, taking: &mut Taking) {
        let mut passed = Vec::new();
        while taking.entries.len() < wanted.count {
            let Some((host, standing)) = self.rings.get_mut(&depth).and_then(VecDeque::pop_front) else { break };
            if self.hosts[host].standing != Some((depth, standing)) {
                continue;
            }
            if taking.has_enough(host, wanted.per_host) {
                passed.push((host, standing));
                continue;
            }
            let Some(entry) = self.hosts[host].pop() else { continue };
            self.held -= 1;
            *taking.by_host.entry(host).or_default() += 1;
            taking.entries.push(entry.to_entry());
            self.out.insert(entry.id, Out::Visiting { host, entry });
            self.hosts[host].standing = None;
            self.stand(host);
            if self.hosts[host].len() == 0 && self.hosts[host].beyond.is_some() {
                self.hungry.push(host);
            }
        }
        // Those that were passed over keep their turn.
        if let Some(ring) = self.rings.get_mut(&depth) {
            passed.into_iter().rev().for_each(|place| ring.push_front(place));
        }
    }

    /// Queues the entries whose next try is due.
    fn wake(&mut self, now: SystemTime) {
        while self.later.peek().is_some_and(|later| later.due <= now) {
            if let Some(Later { host, entry, .. }) = self.later.pop() {
                self.later_ids.remove(&entry.id);
                self.queue(host, entry, false);
            }
        }
    }

    /// The hosts that ran dry while the store has more, with the place from which on.
    pub(super) fn hungry(&mut self) -> Vec<(usize, Place)> {
        let mut hosts = std::mem::take(&mut self.hungry);
        hosts.retain(|host| self.hosts[*host].len() == 0);
        hosts.sort_unstable();
        hosts.dedup();
        hosts.into_iter().filter_map(|host| Some((host, self.hosts[host].beyond?))).collect()
    }

    /// Takes what the store has of a hungry host: entries with the time before which they must not be tried.
    pub(super) fn feed(&mut self, host: usize, entries: Vec<(Queued, Option<SystemTime>)>, beyond: Option<Place>) {
        for (entry, due) in entries {
            if self.out.contains_key(&entry.id) || self.later_ids.contains(&entry.id) {
                continue;
            }
            match due {
                Some(due) => self.put_off(host, entry, due),
                None => self.queue(host, entry, false),
            }
        }
        self.set_beyond(host, beyond);
    }

    /// Lets an entry wait until it is due.
    pub(super) fn put_off(&mut self, host: usize, entry: Queued, due: SystemTime) {
        self.later_ids.insert(entry.id);
        self.later.push(Later { due, host, entry });
    }

    /// Takes an entry back that was handed out; none where it wasn't.
    pub(super) fn take_back(&mut self, id: u64) -> Option<Out> {
        self.out.remove(&id)
    }

    /// Marks an entry as delivered: it stays handed out until the program has answered.
    pub(super) fn deliver(&mut self, id: u64, host: usize) {
        self.out.insert(id, Out::Delivered { host });
    }

    /// Forgets all entries of a host: somebody else has it now.
    pub(super) fn forget(&mut self, host: usize) {
        let queue = &mut self.hosts[host];
        self.held -= queue.len();
        *queue = HostQueue::new(Arc::clone(&queue.key));
        self.out.retain(|_, out| out.host() != host);
    }

    /// How many entries of a host are queued in memory.
    pub(super) fn held_of(&self, host: usize) -> usize {
        self.hosts[host].len()
    }

    /// What is handed out: the entries and their hosts.
    pub(super) fn out(&self) -> impl Iterator<Item = (u64, usize)> {
        self.out.iter().map(|(id, out)| (*id, out.host()))
    }

    /// Queues an entry again that was taken and not tried; false where it is not being visited.
    pub(super) fn give_back(&mut self, id: u64) -> bool {
        match self.out.remove(&id) {
            Some(Out::Visiting { host, entry }) => {
                self.queue(host, entry, true);
                return true;
            }
            Some(delivered @ Out::Delivered { .. }) => {
                self.out.insert(id, delivered);
            }
            None => {}
        }
        false
    }

    /// When the next retry is due.
    pub(super) fn next_due(&self) -> Option<SystemTime> {
        self.later.peek().map(|later| later.due)
    }

    /// The entries that are being visited, with their hosts.
    pub(super) fn visiting(&self) -> impl Iterator<Item = (usize, &Queued)> {
        self.out.values().filter_map(|out| match out {
            Out::Visiting { host, entry } => Some((*host, entry)),
            Out::Delivered { .. } => None,
        })
    }

    /// The entries that are queued or wait for a retry, with their hosts.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (usize, &Queued)> {
        let queued =
            self.hosts.iter().enumerate().flat_map(|(host, queue)| queue.iter().map(move |entry| (host, entry)));
        queued.chain(self.later.iter().map(|later| (later.host, &later.entry)))
    }
}
