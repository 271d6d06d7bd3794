//! Traps that show in many addresses: forms without end, query parameters in every combination, one body everywhere.
//!
//! What is remembered is bounded: a count per form and per path, the least used forgotten when there are too many of them. Large
//! counts go with their host to whoever goes on with the crawl, so that a trap ends as soon as it would have otherwise.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hasher;

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

use super::form::{Form, Variation};
use super::parts::{Parts, host_key};
use crate::refusal::Refusal;

/// From how many on a form of addresses is taken for a trap. The defaults let a wiki of 100,000 numbered articles and a diary
/// of thirteen years through, and end a calendar that goes on for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrapLimits {
    /// Addresses of one form that differ in numbers.
    pub numbered_count: u32,
    /// Addresses of one form that differ in dates.
    pub dated_count: u32,
    /// Addresses of one form that differ in hashes and other tokens.
    pub token_count: u32,
    /// Sets of parameter names on one path.
    pub parameter_sets_count: usize,
    /// Addresses of one path with three parameters or more.
    pub combinations_count: u32,
    /// How many more addresses of a form have one body than have others.
    pub same_body_count: u32,
    /// Forms and paths that are remembered.
    pub remembered_count: usize,
}

impl Default for TrapLimits {
    fn default() -> Self {
        Self {
            numbered_count: 100_000,
            dated_count: 5_000,
            token_count: 50_000,
            parameter_sets_count: 200,
            combinations_count: 5_000,
            same_body_count: 100,
            remembered_count: 50_000,
        }
    }
}

/// Counts from here on are kept with their host: a site of a few pages needs nothing.
const KEPT_FROM: u32 = 64;
/// A count is kept again after a sixteenth of the default limit for dates, so that as much is lost with a killed process.
const KEPT_STEP: u32 = 312;

/// What is known of a form.
#[derive(Debug, Default)]
struct FormCount {
    /// The server as [`host_key`] gives it.
    host: Box<str>,
    entered: u32,
    /// Of them, those that were not kept with the host yet.
    unkept: u32,
    /// The body that most of its addresses have, and by how many it leads: a majority vote in two numbers.
    body: u64,
    lead: u32,
    /// One body led by too much: nothing of this form is new.
    is_closed: bool,
}

/// What is known of a path that has queries.
#[derive(Debug, Default)]
struct PathCount {
    host: Box<str>,
    combinations: u32,
    unkept: u32,
    parameter_sets: Vec<u64>,
}

impl FormCount {
    fn is_large(&self) -> bool {
        self.entered >= KEPT_FROM || self.is_closed
    }
}

impl PathCount {
    fn is_large(&self) -> bool {
        self.combinations >= KEPT_FROM || self.parameter_sets.len() >= KEPT_FROM as usize
    }
}

/// The form in which the counts of a host are kept.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// Hash, count, whether it is closed.
    forms: Vec<(u64, u32, bool)>,
    /// Hash, combinations, parameter sets.
    paths: Vec<(u64, u32, Vec<u64>)>,
}

/// Counts what was entered and refuses what has no end.
#[derive(Debug, Default)]
pub struct Traps {
    limits: TrapLimits,
    forms: HashMap<u64, FormCount>,
    paths: HashMap<u64, PathCount>,
    /// Hosts whose counts have grown by much since they were kept.
    grown: BTreeSet<Box<str>>,
}

