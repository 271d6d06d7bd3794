//! A group of changes: applied in one transaction, once, however often its connection breaks.

use std::borrow::Cow;

use hashbrown::{HashMap, HashSet};

use super::link::Link;
use super::schema;
use crate::entry::{EntryState, NewEntry, Visit};
use crate::frontier::sqlite::value::{duration_to_millis, kind_name, of_blob, to_blob, to_millis, to_number};
use crate::frontier::{FrontierError, HostState};
use crate::sink::{Exporter, Mark};
use crate::url::{Fingerprint, host_key};

/// How many addresses are added by one statement: fewer than there are numbers for one.
const ADD_COUNT: usize = 1 << 16;

/// One visit with the database's number of its host.
pub(super) struct HostVisit {
    pub(super) host: i64,
    pub(super) visit: Visit,
}

/// What is to be changed at once.
pub(super) struct Group {
    /// Counted by the worker that made it.
    pub(super) number: i64,
    pub(super) visits: Vec<HostVisit>,
    pub(super) added: Vec<NewEntry>,
    pub(super) hosts: Vec<HostState>,
    /// How often it was begun.
    pub(super) tries: u32,
    /// Where the output, if there is one, stood when it was begun for the first time.
    pub(super) mark: Option<Mark>,
    /// It may have been committed by a connection that broke.
    pub(super) was_sent: bool,
}

/// What a group came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// The addresses that were new.
    pub(super) new: Vec<Fingerprint>,
}

impl Answer {
    fn to_text(&self) -> String {
        let new: Vec<String> = self.new.iter().map(|fingerprint| format!("{:032x}", fingerprint.0)).collect();
        new.join(" ")
    }

    fn from_text(text: &str) -> Self {
        let read = |hex| u128::from_str_radix(hex, 16).ok().map(Fingerprint);
        Self { new: text.split_whitespace().filter_map(read).collect() }
    }
}

/// The worker's row in the database, its output, and how far that is recorded.
pub(super) struct Author<'a> {
    pub(super) worker: &'a str,
    pub(super) exporter: Option<&'a mut Exporter>,
    pub(super) file: &'a str,
}

impl Group {
    /// Applies the group, unless it turns out that it was.
    pub(super) async fn apply(&mut self, link: &mut Link, author: &mut Author<'_>) -> Result<Answer, FrontierError> {
        if self.was_sent && self.is_committed(link, author.worker).await? {
            let last = link.query(schema::LAST_GROUP, &[&author.worker]).await?;
            return Ok(last.first().map_or_else(Answer::default, |row| Answer::from_text(row.get(1))));
        }
        if self.tries > 0 {
            // It was broken off in the middle: what it wrote is undone, in the database by the end of its connection.
            link.drop_connection();
            // Of a connection that broke unnoticed the server may know nothing for hours, and hold the worker's row.
            link.end_others(author.worker).await?;
            undo(author, self.mark.clone())?;
        }
        self.was_sent = false;
        self.tries += 1;
        self.mark = author.exporter.as_ref().map(|exporter| exporter.mark());
        let answer = match self.write(link, author).await {
            Ok(answer) => answer,
            Err(failure) => {
                link.drop_connection();
                return Err(failure);
            }
        };
        // From here on, a broken connection leaves open whether it was committed.
        self.was_sent = true;
        link.batch("COMMIT").await?;
        Ok(answer)
    }

    /// Whether the group was committed by a connection that broke. The group's first statement took the worker's row:
    /// where it still runs, this waits for it; where it doesn't, it can't come any more.
    async fn is_committed(&self, link: &mut Link, worker: &str) -> Result<bool, FrontierError> {
        link.end_others(worker).await?;
        let last = link.query(schema::LAST_GROUP, &[&worker]).await?;
        Ok(last.first().is_some_and(|row| row.get::<_, i64>(0) == self.number))
    }

    async fn write(&self, link: &mut Link, author: &mut Author<'_>) -> Result<Answer, FrontierError> {
        link.batch("BEGIN").await?;
        link.query(schema::BEGIN_GROUP, &[&author.worker, &self.number]).await?;
        let visits = self.fenced(link, author.worker).await?;
        let visits = close(link, visits).await?;
        let links = visits.iter().flat_map(|visit| &visit.links).chain(&self.added);
        let answer = Answer { new: add(link, links).await? };
        add_aliases(link, &visits).await?;
        add_items(link, &visits).await?;
        keep_hosts(link, &self.hosts, author.worker).await?;
        if let Some(exporter) = &mut author.exporter {
            for visit in &visits {
                exporter.add(&visit.items, &visit.archived)?;
            }
            if exporter.write(false)? {
                set_mark(link, author.file, &exporter.mark()).await?;
            }
        }
        let mut tally = Tally::default();
        for visit in &visits {
            tally.count(&visit.state);
        }
        let open = to_number(answer.new.len() as u64) - tally.done - tally.failed - tally.refused;
        let values: super::link::Values<'_> =
            &[&author.worker, &answer.to_text(), &open, &tally.done, &tally.failed, &tally.refused];
        link.query(schema::END_GROUP, values).await?;
        Ok(answer)
    }

