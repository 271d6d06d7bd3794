//! What the fetches and the coordinator share: which jobs wait, which visits are to be recorded, what was counted. All of it
//! is plain data under one lock that is never held across a wait.

mod hosts;
mod rules;

use std::collections::{HashMap, HashSet};
use std::time::{Instant, SystemTime};

use crate::engine::job::{Job, PageJob};
use crate::engine::plan::Plan;
use crate::engine::redirects::Ways;
use crate::engine::report::Ending;
use crate::engine::tally::{Count, Tally};
use crate::entry::{Counts, Entry, EntryId, EntryState, NewEntry, Visit};
use crate::frontier::HostState;
use crate::politeness::{self, Outcome, OutcomeKind, Politeness, Ticket};
use crate::refusal::Refusal;
use crate::robots::RobotsCache;
use crate::url::{Traps, host_key};

/// What a fetch gets when it asks for its next job.
pub(crate) enum Given {
    /// A job, to be ended with [`Desk::finish`].
    Job(Ticket, Job),
    /// Nothing for now.
    Nothing,
    /// The crawl is over.
    End,
}

/// How far the crawl is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Jobs start.
    Running,
    /// Nothing starts any more; what is in flight ends.
    Ending(Ending),
    /// All is over.
    Over,
}

/// The shared state.
pub(crate) struct Desk {
    pub(crate) phase: Phase,
    pub(crate) politeness: Politeness<Job>,
    pub(crate) traps: Traps,
    pub(crate) tally: Tally,
    pub(crate) counts: Counts,
    /// Visits that wait to be recorded.
    pub(crate) visits: Vec<Visit>,
    /// How redirects led to addresses that wait.
    pub(crate) ways: Ways,
    /// Addresses to add: of sitemaps that robots.txt names.
    pub(crate) additions: Vec<NewEntry>,
    /// Delivered pages without an answer yet, with what their entries become by it.
    pub(crate) open: HashMap<EntryId, EntryState>,
    /// Entries that were taken from the frontier and not recorded yet.
    pub(crate) taken: usize,
    /// The earliest time at which politeness may let something start, where nothing could.
    pub(crate) wake_at: Option<Instant>,
    /// Entries that are to be tried again later, with their depths.
    pub(crate) retrying: HashMap<EntryId, u32>,
    /// When a robots.txt that could not be had may be asked for again, by origin.
    pub(crate) robots_due: Vec<(SystemTime, String)>,
    /// What is to be kept of hosts whose robots.txt was answered.
    pub(crate) answered_hosts: Vec<HostState>,
    /// True where the frontier's last answer was that it has nothing more for now.
    pub(crate) is_dry: bool,
    /// Hosts with jobs, and what they have had.
    hosts: HashMap<String, HostUse>,
    robots: Option<RobotsCache>,
    pages_in_flight: u64,
    /// Origins whose sitemaps were added.
    mapped: HashSet<String>,
    low_water: usize,
    /// Visits that are worth a transaction.
    batch: usize,
}

#[derive(Default)]
struct HostUse {
    waiting: usize,
    pages: u64,
    in_flight: u64,
}

impl Desk {
    pub(crate) fn new(
        politeness: Politeness<Job>,
        robots: Option<RobotsCache>,
        traps: Traps,
        low_water: usize,
    ) -> Self {
        Self {
            phase: Phase::Running,
            politeness,
            traps,
            tally: Tally::default(),
            counts: Counts::default(),
            visits: Vec::new(),
            ways: Ways::default(),
            additions: Vec::new(),
            open: HashMap::new(),
            taken: 0,
            wake_at: None,
            retrying: HashMap::new(),
            robots_due: Vec::new(),
            answered_hosts: Vec::new(),
            is_dry: false,
            hosts: HashMap::new(),
            robots,
            pages_in_flight: 0,
            mapped: HashSet::new(),
            low_water,
            batch: 64,
        }
    }

    /// Takes an entry that the frontier handed out.
    pub(crate) fn admit(&mut self, entry: Entry, now: SystemTime) {
        self.taken += 1;
        self.retrying.remove(&entry.id);
        let way = self.ways.take(entry.fingerprint);
        self.put(Box::new(PageJob { entry, way, is_again: false }), now);
    }

    /// Lets a job wait for its turn at its host.
    pub(crate) fn put(&mut self, job: Box<PageJob>, now: SystemTime) {
        let host = host_key(job.url()).into_owned();
        self.ask_robots(&host, now);
        let is_urgent = job.is_again;
        self.hosts.entry(host.clone()).or_default().waiting += 1;
        if is_urgent && self.robots_known(&host, now) {
            self.politeness.push_urgent(&host, Job::Page(job));
        } else {
            self.politeness.push(&host, Job::Page(job));
        }
    }

