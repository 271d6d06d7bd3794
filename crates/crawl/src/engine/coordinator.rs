//! The coordinator: brings entries from the frontier to the desk and visits from the desk to the frontier, and says when the
//! crawl is over.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use tokio::time::timeout;

use crate::engine::desk::Phase;
use crate::engine::levels::Levels;
use crate::engine::report::Ending;
use crate::engine::shared::Shared;
use crate::entry::{EntryId, EntryState, NewEntry, Visit};
use crate::frontier::{AnyFrontier, Frontier, FrontierError, Wanted};

/// While something is going on, visits wait no longer than this for their transaction.
const TICK: Duration = Duration::from_millis(50);
/// How often the frontier's counts are asked for.
const COUNTS_INTERVAL: Duration = Duration::from_millis(200);
/// How long an aborted crawl may take to keep what it has.
const LAST_FLUSH: Duration = Duration::from_secs(10);
/// How long one whose frontier was given up.
const LAST_ATTEMPT: Duration = Duration::from_secs(1);
/// How long giving hosts back may take: what is not given back now is free when its lease ends.
const CLOSE_LIMIT: Duration = Duration::from_secs(3);

const VISITED_AGAIN: &str =
    "what was visited last is not recorded, and will be visited again when the crawl is resumed";

/// The one that uses the frontier.
pub(crate) struct Coordinator {
    shared: Arc<Shared>,
    frontier: AnyFrontier,
    window: usize,
    per_host: usize,
    /// When the frontier says that it will have something.
    due: Option<SystemTime>,
    counted: Instant,
    is_resumed: bool,
    levels: Option<Levels>,
}

impl Coordinator {
    pub(crate) fn new(shared: Arc<Shared>, frontier: AnyFrontier) -> Self {
        let options = &shared.plan.options;
        let window = window(options.concurrency);
        let per_host = (options.per_host * 4).clamp(64, window);
        let is_resumed = frontier.is_resumed();
        let counted = shared.started;
        let levels = Levels::needed(options).then(Levels::default);
        Self { shared, frontier, window, per_host, due: None, counted, is_resumed, levels }
    }

    /// Runs the crawl to its end, and tells the report.
    pub(crate) async fn run(mut self, seeds: Vec<NewEntry>) {
        let shared = Arc::clone(&self.shared);
        let mut given_up = None;
        let result = tokio::select! {
            result = self.crawl(seeds) => Some(result),
            () = shared.abort.notified() => None,
            why = shared.standing.given_up() => {
                given_up = Some(why);
                Some(Ok(Ending::Stopped))
            }
        };
        let limit = if given_up.is_some() { LAST_ATTEMPT } else { LAST_FLUSH };
        let kept = timeout(limit, self.keep()).await;
        let is_kept = matches!(kept, Ok(Ok(())));
        let lost = if kept.is_err() { shared.standing.away().or(given_up) } else { None };
        let (ending, error) = match (result, kept, lost) {
            (_, _, Some(why)) => (Ending::Failed, Some(format!("{why}; {VISITED_AGAIN}"))),
            (Some(Err(error)), _, _) | (_, Ok(Err(error)), _) => (Ending::Failed, Some(error.to_string())),
            (Some(Ok(ending)), _, _) => self.judged(ending),
            (None, _, _) => (Ending::Stopped, None),
        };
        // The state is closed before the end is told, so that whoever waited for it may open it again. All is kept by now: what
        // fails is the giving back of hosts, whose leases end by themselves.
        if is_kept {
            let _end_by_themselves = timeout(CLOSE_LIMIT, self.frontier.close()).await;
        } else {
            drop(self.frontier);
        }
        shared.desk().phase = Phase::Over;
        shared.work.notify_waiters();
        shared.end(ending, error);
    }

    async fn crawl(&mut self, seeds: Vec<NewEntry>) -> Result<Ending, FrontierError> {
        self.add(seeds).await?;
        loop {
            self.check_limits();
            self.bring_in().await?;
            let phase = self.shared.desk().phase;
            if let Phase::Ending(ending) = phase {
                if self.is_drained().await? {
                    return Ok(ending);
                }
            } else if self.fill().await? {
                return Ok(Ending::Finished);
            }
            self.sleep().await;
        }
    }

    /// Brings what the fetches made to the frontier.
    async fn bring_in(&mut self) -> Result<(), FrontierError> {
        let (visits, additions) = {
            let mut desk = self.shared.desk();
            (mem::take(&mut desk.visits), mem::take(&mut desk.additions))
        };
        if !visits.is_empty() {
            self.record(visits).await?;
        }
        if !additions.is_empty() {
            self.add(additions).await?;
        }
        self.keep_hosts(false).await?;
        if self.counted.elapsed() > COUNTS_INTERVAL {
            self.count().await?;
        }
        Ok(())
    }