    /// The visits of hosts that are still this worker's, one for each entry.
    async fn fenced(&self, link: &mut Link, worker: &str) -> Result<Vec<Visit>, FrontierError> {
        if self.visits.is_empty() {
            return Ok(Vec::new());
        }
        let asked: HashSet<i64> = self.visits.iter().map(|visit| visit.host).collect();
        let asked: Vec<i64> = asked.into_iter().collect();
        let mine: HashSet<i64> =
            link.query(schema::FENCE, &[&asked, &worker]).await?.iter().map(|row| row.get(0)).collect();
        let mut places: HashMap<u64, usize> = HashMap::new();
        let mut visits: Vec<Visit> = Vec::new();
        for HostVisit { visit, .. } in self.visits.iter().filter(|visit| mine.contains(&visit.host)) {
            // Delivered and answered within one group: what came later holds.
            if let Some(place) = places.get(&visit.entry.0) {
                let earlier = &mut visits[*place];
                earlier.state = visit.state.clone();
                earlier.links.extend(visit.links.iter().cloned());
                earlier.items.extend(visit.items.iter().cloned());
                earlier.archived.extend(&visit.archived);
                continue;
            }
            places.insert(visit.entry.0, visits.len());
            visits.push(visit.clone());
        }
        Ok(visits)
    }
}

/// Cuts back what was written for a group that was not committed.
pub(super) fn undo(author: &mut Author<'_>, mark: Option<Mark>) -> Result<(), FrontierError> {
    match (&mut author.exporter, mark) {
        (Some(exporter), Some(mark)) => exporter.cut_back(mark),
        _ => Ok(()),
    }
}

#[derive(Default)]
struct Tally {
    done: i64,
    failed: i64,
    refused: i64,
}

impl Tally {
    fn count(&mut self, state: &EntryState) {
        match state {
            EntryState::Done(_) => self.done += 1,
            EntryState::Failed(_) => self.failed += 1,
            EntryState::Refused(_) => self.refused += 1,
            EntryState::Delivered(_) | EntryState::Retry(..) => {}
        }
    }
}

