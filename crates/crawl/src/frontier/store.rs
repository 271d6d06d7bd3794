//! What the writing thread writes to: the database of a crawl, where it has one, and its output file, in one transaction.

use std::sync::Arc;

use super::book::Queued;
use super::sqlite::Database;
use super::{FrontierError, HostState};
use crate::entry::{EntryState, Item, Validators};
use crate::sink::Exporter;
use crate::url::Fingerprint;

/// One visit, with its new links only.
pub(super) struct VisitRow {
    pub(super) id: u64,
    pub(super) state: EntryState,
    pub(super) final_url: Option<(String, Fingerprint)>,
    pub(super) validators: Validators,
    pub(super) links: Vec<(usize, Queued)>,
    pub(super) items: Vec<Item>,
    pub(super) archived: Vec<u8>,
}

/// What is to be kept.
pub(super) enum Operation {
    /// A host that entries come from, with its number.
    Host(usize, Arc<str>),
    /// New entries with the numbers of their hosts.
    Add(Vec<(usize, Queued)>),
    /// A visit and all that follows from it.
    Visit(Box<VisitRow>),
    /// What is to be known of hosts.
    HostStates(Vec<HostState>),
}

/// The database and the output file of a crawl, either of which it may do without.
///
/// The file is written before the transaction commits that holds its new length. A process that dies in between leaves a
/// file that is too long: it is cut back to the kept length before anything else is written to it.
pub(super) struct Store {
    pub(super) database: Option<Database>,
    pub(super) exporter: Option<Exporter>,
}

impl Store {
    pub(super) fn begin(&mut self) -> Result<(), FrontierError> {
        self.database.as_mut().map_or(Ok(()), Database::begin)
    }

    pub(super) fn apply(&mut self, operation: Operation) -> Result<(), FrontierError> {
        if let (Operation::Visit(visit), Some(exporter)) = (&operation, &mut self.exporter) {
            exporter.add(&visit.items, &visit.archived)?;
        }
        self.database.as_mut().map_or(Ok(()), |database| database.apply(operation))
    }

    pub(super) fn commit(&mut self) -> Result<(), FrontierError> {
        if let Some(exporter) = &mut self.exporter {
            let is_durable = self.database.as_ref().is_some_and(Database::is_durable);
            let has_more = exporter.write(is_durable)?;
            if let (true, Some(database)) = (has_more, &mut self.database) {
                database.set_mark(&Exporter::name(&exporter.output()), &exporter.mark())?;
            }
        }
        self.database.as_mut().map_or(Ok(()), Database::commit)
    }

    pub(super) fn roll_back(&mut self) {
        if let Some(database) = &mut self.database {
            database.roll_back();
        }
    }
}