    /// Keeps what others would have to know of hosts in order to go on politely.
    async fn keep_hosts(&mut self, is_last: bool) -> Result<(), FrontierError> {
        let hosts = self.shared.desk().hosts_to_keep(is_last);
        if hosts.is_empty() {
            return Ok(());
        }
        match self.shared.standing.note(self.frontier.keep_hosts(hosts)).await {
            // It holds them and brings them with the next call.
            Err(FrontierError::Away(_)) => Ok(()),
            result => result,
        }
    }

    async fn record(&mut self, visits: Vec<Visit>) -> Result<(), FrontierError> {
        for visit in &visits {
            if let EntryState::Retry(time, _) = &visit.state {
                self.due = Some(self.due.map_or(*time, |due| due.min(*time)));
            }
        }
        let new_count = match self.shared.standing.note(self.frontier.record(visits)).await {
            // It holds the visits and brings them with the next call.
            Err(FrontierError::Away(_)) => 1,
            result => result?,
        };
        if new_count > 0 {
            self.shared.desk().is_dry = false;
        }
        Ok(())
    }

    async fn add(&mut self, entries: Vec<NewEntry>) -> Result<(), FrontierError> {
        for entry in &entries {
            self.shared.plan.known.enter_recorded(entry.fingerprint);
        }
        while let Err(error) = self.shared.standing.note(self.frontier.add(entries.clone())).await {
            if !matches!(error, FrontierError::Away(_)) {
                return Err(error);
            }
        }
        self.shared.desk().is_dry = false;
        Ok(())
    }

    /// Fills the desk with entries; true where there are none any more, and nothing is under way that could bring some.
    async fn fill(&mut self) -> Result<bool, FrontierError> {
        self.deepen().await?;
        let is_due = self.due.is_some_and(|due| due <= SystemTime::now());
        let (waiting, full_hosts) = {
            let desk = self.shared.desk();
            if !desk.is_low() || (desk.is_dry && !is_due && desk.taken > 0) {
                return Ok(false);
            }
            (desk.politeness.waiting(), desk.full_hosts(self.per_host))
        };
        let count = self.window.saturating_sub(waiting).max(1);
        let now = SystemTime::now();
        let wanted = Wanted { count, per_host: self.per_host, full_hosts: &full_hosts, now };
        let entries = match self.shared.standing.note(self.frontier.take(wanted)).await {
            Err(FrontierError::Away(_)) => return Ok(false),
            result => result?,
        };
        let hosts = self.frontier.new_hosts();
        if !hosts.is_empty() {
            self.shared.desk().take_over(hosts);
        }
        let is_dry = entries.len() < count && full_hosts.is_empty();
        self.due = None;
        if is_dry {
            self.due = match self.shared.standing.note(self.frontier.next_due()).await {
                Err(FrontierError::Away(_)) => Some(now + TICK),
                result => result?,
            };
        }
        let entries = match &mut self.levels {
            None => entries,
            Some(levels) => levels.hold_back(entries),
        };
        let is_empty = entries.is_empty();
        let mut desk = self.shared.desk();
        desk.is_dry = is_dry;
        for entry in entries {
            desk.admit(entry, now);
        }
        let is_idle = desk.taken == 0 && desk.visits.is_empty() && desk.open.is_empty() && desk.additions.is_empty();
        drop(desk);
        if !is_empty {
            self.shared.work.notify_one();
        }
        let is_level = self.levels.as_ref().is_none_or(Levels::is_empty);
        Ok(is_idle && is_level && is_dry && self.due.is_none())
    }

    /// Goes on to the next level, where the crawl goes by levels and all of this one is through.
    async fn deepen(&mut self) -> Result<(), FrontierError> {
        let Some(levels) = &mut self.levels else { return Ok(()) };
        let held_back = {
            let mut desk = self.shared.desk();
            if desk.taken > 0 || !desk.visits.is_empty() || !desk.open.is_empty() {
                return Ok(());
            }
            let held_back = levels.deepen(&desk.retrying);
            desk.is_dry &= held_back.is_empty();
            held_back
        };
        self.give_back(held_back).await
    }

    async fn give_back(&mut self, entries: Vec<EntryId>) -> Result<(), FrontierError> {
        if entries.is_empty() {
            return Ok(());
        }
        match self.frontier.give_back(entries).await {
            // It holds them and brings them with the next call.
            Err(FrontierError::Away(_)) => Ok(()),
            result => result,
        }
    }

