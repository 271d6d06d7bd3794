//! What a crawl counts.

use std::collections::BTreeMap;

use crate::refusal::Refusal;

/// Refusals by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Refusals([u64; Refusal::ALL.len()]);

impl Refusals {
    /// Counts one.
    pub(crate) fn count(&mut self, refusal: Refusal) {
        if let Some(position) = Refusal::ALL.iter().position(|each| *each == refusal) {
            self.0[position] += 1;
        }
    }

    /// Adds what was counted elsewhere.
    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, more) in self.0.iter_mut().zip(other.0) {
            *mine += more;
        }
    }

    /// Those that occurred, by name.
    pub(crate) fn by_name(&self) -> BTreeMap<String, u64> {
        let counted = Refusal::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0);
        counted.map(|(refusal, count)| (refusal.as_str().to_owned(), count)).collect()
    }
}

/// What one request adds.
#[derive(Debug, Default)]
pub(crate) struct Count {
    /// The answer's status.
    pub(crate) status: Option<u16>,
    /// True for an answer that is a page.
    pub(crate) is_page: bool,
    /// Bytes of the body.
    pub(crate) bytes: u64,
    /// The kind of the failure that ended the entry, and its sentence.
    pub(crate) error: Option<(&'static str, String)>,
    /// What was refused.
    pub(crate) refusals: Refusals,
    /// Why a seed gave no page, where no failure says so.
    pub(crate) dead_end: Option<String>,
    /// Items made.
    pub(crate) items: u64,
}

/// The sums.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) pages: u64,
    pub(crate) bytes: u64,
    pub(crate) items: u64,
    pub(crate) statuses: BTreeMap<u16, u64>,
    pub(crate) errors: BTreeMap<&'static str, u64>,
    pub(crate) refusals: Refusals,
    /// The sentence of the first failure, or of the first seed that led nowhere: what a crawl without any page says.
    pub(crate) first_failure: Option<String>,
}

impl Tally {
    /// Adds what one request gave.
    pub(crate) fn add(&mut self, count: Count) {
        self.pages += u64::from(count.is_page);
        self.bytes += count.bytes;
        self.items += count.items;
        self.refusals.add(&count.refusals);
        if let Some(status) = count.status {
            *self.statuses.entry(status).or_default() += 1;
        }
        if let Some((kind, message)) = count.error {
            self.fail(kind, message);
        }
        if let Some(message) = count.dead_end {
            self.first_failure.get_or_insert(message);
        }
    }

    /// Counts a failure.
    pub(crate) fn fail(&mut self, kind: &'static str, message: String) {
        *self.errors.entry(kind).or_default() += 1;
        self.first_failure.get_or_insert(message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_by_name_and_only_those_that_occurred() {
        let mut refusals = Refusals::default();
        refusals.count(Refusal::Robots);
        refusals.count(Refusal::Robots);
        refusals.count(Refusal::HostBudget);
        let mut sum = refusals;
        sum.add(&refusals);
        let expected = [("host_budget".to_owned(), 2), ("robots".to_owned(), 4)];
        assert_eq!(sum.by_name(), BTreeMap::from(expected));
    }

    #[test]
    fn the_first_failure_is_the_one_that_is_told() {
        let mut tally = Tally::default();
        tally.fail("dns", "first".to_owned());
        tally.fail("dns", "second".to_owned());
        assert_eq!(tally.first_failure.as_deref(), Some("first"));
        assert_eq!(tally.errors["dns"], 2);
    }
}
