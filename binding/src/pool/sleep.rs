//! When the supervisor may sleep, and what wakes it.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use threefold_pool::local::{Attention, ParentEnd};
use threefold_pool::{Unread, WorkerId};
use threefold_sys::clock::Instant;
use threefold_sys::death::Watch;

use super::commands::Command;
use super::state::{Member, State};

/// What ends a sleep: the deaths of workers, a time; and whether there is a reason to look again after a slice.
pub(super) type Alarms = (Vec<(WorkerId, Arc<Watch>)>, Option<Instant>, bool);

impl State {
    /// Whether all workers that are at it have more jobs to begin.
    pub(super) fn is_work_left(&self) -> bool {
        let mut links = self.crew.values().map(|member| &member.link);
        links.all(|link| link.unfinished_count().unwrap_or(0) == 0 || link.unread_count().unwrap_or(0) > 1)
    }

    /// Has the workers ring; returns nothing if there is something to do already.
    pub(super) fn fall_asleep(&mut self, attention: Attention) -> Option<Alarms> {
        // Whoever performs fills the room, too; to look again without a pause would keep the interpreter from them.
        if !self.commands.is_empty() || (self.is_room_likely && !self.is_performing) {
            return None;
        }
        self.crew.values().for_each(|member| member.link.set_attention(attention));
        // A worker that skips what was taken back makes room without a report.
        self.is_room_likely |= self.has_room_for_unsent();
        let has_report = self.crew.values().any(|member| !member.is_dead && member.link.has_report());
        if has_report || (self.is_room_likely && !self.is_performing) {
            self.wake_up();
            return None;
        }
        self.is_asleep = true;
        let alive = self.crew.iter().filter(|(_, member)| !member.is_dead);
        let watches =
            alive.filter_map(|(&worker, member)| Some((worker, Arc::clone(member.watch.as_ref()?)))).collect();
        let looks_again = self.scheduler.open_job_count() > 0 || !self.is_tidy;
        Some((watches, self.scheduler.next_wake(), looks_again))
    }

    /// Whether a worker has room for a job that was not written yet.
    fn has_room_for_unsent(&mut self) -> bool {
        let mut unsent = self.crew.values_mut().filter(|member| !member.is_dead && !member.outbox.is_empty());
        unsent.any(|member| member.link.has_room().unwrap_or(true))
    }

    pub(super) fn wake_up(&mut self) {
        self.is_asleep = false;
        self.crew.values().for_each(|member| member.link.set_attention(Attention::Awake));
    }

    /// Nothing has happened for a while: gives back what large jobs have taken of the links' memory.
    pub(super) fn tidy(&mut self) {
        for member in self.crew.values_mut() {
            // A damaged link shows itself when it is used.
            let _damaged = member.link.tidy();
        }
        self.is_tidy = self.scheduler.open_job_count() == 0;
    }

    pub(super) fn note_death(&mut self, worker: WorkerId) {
        if let Some(member) = self.crew.get_mut(&worker).filter(|member| !member.is_dead) {
            member.is_dead = true;
            self.commands.push(Command::Exited(worker));
        }
    }

    /// Somebody waits for the end: what nobody takes is done for its effects, but an iterator whose results somebody began to
    /// take, and left, is read no further: it may be infinite. Unless `reads_on`, no iterator is.
    pub(super) fn free_unread(&mut self, reads_on: bool) {
        let maps = &self.maps;
        self.scheduler.join(Instant::now(), |map| match maps.get(&map) {
            Some(map) if map.is_half_read() || (map.has_reader() && !reads_on) => Unread::Cut,
            _ => Unread::ReadOn,
        });
    }
}

impl Member {
    pub(super) fn new(link: ParentEnd) -> Self {
        Self { link, outbox: VecDeque::new(), known: HashSet::new(), watch: None, dump: None, is_dead: false }
    }
}