impl Traps {
    /// With these limits.
    pub fn new(limits: TrapLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Counts an address, once, before it is asked for the first time.
    ///
    /// # Errors
    /// It is one too many of its kind: `TooManyOfOneForm`, `TooManyQueries` or `SameBody`. It is not counted then.
    pub fn enter(&mut self, url: &str) -> Result<(), Refusal> {
        self.enter_path(url)?;
        let Some(form) = Form::of(url) else { return Ok(()) };
        let most = match form.variation {
            Variation::None => return Ok(()),
            Variation::Numbers => self.limits.numbered_count,
            Variation::Tokens => self.limits.token_count,
            Variation::Dates => self.limits.dated_count,
        };
        forget_if_full(&mut self.forms, self.limits.remembered_count, |count| count.entered);
        let count = self.forms.entry(form.hash).or_default();
        if count.is_closed {
            return Err(Refusal::SameBody);
        }
        if count.entered >= most {
            return Err(Refusal::TooManyOfOneForm);
        }
        if count.entered == 0 {
            count.host = host_key(url).into();
        }
        count.entered += 1;
        count.unkept += 1;
        if count.unkept >= KEPT_STEP {
            self.grown.insert(count.host.clone());
        }
        Ok(())
    }

    /// Notes the hash of the body that an address gave: a form whose addresses mostly have one body is closed.
    pub fn body(&mut self, url: &str, body_hash: u64) {
        let Some(form) = Form::of(url) else { return };
        let Some(count) = self.forms.get_mut(&form.hash) else { return };
        if count.lead == 0 {
            count.body = body_hash;
        }
        if count.body == body_hash {
            count.lead += 1;
            if count.lead > self.limits.same_body_count && !count.is_closed {
                count.is_closed = true;
                self.grown.insert(count.host.clone());
            }
        } else {
            count.lead -= 1;
        }
    }

    fn enter_path(&mut self, url: &str) -> Result<(), Refusal> {
        let Some(parts) = Parts::of(url) else { return Ok(()) };
        let Some(query) = parts.query.filter(|query| !query.is_empty()) else { return Ok(()) };
        let mut names: Vec<&str> =
            query.split('&').map(|parameter| parameter.split_once('=').map_or(parameter, |(name, _)| name)).collect();
        names.sort_unstable();
        let parameter_set = hash_of(names.iter().copied());
        let limits = self.limits;
        forget_if_full(&mut self.paths, limits.remembered_count / 4, |count| count.combinations);
        let count = self.paths.entry(hash_of([parts.host, parts.path])).or_default();
        let is_new_set = !count.parameter_sets.contains(&parameter_set);
        let is_combination = names.len() >= 3;
        if (is_new_set && count.parameter_sets.len() >= limits.parameter_sets_count)
            || (is_combination && count.combinations >= limits.combinations_count)
        {
            return Err(Refusal::TooManyQueries);
        }
        if count.host.is_empty() {
            count.host = host_key(url).into();
        }
        count.combinations += u32::from(is_combination);
        count.unkept += u32::from(is_combination || is_new_set);
        if is_new_set {
            count.parameter_sets.push(parameter_set);
        }
        if count.unkept >= KEPT_STEP {
            self.grown.insert(count.host.clone());
        }
        Ok(())
    }

    /// The hosts whose counts should be kept again, each with its counts in a form for [`Self::restore`]; at the end of a crawl
    /// all that have something unkept.
    pub(crate) fn hosts_to_keep(&mut self, is_last: bool) -> Vec<(Box<str>, String)> {
        if is_last {
            let forms =
                self.forms.values().filter(|count| count.is_large() && count.unkept > 0).map(|count| &count.host);
            let paths =
                self.paths.values().filter(|count| count.is_large() && count.unkept > 0).map(|count| &count.host);
            self.grown.extend(forms.chain(paths).cloned());
        }
        if self.grown.is_empty() {
            return Vec::new();
        }
        let grown = std::mem::take(&mut self.grown);
        let mut kept: HashMap<Box<str>, Kept> = grown.into_iter().map(|host| (host, Kept::default())).collect();
        for (hash, count) in self.forms.iter_mut().filter(|(_, count)| count.is_large()) {
            if let Some(kept) = kept.get_mut(&count.host) {
                kept.forms.push((*hash, count.entered, count.is_closed));
                count.unkept = 0;
            }
        }
        for (hash, count) in self.paths.iter_mut().filter(|(_, count)| count.is_large()) {
            if let Some(kept) = kept.get_mut(&count.host) {
                kept.paths.push((*hash, count.combinations, count.parameter_sets.clone()));
                count.unkept = 0;
            }
        }
        kept.into_iter().map(|(host, kept)| (host, serde_json::json!(kept).to_string())).collect()
    }

    /// Takes over what [`Self::hosts_to_keep`] gave of a host; what can't be read is nothing.
    pub(crate) fn restore(&mut self, host: &str, kept: &str) {
        let Kept { forms, paths } = serde_json::from_str(kept).unwrap_or_default();
        for (hash, entered, is_closed) in forms {
            let count = self.forms.entry(hash).or_default();
            count.host = host.into();
            count.entered = count.entered.max(entered);
            count.is_closed |= is_closed;
        }
        for (hash, combinations, parameter_sets) in paths {
            let count = self.paths.entry(hash).or_default();
            count.host = host.into();
            count.combinations = count.combinations.max(combinations);
            for set in parameter_sets {
                if !count.parameter_sets.contains(&set) {
                    count.parameter_sets.push(set);
                }
            }
        }
    }
}

/// Makes room by forgetting what was counted least: a form that is a trap is counted again and again.
fn forget_if_full<Count>(counts: &mut HashMap<u64, Count>, most: usize, count_of: fn(&Count) -> u32) {
    if counts.len() < most.max(1) {
        return;
    }
    let mut bar = 1;
    while counts.len() > most / 2 {
        counts.retain(|_, count| count_of(count) > bar);
        bar *= 2;
    }
}

fn hash_of<'a>(texts: impl IntoIterator<Item = &'a str>) -> u64 {
    let mut hasher = SipHasher13::new();
    for text in texts {
        hasher.write(text.as_bytes());
        hasher.write(&[0]);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many addresses are let in before the first refusal, and its reason.
    fn entered(traps: &mut Traps, most: u32, url: impl Fn(u32) -> String) -> (u32, Option<Refusal>) {
        for number in 0..most {
            if let Err(refusal) = traps.enter(&url(number)) {
                return (number, Some(refusal));
            }
        }
        (most, None)
    }

    /// The days of a calendar without end.
    fn calendar(number: u32) -> String {
        format!("http://a/calendar/{}/{}/{}", 2026 + number / 372, number / 31 % 12 + 1, number % 31 + 1)
    }

    /// A list with twelve parameters in every combination.
    fn flags(number: u32) -> String {
        let set = (0..12).filter(|bit| number >> bit & 1 == 1);
        set.fold(String::from("http://b/list?q"), |url, bit| url + "&f" + &bit.to_string())
    }

    /// Where `http://a/x/NUMBER` had one body 101 times.
    fn with_a_closed_form() -> Traps {
        let mut traps = Traps::default();
        for number in 0..101 {
            let url = format!("http://a/x/{number}");
            assert_eq!(traps.enter(&url), Ok(()));
            traps.body(&url, 77);
        }
        traps
    }

    #[test]
    fn real_sites_are_visited_whole() {
        let mut traps = Traps::default();
        assert_eq!(entered(&mut traps, 30_000, |n| format!("http://a/wiki/{n}")).1, None);
        assert_eq!(entered(&mut traps, 20_000, |n| format!("http://a/index.php?title=Article_{n}")).1, None);
        assert_eq!(
            entered(&mut traps, 20_000, |n| format!("http://a/index.php?title=Word{}&action=edit", n * 7)).1,
            None
        );
        assert_eq!(
            entered(&mut traps, 4_000, |n| format!("http://a/{}/{}/{}/", 2010 + n / 372, n / 31 % 12 + 1, n % 31 + 1))
                .1,
            None
        );
        assert_eq!(entered(&mut traps, 20_000, |n| format!("http://a/2026/11/post-number-{n}")).1, None);
    }

    #[test]
    fn calendars_end() {
        let mut traps = Traps::default();
        assert_eq!(entered(&mut traps, 10_000, calendar), (5_000, Some(Refusal::TooManyOfOneForm)));
        assert_eq!(
            entered(&mut traps, 10_000, |n| format!("http://a/c?month={}&year={}", n % 12, n / 12)).1,
            Some(Refusal::TooManyOfOneForm)
        );
        assert_eq!(traps.enter("http://b/calendar/2026/11/1"), Ok(()));
        assert_eq!(traps.enter("http://a/calendar/"), Ok(()));
    }

    #[test]
    fn filters_in_every_combination_end() {
        let mut traps = Traps::default();
        let shop = |n: u32| format!("http://a/shop?color={}&size={}&sort={}", n % 16, n / 16 % 16, n / 256);
        assert_eq!(entered(&mut traps, 10_000, shop), (5_000, Some(Refusal::TooManyQueries)));
        assert_eq!(entered(&mut traps, 4_096, flags), (200, Some(Refusal::TooManyQueries)));
    }

    #[test]
    fn one_body_under_many_addresses_closes_their_form() {
        let mut traps = with_a_closed_form();
        assert_eq!(traps.enter("http://a/x/101"), Err(Refusal::SameBody));
        assert_eq!(traps.enter("http://a/y/101"), Ok(()));
    }

    /// What a crawl that goes on knows, when the one before was killed or ended.
    fn resumed(kept: &[(Box<str>, String)]) -> Traps {
        let mut next = Traps::default();
        for (host, kept) in kept {
            next.restore(host, kept);
        }
        next
    }

    #[test]
    fn a_trap_ends_when_it_would_have_ended_without_the_stop() {
        let mut traps = Traps::default();
        assert_eq!(entered(&mut traps, 1_000, calendar).1, None);
        let mut next = resumed(&traps.hosts_to_keep(true));
        assert_eq!(entered(&mut next, 10_000, |n| calendar(n + 1_000)), (4_000, Some(Refusal::TooManyOfOneForm)));
        // One that was killed has lost what it counted last.
        let mut traps = Traps::default();
        let mut kept = Vec::new();
        for number in 0..1_000 {
            assert_eq!(traps.enter(&calendar(number)), Ok(()));
            kept.extend(traps.hosts_to_keep(false));
        }
        let mut next = resumed(&kept);
        let (count, refusal) = entered(&mut next, 10_000, |n| calendar(n + 1_000));
        assert!(refusal.is_some() && (4_000..4_000 + KEPT_STEP).contains(&count), "{count}");
        assert_eq!(kept.len(), 3);
    }

    #[test]
    fn closed_forms_and_sets_of_parameters_are_taken_over() {
        let mut traps = with_a_closed_form();
        assert_eq!(entered(&mut traps, 150, flags).1, None);
        let mut next = resumed(&traps.hosts_to_keep(true));
        assert_eq!(next.enter("http://a/x/101"), Err(Refusal::SameBody));
        assert_eq!(entered(&mut next, 4_096, flags).0, 200);
    }

    #[test]
    fn small_sites_keep_nothing_and_nonsense_is_nothing() {
        let mut traps = Traps::default();
        assert_eq!(entered(&mut traps, 60, |n| format!("http://a/{n}")).1, None);
        assert_eq!(traps.hosts_to_keep(true), []);
        traps.restore("http://a", "{");
        assert_eq!(traps.hosts_to_keep(true), []);
    }

    #[test]
    fn a_few_empty_articles_do_not_close_a_wiki() {
        let mut traps = Traps::default();
        for number in 0..10_000_u32 {
            let url = format!("http://a/x/{number}");
            assert_eq!(traps.enter(&url), Ok(()));
            traps.body(&url, if number % 5 == 0 { 1 } else { u64::from(number) });
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut traps = Traps::new(TrapLimits { remembered_count: 100, numbered_count: 500, ..TrapLimits::default() });
        for number in 0..1_000 {
            for word in ["a", "b", "c"] {
                let _ = traps.enter(&format!("http://a/{}{number}", word.repeat(number % 150)));
            }
            let _ = traps.enter(&format!("http://a/trap/{number}"));
            let _ = traps.enter(&format!("http://a/{}?b=1&c=2&d=3", "x".repeat(number)));
            assert!(traps.forms.len() <= 100 && traps.paths.len() <= 25);
        }
        assert_eq!(traps.enter("http://a/trap/1"), Err(Refusal::TooManyOfOneForm));
    }
}