    /// Gives the next job that may start.
    pub(crate) fn next(&mut self, plan: &Plan, now: Instant) -> Given {
        match self.phase {
            Phase::Over => return Given::End,
            Phase::Ending(_) => return Given::Nothing,
            Phase::Running => {}
        }
        while self.has_budget(plan) {
            match self.politeness.next(now) {
                politeness::Next::Idle => return Given::Nothing,
                politeness::Next::WaitUntil(time) => {
                    self.wake_at = Some(self.wake_at.map_or(time, |earlier| earlier.min(time)));
                    return Given::Nothing;
                }
                politeness::Next::Start(ticket, Job::Page(job)) => {
                    if let Some((ticket, job)) = self.start(plan, ticket, job, now) {
                        return Given::Job(ticket, Job::Page(job));
                    }
                }
                politeness::Next::Start(ticket, job) => return Given::Job(ticket, job),
            }
        }
        Given::Nothing
    }

    /// True while neither pages nor bytes are used up; what is in flight counts as a page until it turns out to be none.
    fn has_budget(&self, plan: &Plan) -> bool {
        plan.options.pages.is_none_or(|limit| self.tally.pages + self.pages_in_flight < limit)
            && plan.options.bytes.is_none_or(|limit| self.tally.bytes < limit)
    }

    /// Asks what can be asked only when a page's turn has come; none where it is not to be fetched, or not yet.
    fn start(
        &mut self,
        plan: &Plan,
        ticket: Ticket,
        job: Box<PageJob>,
        now: Instant,
    ) -> Option<(Ticket, Box<PageJob>)> {
        let host = host_key(job.url()).into_owned();
        if let Some(host) = self.hosts.get_mut(&host) {
            host.waiting = host.waiting.saturating_sub(1);
        }
        let refusal = match self.robots_refusal(&host, job.url()) {
            Ok(None) => self.other_refusal(plan, &job),
            Ok(refusal) => refusal,
            Err(()) => {
                self.politeness.finished(ticket, Outcome { latency: None, kind: OutcomeKind::Dropped }, now);
                self.put(job, SystemTime::now());
                return None;
            }
        };
        if let Some(refusal) = refusal {
            self.politeness.finished(ticket, Outcome { latency: None, kind: OutcomeKind::Dropped }, now);
            self.tally.refusals.count(refusal);
            self.record(Visit::new(job.entry.id, EntryState::Refused(refusal)));
            return None;
        }
        self.pages_in_flight += 1;
        if plan.options.pages_per_host.is_some() {
            self.hosts.entry(host_key(job.url()).into_owned()).or_default().in_flight += 1;
        }
        Some((ticket, job))
    }

    fn other_refusal(&mut self, plan: &Plan, job: &PageJob) -> Option<Refusal> {
        if let (Some(limit), Some(host)) = (plan.options.pages_per_host, self.hosts.get(&*host_key(job.url()))) {
            if host.pages + host.in_flight >= limit {
                return Some(Refusal::HostBudget);
            }
        }
        if job.is_first() { self.traps.enter(job.url()).err() } else { None }
    }

    /// Takes back a job that [`Desk::next`] gave.
    pub(crate) fn finish(&mut self, ticket: Ticket, outcome: Outcome, now: Instant) {
        self.politeness.finished(ticket, outcome, now);
    }

    /// Counts what a page's request gave.
    pub(crate) fn count(&mut self, plan: &Plan, url: &str, count: Count) {
        self.pages_in_flight -= 1;
        if plan.options.pages_per_host.is_some() {
            if let Some(host) = self.hosts.get_mut(&*host_key(url)) {
                host.in_flight = host.in_flight.saturating_sub(1);
                host.pages += u64::from(count.is_page);
            }
        }
        self.tally.add(count);
    }

    /// Has a visit recorded; the entry is through.
    pub(crate) fn record(&mut self, visit: Visit) {
        self.taken -= 1;
        self.visits.push(visit);
    }

    /// True where the coordinator has something to do at once.
    pub(crate) fn wants_coordinator(&self) -> bool {
        self.visits.len() >= self.batch
            || !self.additions.is_empty()
            || self.taken == 0
            || (self.is_low() && (!self.is_dry || self.visits.iter().any(|visit| !visit.links.is_empty())))
    }

    /// True where more entries should be taken from the frontier.
    pub(crate) fn is_low(&self) -> bool {
        self.politeness.waiting() < self.low_water
    }

    /// The hosts with so many waiting jobs.
    pub(crate) fn full_hosts(&self, per_host: usize) -> Vec<String> {
        let full = self.hosts.iter().filter(|(_, host)| host.waiting >= per_host);
        full.map(|(name, _)| name.clone()).collect()
    }

    /// Takes out all entries that have not started.
    pub(crate) fn clear(&mut self) -> Vec<EntryId> {
        let mut entries = Vec::new();
        for host in self.hosts.keys() {
            for job in self.politeness.drain(host) {
                if let Job::Page(job) = job {
                    entries.push(job.entry.id);
                }
            }
        }
        self.taken -= entries.len();
        entries
    }
}