/// Changes the states of entries, and gives those visits back whose entries were open.
async fn close(link: &mut Link, visits: Vec<Visit>) -> Result<Vec<Visit>, FrontierError> {
    if visits.is_empty() {
        return Ok(visits);
    }
    let (mut names, mut answers, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
    let (mut tries, mut times) = (Vec::new(), Vec::new());
    for visit in &visits {
        let (name, status, reason, due) = match &visit.state {
            EntryState::Done(status) => ("done", Some(i64::from(*status)), None, None),
            EntryState::Delivered(status) => ("delivered", Some(i64::from(*status)), None, None),
            EntryState::Failed(reason) => ("failed", None, Some(reason.as_str()), None),
            EntryState::Refused(refusal) => ("refused", None, Some(refusal.as_str()), None),
            EntryState::Retry(due, reason) => ("queued", None, Some(reason.as_str()), Some(*due)),
        };
        names.push(name);
        answers.push(status);
        reasons.push(reason.map(clean));
        tries.push(i64::from(due.is_some()));
        times.push(due.map_or(0, to_millis));
    }
    let ids: Vec<i64> = visits.iter().map(|visit| to_number(visit.entry.0)).collect();
    let etags: Vec<Option<String>> = visits.iter().map(|visit| visit.validators.etag.as_deref().map(clean)).collect();
    let dates: Vec<Option<String>> =
        visits.iter().map(|visit| visit.validators.last_modified.as_deref().map(clean)).collect();
    let finals: Vec<Option<String>> =
        visits.iter().map(|visit| visit.final_url.as_ref().map(|(url, _)| clean(url))).collect();
    let values: super::link::Values<'_> = &[&ids, &names, &answers, &reasons, &tries, &times, &etags, &dates, &finals];
    let closed: HashSet<i64> = link.query(schema::CLOSE, values).await?.iter().map(|row| row.get(0)).collect();
    Ok(visits.into_iter().filter(|visit| closed.contains(&to_number(visit.entry.0))).collect())
}

/// Adds addresses, and says which were new.
async fn add(link: &mut Link, links: impl Iterator<Item = &NewEntry>) -> Result<Vec<Fingerprint>, FrontierError> {
    let mut known = HashSet::new();
    let links: Vec<&NewEntry> = links.filter(|entry| known.insert(entry.fingerprint)).collect();
    let mut new = Vec::new();
    for part in links.chunks(ADD_COUNT) {
        new.extend(add_part(link, part).await?);
    }
    Ok(new)
}

async fn add_part(link: &mut Link, links: &[&NewEntry]) -> Result<Vec<Fingerprint>, FrontierError> {
    let hosts: Vec<Cow<'_, str>> = links.iter().map(|entry| host_key(&entry.url)).collect();
    let hosts: Vec<&str> = hosts.iter().map(AsRef::as_ref).collect();
    let distinct: HashSet<&str> = hosts.iter().copied().collect();
    let distinct: Vec<&str> = distinct.into_iter().collect();
    link.query(schema::ADD_HOSTS, &[&distinct]).await?;
    let depths: Vec<i64> = links.iter().map(|entry| i64::from(entry.depth)).collect();
    let kinds: Vec<&str> = links.iter().map(|entry| kind_name(entry.kind)).collect();
    let urls: Vec<&str> = links.iter().map(|entry| entry.url.as_str()).collect();
    let blobs: Vec<Vec<u8>> = links.iter().map(|entry| to_blob(entry.fingerprint).to_vec()).collect();
    let parents: Vec<Option<&str>> = links.iter().map(|entry| entry.parent.as_deref()).collect();
    let requests: Vec<Option<String>> = links
        .iter()
        .map(|entry| entry.request.as_ref().map(|request| serde_json::json!(request).to_string()))
        .collect();
    let rows = link.query(schema::ADD, &[&hosts, &depths, &kinds, &urls, &blobs, &parents, &requests]).await?;
    Ok(rows.iter().filter_map(|row| of_blob(row.get(0))).collect())
}

async fn add_aliases(link: &mut Link, visits: &[Visit]) -> Result<(), FrontierError> {
    let led: Vec<(i64, Fingerprint)> = visits
        .iter()
        .filter_map(|visit| visit.final_url.as_ref().map(|(_, target)| (to_number(visit.entry.0), *target)))
        .collect();
    if led.is_empty() {
        return Ok(());
    }
    let blobs: Vec<Vec<u8>> = led.iter().map(|(_, target)| to_blob(*target).to_vec()).collect();
    let entries: Vec<i64> = led.iter().map(|(entry, _)| *entry).collect();
    link.query(schema::ADD_ALIASES, &[&blobs, &entries]).await.map(drop)
}

async fn add_items(link: &mut Link, visits: &[Visit]) -> Result<(), FrontierError> {
    let items =
        visits.iter().flat_map(|visit| visit.items.iter().map(|item| (to_number(visit.entry.0), clean(&item.json))));
    let (entries, texts): (Vec<i64>, Vec<String>) = items.unzip();
    if entries.is_empty() {
        return Ok(());
    }
    link.query(schema::ADD_ITEMS, &[&entries, &texts]).await.map(drop)
}

async fn keep_hosts(link: &mut Link, hosts: &[HostState], worker: &str) -> Result<(), FrontierError> {
    if hosts.is_empty() {
        return Ok(());
    }
    let keys: Vec<&str> = hosts.iter().map(|host| host.host.as_str()).collect();
    let times: Vec<Option<i64>> = hosts.iter().map(|host| host.next_allowed.map(to_millis)).collect();
    let delays: Vec<Option<i64>> = hosts.iter().map(|host| host.crawl_delay.map(duration_to_millis)).collect();
    let robots: Vec<Option<String>> = hosts.iter().map(|host| host.robots.as_deref().map(clean)).collect();
    let traps: Vec<Option<&str>> = hosts.iter().map(|host| host.traps.as_deref()).collect();
    link.query(schema::KEEP_HOSTS, &[&keys, &times, &delays, &robots, &traps, &worker]).await.map(drop)
}

pub(super) async fn set_mark(link: &mut Link, file: &str, mark: &Mark) -> Result<(), FrontierError> {
    let columns = mark.columns.as_ref().map(|columns| serde_json::json!(columns).to_string());
    link.query(schema::SET_MARK, &[&file, &to_number(mark.bytes), &to_number(mark.items), &columns]).await.map(drop)
}

/// Postgres's text holds no zero characters.
fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