    /// Sees whether a limit is reached.
    fn check_limits(&self) {
        let options = &self.shared.plan.options;
        let mut desk = self.shared.desk();
        if desk.phase != Phase::Running {
            return;
        }
        if self.shared.is_stopped.load(Ordering::SeqCst) {
            desk.phase = Phase::Ending(Ending::Stopped);
        } else if options.pages.is_some_and(|limit| desk.tally.pages >= limit) {
            desk.phase = Phase::Ending(Ending::Pages);
        } else if options.bytes.is_some_and(|limit| desk.tally.bytes >= limit) {
            desk.phase = Phase::Ending(Ending::Bytes);
        } else if options.time.is_some_and(|limit| self.shared.started.elapsed() >= limit) {
            desk.phase = Phase::Ending(Ending::Time);
        }
    }

    /// Gives back what has not started; true once nothing is in flight or open any more.
    async fn is_drained(&mut self) -> Result<bool, FrontierError> {
        let (mut entries, is_drained) = {
            let mut desk = self.shared.desk();
            let entries = desk.clear();
            (entries, desk.taken == 0 && desk.open.is_empty() && desk.visits.is_empty() && desk.additions.is_empty())
        };
        entries.extend(self.levels.iter_mut().flat_map(Levels::clear));
        self.give_back(entries).await?;
        Ok(is_drained)
    }

    /// Waits until there is something to do.
    async fn sleep(&self) {
        let now = SystemTime::now();
        let wait = {
            let mut desk = self.shared.desk();
            desk.ask_due_robots(now);
            if desk.politeness.waiting() > 0 {
                // A host may have been given more room since; a fetch that finds nothing goes to sleep again.
                self.shared.work.notify_one();
            }
            let is_busy = desk.taken > 0 || !desk.visits.is_empty() || !desk.open.is_empty();
            let longest = if is_busy { TICK } else { Duration::from_secs(1) };
            desk.idle_time(now).map_or(longest, |time| time.min(longest))
        };
        // A time that is past has been heeded, or waits for room on the desk.
        let due = self.due.and_then(|due| due.duration_since(now).ok());
        let limit = self.shared.plan.options.time.map(|limit| limit.saturating_sub(self.shared.started.elapsed()));
        let wait = due.into_iter().chain(limit).fold(wait, Duration::min);
        let _ = timeout(wait, self.shared.coordinate.notified()).await;
        let mut desk = self.shared.desk();
        if desk.wake_at.is_some_and(|time| time <= Instant::now()) {
            desk.wake_at = None;
        }
    }

    async fn count(&mut self) -> Result<(), FrontierError> {
        self.counted = Instant::now();
        match self.shared.standing.note(self.frontier.counts()).await {
            Err(FrontierError::Away(_)) => {}
            result => self.shared.desk().counts = result?,
        }
        Ok(())
    }

    /// Keeps all that was recorded.
    async fn keep(&mut self) -> Result<(), FrontierError> {
        let visits = mem::take(&mut self.shared.desk().visits);
        if !visits.is_empty() {
            self.record(visits).await?;
        }
        self.keep_hosts(true).await?;
        while let Err(error) = self.shared.standing.note(self.frontier.flush()).await {
            if !matches!(error, FrontierError::Away(_)) {
                return Err(error);
            }
        }
        self.count().await
    }

    /// How the end is told: a crawl without any page says why, one whose limit was its last page is finished.
    fn judged(&self, ending: Ending) -> (Ending, Option<String>) {
        let desk = self.shared.desk();
        // Of a frontier that is shared, others may have had all the pages.
        if ending == Ending::Finished && desk.tally.pages == 0 && desk.counts.done == 0 && !self.is_resumed {
            let why = desk.tally.first_failure.clone().unwrap_or_else(|| {
                let refusals: Vec<String> = desk.tally.refusals.by_name().into_keys().collect();
                format!("no seed was fetched: {}", refusals.join(", "))
            });
            return (Ending::NoSeed, Some(why));
        }
        let is_through = desk.counts.queued == 0 && desk.counts.leased == 0;
        if matches!(ending, Ending::Pages | Ending::Bytes | Ending::Time) && is_through {
            return (Ending::Finished, None);
        }
        (ending, None)
    }
}

/// How many entries wait on the desk, at most.
fn window(concurrency: usize) -> usize {
    (concurrency * 4).max(256)
}

/// Under how many waiting entries the desk is filled up.
pub(crate) fn low_water(concurrency: usize) -> usize {
    (concurrency * 2).max(32)
}
