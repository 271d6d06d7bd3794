//! What all threads of a crawl hold: the plan, the desk, and the two bells that wake who has something to do.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, watch};

use crate::engine::desk::{Desk, Given};
use crate::engine::known::Knowledge;
use crate::engine::plan::Plan;
use crate::engine::report::{Ending, Progress, Report};
use crate::engine::standing::Standing;
use crate::entry::{EntryState, Visit};
use crate::sink::Made;

/// The crawl, as its threads and its handle see it.
pub(crate) struct Shared {
    pub(crate) plan: Plan,
    pub(crate) started: Instant,
    /// Rung where a fetch that has nothing to do may find something.
    pub(crate) work: Notify,
    /// Rung where the coordinator has something to do.
    pub(crate) coordinate: Notify,
    /// The end, once it has come.
    pub(crate) report: watch::Sender<Option<Report>>,
    /// Rung once, to end at once.
    pub(crate) abort: Notify,
    pub(crate) is_aborted: AtomicBool,
    pub(crate) is_stopped: AtomicBool,
    pub(crate) standing: Standing,
    desk: Mutex<Desk>,
}

impl Shared {
    pub(crate) fn new(plan: Plan, desk: Desk) -> Self {
        Self {
            plan,
            started: Instant::now(),
            work: Notify::new(),
            coordinate: Notify::new(),
            report: watch::Sender::new(None),
            abort: Notify::new(),
            is_aborted: AtomicBool::new(false),
            is_stopped: AtomicBool::new(false),
            standing: Standing::default(),
            desk: Mutex::new(desk),
        }
    }

    /// The desk. Never held across a wait, nor while the frontier or a sink is called.
    pub(crate) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job, after `change` was made to the desk; rings for the coordinator where it is wanted.
    pub(crate) fn next(&self, change: impl FnOnce(&mut Desk)) -> Given {
        let mut desk = self.desk();
        change(&mut desk);
        let wake_at = desk.wake_at;
        let given = desk.next(&self.plan, Instant::now());
        let is_wanted = desk.wake_at != wake_at || desk.wants_coordinator();
        drop(desk);
        if is_wanted {
            self.coordinate.notify_one();
        }
        given
    }

    /// Changes the desk, and rings for the coordinator where it is wanted.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Desk)) {
        let mut desk = self.desk();
        change(&mut desk);
        let is_wanted = desk.wants_coordinator();
        drop(desk);
        if is_wanted {
            self.coordinate.notify_one();
        }
    }

    /// Takes what a program made of delivered pages.
    pub(crate) fn answer(&self, made: Vec<Made>) {
        let mut desk = self.desk();
        let known = &self.plan.known;
        for Made { entry, items, mut requests, error } in made {
            // What is known by now is on its way to the frontier before these: the desk is held.
            requests.retain(|request| {
                let is_new = known.look(request.fingerprint) != Knowledge::Recorded;
                known.enter_recorded(request.fingerprint);
                is_new
            });
            let Some((entry, state)) = entry.and_then(|entry| Some((entry, desk.open.remove(&entry)?))) else {
                desk.additions.extend(requests);
                continue;
            };
            desk.tally.items += items.len() as u64;
            let state = match error {
                Some(message) => {
                    desk.tally.fail("program", message.clone());
                    EntryState::Failed(message)
                }
                None => state,
            };
            desk.visits.push(Visit { items, links: requests, ..Visit::new(entry, state) });
        }
        drop(desk);
        self.coordinate.notify_one();
    }

    /// Ends the crawl after what is in flight.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        self.standing.stop();
        self.coordinate.notify_one();
    }

    /// Ends the crawl at once.
    pub(crate) fn abort(&self) {
        self.is_aborted.store(true, Ordering::SeqCst);
        self.abort.notify_one();
    }

    pub(crate) fn progress(&self) -> Progress {
        let desk = self.desk();
        let tally = &desk.tally;
        Progress {
            elapsed: self.started.elapsed(),
            pages: tally.pages,
            bytes: tally.bytes,
            in_flight: desk.politeness.in_flight(),
            counts: desk.counts,
            errors: tally.errors.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect(),
            refusals: tally.refusals.by_name(),
            statuses: tally.statuses.clone(),
            items: tally.items,
            slowest_host: desk.politeness.slowest().map(|(host, latency)| (host.to_owned(), latency)),
        }
    }

    pub(crate) fn end(&self, ending: Ending, error: Option<String>) {
        let report = Report { ending, error, progress: self.progress() };
        self.report.send_replace(Some(report));
    }
}
